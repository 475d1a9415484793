"""`fabric bench loop`: what one change costs the loop over a node, on the fake and on the real kernel.

A change is of one part (`peer:node-2`, `policy:…`) among many, or of one member of a large set. Its cost is
processor time of this process, in two shares: the loop's own, and the kernel floor's, which writes netlink
messages and starts iptables and ipset. The first must be the same however many parts there are.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from fabric.bench import namespaces
from fabric.bench.clusters import Say
from fabric.bench.parts import KINDS, OWNER, ROOT, member_set, part
from fabric.bench.timed_host import TimedHost
from fabric.control.netloop import NetLoop
from fabric.errors import FabricError, plural
from fabric.kernel import sets
from fabric.kernel.fake import FakeKernel
from fabric.kernel.linux import LinuxKernel
from fabric.netstate.objects import NetObject
from fabric.netstate.port import Host

KernelName = Literal["fake", "linux"]
KERNELS: tuple[KernelName, ...] = ("fake", "linux")
CONVERGE_SECONDS_MAX = 120.0
MEMBER = "member"
NOTICED_SECONDS = 0.2
"""After the first plan the kernel tells of what it did, which the loop may read once more."""
_NODE = "node-1"


@dataclass(frozen=True, slots=True)
class ChangeTimes:
    """The cost of a change: medians over the changes, in milliseconds."""

    kernel: KernelName
    changed: str
    """`peer` or `policy`, which are parts; or `member`, which is one of a set."""
    among: int
    """Parts, or members."""
    changes: int
    loop_milliseconds: float
    """Processor time of the loop: from `want` to the plan, and after it."""
    write_milliseconds: float | None
    """Processor time that this process spent on the write; None on the fake, which has none."""
    elapsed_milliseconds: float
    """From `want` to a converged loop, with the programs that it waited for."""
    steps: int
    """Steps of one change's plan."""
    restore_lines: int | None
    """Lines of `ipset restore` for one change of a set."""
    reads: int
    """Readings of the kernel during all changes."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    kernel: KernelName, parts: Iterable[int], members: Iterable[int], changes: int, say: Say
) -> Iterator[ChangeTimes]:
    """Measure each kind of part with each number of parts, and sets with each number of members, in turn.

    FabricError when a loop does not converge. The real kernel needs root.
    """
    for kind in KINDS:
        for count in parts:
            say(f"{kernel}: {plural(count, 'part')} of kind {kind}")
            yield _in_namespace(kernel, kind, count, changes, _change_parts)
    for count in members:
        say(f"{kernel}: a set of {plural(count, 'member')}")
        yield _in_namespace(kernel, MEMBER, count, changes, _change_members)


def _in_namespace(
    kernel: KernelName, kind: str, count: int, changes: int, work: Callable[..., Any]
) -> ChangeTimes:
    """Have an empty namespace with a loop over it, and measure there."""
    real: AbstractContextManager[int] = namespaces.held() if kernel == "linux" else nullcontext(0)
    with real as pid:
        if kernel == "fake":
            return asyncio.run(_with_loop(FakeKernel(_NODE).host(_NODE), kernel, kind, count, changes, work))
        linux = LinuxKernel({_NODE: pid})
        try:
            return asyncio.run(_with_loop(linux.host(_NODE), kernel, kind, count, changes, work))
        finally:
            linux.close()


async def _with_loop(
    inner: Host, kernel: KernelName, kind: str, count: int, changes: int, work: Callable[..., Any]
) -> ChangeTimes:
    host = TimedHost(inner)
    loop = NetLoop(host, OWNER)
    task = asyncio.create_task(loop.run())
    try:
        run = _Run(host, loop)
        times: ChangeTimes = await work(run, kind, count, changes)
        return replace(
            times, kernel=kernel, write_milliseconds=times.write_milliseconds if kernel == "linux" else None
        )
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _change_parts(run: _Run, kind: str, count: int, changes: int) -> ChangeTimes:
    run.loop.want("node", ROOT)
    for number in range(1, count + 1):
        run.loop.want(f"{kind}:{number}", part(kind, number, 0))
    await run.converged()
    for version in range(1, changes + 1):
        number = version % count + 1
        await run.change(f"{kind}:{number}", part(kind, number, version))
    return run.times(kind, count)


async def _change_members(run: _Run, kind: str, count: int, changes: int) -> ChangeTimes:
    wanted = member_set(count)
    run.loop.want("set", {wanted})
    await run.converged()
    for version in range(1, changes + 1):
        wanted = wanted.changed(come=[f"10.200.{version // 256}.{version % 256}"])
        await run.change("set", {wanted})
    return run.times(kind, count)


class _Run:
    """The changes of one loop, each measured when it is in the kernel."""

    def __init__(self, host: TimedHost, loop: NetLoop) -> None:
        self.loop = loop
        self._host = host
        self._costs: list[tuple[float, float, float]] = []
        self._reads = 0

    async def change(self, name: str, wanted: Iterable[NetObject]) -> None:
        """Want it, wait until it is there, and note loop, write and elapsed time."""
        if not self._costs:
            self._reads = self._host.reads
        wanted = frozenset(wanted)
        self._host.write_seconds = 0.0
        async with self._in_time():
            began, cpu = time.perf_counter(), time.process_time()
            self.loop.want(name, wanted)
            await self.loop.until_converged()
            spent, elapsed = time.process_time() - cpu, time.perf_counter() - began
        self._costs.append((spent - self._host.write_seconds, self._host.write_seconds, elapsed))

    async def converged(self) -> None:
        """Wait for the first plan, and for what the kernel tells of it."""
        async with self._in_time():
            await self.loop.until_converged()
            await asyncio.sleep(NOTICED_SECONDS)
            await self.loop.until_converged()

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """End the body when it takes too long: FabricError with what the kernel refuses."""
        try:
            async with asyncio.timeout(CONVERGE_SECONDS_MAX):
                yield
        except TimeoutError:
            why = self.loop.last_error or "no reason is known"
            raise FabricError(f"the loop did not converge in {CONVERGE_SECONDS_MAX:g} s: {why}") from None

    def times(self, kind: str, count: int) -> ChangeTimes:
        plan = self.loop.last_plan
        lines = sets.compose(plan.steps, ()).count("\n") if kind == MEMBER else None
        loop, write, elapsed = (_milliseconds(column) for column in zip(*self._costs, strict=True))
        return ChangeTimes(
            kernel="fake",
            changed=kind,
            among=count,
            changes=len(self._costs),
            loop_milliseconds=loop,
            write_milliseconds=write,
            elapsed_milliseconds=elapsed,
            steps=len(plan.steps),
            restore_lines=lines,
            reads=self._host.reads - self._reads,
        )


def _milliseconds(seconds: Iterable[float]) -> float:
    return round(statistics.median(seconds) * 1000, 3)
