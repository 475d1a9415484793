"""The one loop over a host: desired state in parts, the smallest plan out, drift repaired.

Desired and actual state are both kept, in a delta tracker: a change of one part costs that part and no read.
The kernel is read when it tells of a change that is not ours, after `trigger`, after a refusal, and each
medium now and then. Nothing is ever deleted before somebody said what is wanted.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from fabric.api.objects import timestamp
from fabric.control.backoff import Backoff, jittered
from fabric.control.clock import LoopClock
from fabric.control.halving import Halving, told
from fabric.control.loop import Loop
from fabric.errors import KernelRefused
from fabric.netstate.objects import Link, NetObject, Sysctl
from fabric.netstate.plan import Plan, needed_first
from fabric.netstate.port import MEDIA, Host, Medium, Owner, medium_of, medium_of_kind
from fabric.netstate.tracker import Tracker

RESYNC_SECONDS: Mapping[Medium, float] = {"netlink": 60.0, "sysctl": 60.0, "sets": 60.0, "rules": 60.0}
RESYNC_JITTER = 0.5
"""60 to 90 s: the nodes of a machine are not read all at once."""
BACKOFF = Backoff(0.1, 5.0)
NOTICE_SECONDS = 0.02
"""A change seldom comes alone: so long after the kernel tells of one, it is read."""
_PASSES_MAX = 2
_EARLY_SECONDS = 1e-6
"""So much too early a timer may go off (asyncio's clock has a resolution): what is due then is due."""
STEPS_TOLD_MAX, STEP_LENGTH_MAX = 3, 120

log = logging.getLogger(__name__)


class NetLoop:
    """The loop keeps what `owner` has in one namespace equal to the union of what is wanted there."""

    def __init__(
        self,
        host: Host,
        owner: Owner,
        *,
        resync_seconds: Mapping[Medium, float] = RESYNC_SECONDS,
        name: str = "",
        on_pass: Callable[[], None] | None = None,
    ) -> None:
        """`on_pass` is called after each pass, well or not; `is_converged` or `is_programmed` may differ."""
        self.name = name or f"{owner.name} on {host.name}"
        self.last_plan = Plan()
        """The plan that was applied last."""
        self._planned_at: datetime | None = None
        self._clock = LoopClock()
        self._host = host
        self._owner = owner
        self._media = frozenset(medium_of_kind(kind) for kind in owner.kinds)
        self._resync_seconds = resync_seconds
        self._tracker = Tracker()
        self._loop = Loop(self.name, self._reconcile, backoff=BACKOFF, on_pass=on_pass)
        self._is_wanted = False
        """False before anybody said what is wanted."""
        self._due: dict[Medium, float] = dict.fromkeys(MEDIA, 0.0)
        """When each medium is to be read: 0 is at once."""
        self._was_read = not self._media
        self._careful = False
        """True after a refusal: one bad step must not hold up the others again."""
        self._busy = False
        self._notices: dict[object, tuple[Medium, NetObject | None, bool]] = {}
        """What the kernel told while a plan was carried out, the last of each key."""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def resync_seconds(self) -> Mapping[Medium, float]:
        """The seconds after which each medium is read again though nothing was told; inf is never."""
        return self._resync_seconds

    @resync_seconds.setter
    def resync_seconds(self, seconds: Mapping[Medium, float]) -> None:
        if seconds != self._resync_seconds:
            self._resync_seconds = seconds
            self.trigger()

    def want(self, part: str, desired: Iterable[NetObject]) -> None:
        """Set what one part wants, nothing to let it go, and wake the loop; the same again does nothing."""
        changed = self._tracker.want(part, desired)
        if changed or not self._is_wanted:
            self._is_wanted = True
            self._loop.trigger()

    def want_all(self, parts: Mapping[str, Iterable[NetObject]]) -> None:
        """Set what is wanted in all: the parts that are not among these are let go."""
        for part in [part for part in self._tracker.parts if part not in parts]:
            self.want(part, ())
        for part, desired in parts.items():
            if desired is not self._tracker.parts.state_of(part):
                self.want(part, desired)
        if not self._is_wanted:
            self.want("", ())

    def trigger(self) -> None:
        """Read the kernel again now: somebody says that it has changed."""
        self._due = dict.fromkeys(MEDIA, 0.0)
        self._loop.trigger()

    @property
    def is_converged(self) -> bool:
        """True when the kernel, as last seen, is as was wanted last."""
        return self._is_wanted and self._was_read and self._loop.is_converged and self._tracker.is_done

    async def until_converged(self, part: str | None = None) -> None:
        """Wait until the kernel, as last seen, is as was wanted last; of one part alone where it is given."""
        while not (self.is_converged if part is None else self._has_converged(part)):
            await self._loop.next_pass()

    @property
    def is_programmed(self) -> bool:
        """True when all that is wanted is in the kernel, be it with an older value."""
        return self._is_wanted and self._was_read and self._tracker.is_programmed

    def _has_converged(self, part: str) -> bool:
        return self._is_wanted and self._was_read and self._tracker.has_converged(part)

    @property
    def last_error(self) -> str:
        """The refusal of the last pass, or an object that two parts want differently; else empty."""
        return self._loop.last_error or "; ".join(self._tracker.parts.conflicts()[:1])

    @property
    def last_change(self) -> str:
        """The time of the last plan and its first steps, in a line; empty before the first."""
        if self._planned_at is None:
            return ""
        lines = str(self.last_plan).splitlines()
        steps = [_shortened(line) for line in lines if not line.startswith(" ")]
        more = [f"and {len(steps) - STEPS_TOLD_MAX} more"] if len(steps) > STEPS_TOLD_MAX else []
        return f"{timestamp(self._planned_at)}: {'; '.join((*steps[:STEPS_TOLD_MAX], *more))}"

    async def run(self) -> None:
        """Keep the state for ever.

        A refusal is retried after 0.1 s, doubling to 5 s, and at once when a new state is wanted.
        """
        stop = self._host.watch(self._noticed)
        try:
            await self._loop.run()
        finally:
            stop()
            if self._timer is not None:
                self._timer.cancel()

    async def _reconcile(self) -> float | None:
        """Bring the kernel to what is wanted, or raise the FabricError; return when to read it again."""
        if not self._is_wanted:
            return None
        self._busy = True
        try:
            for _ in range(_PASSES_MAX):
                while await self._read_what_is_due():
                    pass  # Whoever triggered it meanwhile has changed what is the owner's.
                plan = self._tracker.plan()
                if plan:
                    await self._carry_out(plan)
                self._tracker.done()
                if not any(step.verb == "replace" and isinstance(step.obj, Link) for step in plan.steps):
                    break
                self._due["netlink"] = 0.0
        finally:
            self._busy = False
            self._judge_notices()
        self._careful = False
        due = min((self._due[medium] for medium in self._media), default=None)
        return None if due is None or math.isinf(due) else max(0.0, due - self._now())

    async def _read_what_is_due(self) -> bool:
        """Return whether something was."""
        now = self._now()
        media = frozenset(medium for medium in self._media if self._due[medium] <= now + _EARLY_SECONDS)
        if not media:
            return False
        kinds = frozenset(kind for kind in self._owner.kinds if medium_of_kind(kind) in media)
        families = self._tracker.families if self._was_read else self._owner.families
        for medium in media:
            self._due[medium] = now + jittered(self._resync_seconds[medium], RESYNC_JITTER)
        try:
            found = await self._host.read(replace(self._owner, kinds=kinds, families=families))
        except BaseException:
            self._make_due(media)
            raise
        self._tracker.saw(media, found)
        self._was_read = True
        return True

    async def _carry_out(self, plan: Plan) -> None:
        log.debug("%s:\n%s", self.name, plan)
        self.last_plan, self._planned_at = plan, self._clock.now()
        refusals: list[KernelRefused] = []
        try:
            if self._careful:
                refusals = await Halving(self._host, self._owner).apply(needed_first(plan))
            else:
                await self._host.apply(plan)
        except BaseException:
            self._refused(plan)
            raise
        if refusals:
            self._refused(plan)
            raise told(refusals)

    def _refused(self, plan: Plan) -> None:
        """Have all read that was to be changed; with rules the sets too: Linux tells of no loss of one."""
        self._careful = True
        media = {medium_of(step.obj) for step in plan.steps}
        self._make_due(media | ({"sets"} if "rules" in media else set()))

    def _noticed(self, medium: Medium, obj: NetObject | None, gone: bool) -> None:
        """Hear what the kernel tells; while a plan is carried out, most of it is that plan."""
        self._notices[medium if obj is None else obj.key] = (medium, obj, gone)
        if not self._busy:
            self._judge_notices()

    def _judge_notices(self) -> None:
        notices, self._notices = self._notices, {}
        drifted = {medium for medium, obj, gone in notices.values() if self._is_drift(medium, obj, gone)}
        if drifted:
            self._make_due(drifted)
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(NOTICE_SECONDS, self._look)

    def _is_drift(self, medium: Medium, obj: NetObject | None, gone: bool) -> bool:
        if not self._is_wanted or medium not in self._media:
            return False
        if obj is None:
            return True
        if isinstance(obj, Sysctl) and obj.path not in self._owner.sysctls:
            return False
        owned = type(obj) in self._owner.kinds and self._owner.owns(obj)
        return self._tracker.is_drift(obj, gone=gone, owned=owned)

    def _look(self) -> None:
        self._timer = None
        self._loop.trigger()

    def _make_due(self, media: Iterable[Medium]) -> None:
        for medium in media:
            self._due[medium] = 0.0

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _shortened(line: str) -> str:
    return line if len(line) <= STEP_LENGTH_MAX else line[: STEP_LENGTH_MAX - 1] + "…"
