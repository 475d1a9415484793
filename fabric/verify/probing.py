"""Jobs are asked once, all of them, or again and again while something else happens.

The second is for tests of faults. Each job's answers are counted in the order in which they were asked for,
so that a change has a time: when the first probe was sent that had another outcome than the one before it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fabric.verify.prober import Answered, Prober, prober
from fabric.verify.probes import PATIENCE, Answer, Job, Outcome, Patience

BURST = 32
"""Jobs that are begun before answers are looked for."""
POLL_SECONDS = 0.02
STEADY = Patience(seconds=0.5, tries=1)
CHANGES_MAX = 1000
"""Of each job; later ones are counted only."""
OPEN_OF_A_JOB_MAX = 64
"""Probes of one job that wait for an answer: one that nobody answers leaves room for the others."""


def ask_all(
    pids: Mapping[str, int],
    jobs: Iterable[Job],
    patience: Patience = PATIENCE,
    *,
    progress: Callable[[int], None] = lambda answered: None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> list[Answer]:
    """Return the answers in the order of the jobs; a job that a stop leaves without one has `error`."""
    wanted: Sequence[Job] = list(jobs)
    answers: list[Answer] = [Answer(Outcome.error, "not asked: it was stopped", tries=0)] * len(wanted)
    done = 0

    def keep(index: int) -> Answered:
        def answered(_: Job, answer: Answer) -> None:
            nonlocal done
            answers[index] = answer
            done += 1

        return answered

    with prober(pids, patience) as made:
        begun = 0
        while (begun < len(wanted) or made.pending) and not is_stopped():
            before, until = done, min(begun + BURST, len(wanted))
            while begun < until and made.has_room:
                made.ask(wanted[begun], keep(begun))
                begun += 1
            made.look(0.0 if begun == until < len(wanted) else POLL_SECONDS)
            if done > before:
                progress(done)
    return answers


@dataclass(frozen=True, slots=True)
class Change:
    """The first probe that had another outcome than the one before it."""

    sent_at: float
    """By time.monotonic(), read just before it was sent."""
    answer: Answer


@dataclass(slots=True)
class Tally:
    """The answers to one job so far."""

    counts: Counter[Outcome] = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)
    """In order, the first answer among them; `CHANGES_MAX` at most."""
    changes_total: int = 0
    delivered_last: float | None = None
    """When the last probe was sent that was delivered, by time.monotonic()."""
    last: Outcome | None = None

    @property
    def delivered(self) -> int:
        return self.counts[Outcome.delivered]

    @property
    def not_delivered(self) -> int:
        return self.counts.total() - self.delivered

    def add(self, sent_at: float, answer: Answer) -> None:
        self.counts[answer.outcome] += 1
        if answer.outcome is Outcome.delivered:
            self.delivered_last = sent_at
        if answer.outcome is not self.last:
            self.last = answer.outcome
            self.changes_total += 1
            if len(self.changes) < CHANGES_MAX:
                self.changes.append(Change(sent_at, answer))


class _Asking:
    """A job's probes on their way, in the order in which they were sent."""

    __slots__ = ("job", "sent", "tally")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.tally = Tally()
        self.sent: deque[tuple[float, list[Answer]]] = deque()

    def begin(self, made: Prober) -> None:
        answer: list[Answer] = []
        self.sent.append((time.monotonic(), answer))
        made.ask(self.job, lambda _, told: self._count(answer, told))

    def _count(self, answer: list[Answer], told: Answer) -> None:
        answer.append(told)
        while self.sent and self.sent[0][1]:
            sent_at, (first,) = self.sent.popleft()
            self.tally.add(sent_at, first)


class ContinuousProbe:
    """A thread that asks jobs in turn until it is stopped, as fast as it can or `rate` of them a second.

    with ContinuousProbe(pids, jobs) as probe: … break something …; then probe.tallies
    """

    def __init__(
        self,
        pids: Mapping[str, int],
        jobs: Iterable[Job],
        *,
        rate: float | None = None,
        patience: Patience = STEADY,
    ) -> None:
        self._pids, self._patience, self._rate = dict(pids), patience, rate
        self._asking = {job: _Asking(job) for job in jobs}
        self._stopped = threading.Event()
        self._bug: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="continuous-probe", daemon=True)

    @property
    def tallies(self) -> Mapping[Job, Tally]:
        """The counts so far; they grow until the end."""
        return {job: asking.tally for job, asking in self._asking.items()}

    def __enter__(self) -> ContinuousProbe:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it, with every socket closed; what it failed of is raised here."""
        self._stopped.set()
        self._thread.join()
        if self._bug is not None:
            raise self._bug

    def _run(self) -> None:
        try:
            with prober(self._pids, self._patience) as made:
                self._ask(made)
        except BaseException as bug:
            self._bug = bug

    def _ask(self, made: Prober) -> None:
        turns = deque(self._asking.values())
        next_at = time.monotonic()
        while not self._stopped.is_set():
            begun = 0
            for _ in range(min(BURST, len(turns))):
                if not made.has_room or (self._rate and next_at > time.monotonic()):
                    break
                asking = turns[0]
                turns.rotate(-1)
                if len(asking.sent) < OPEN_OF_A_JOB_MAX:
                    asking.begin(made)
                    begun += 1
                    next_at = max(next_at, time.monotonic() - 1) + 1 / self._rate if self._rate else next_at
            late = next_at - time.monotonic() if self._rate else 0.0
            made.look(0.0 if begun else min(POLL_SECONDS, max(late, 0.001)))
