"""A guard asks all the time what policies allow and what they deny, while something else happens.

Each probe is one datagram, so that nothing is sent twice: a packet that should have arrived and did not, and
one that should not have and did, are both found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fabric.verify.probes import Job, Outcome, Patience
from fabric.verify.probing import ContinuousProbe, Tally
from support import backlog
from support.namespaces import run_inside
from support.policy_cluster import PolicyCluster

NODES = ("node/node-1", "node/node-2")
RATE = 800.0
_PATIENCE = Patience(seconds=2.0, tries=1)
"""An answer may be late on a machine that is busy."""


@dataclass(frozen=True, slots=True)
class Guard:
    """The probes so far."""

    probe: ContinuousProbe
    opened: tuple[Job, ...]
    closed: tuple[Job, ...]
    dropped_before: int
    """What the machine itself had dropped when the guard began."""

    @property
    def asked(self) -> int:
        """The probes that have an answer, or none for so long that none is awaited any more."""
        return sum(it.counts.total() for it in self.probe.tallies.values())

    @property
    def faults(self) -> list[str]:
        """What was not as the oracle says, before, at the time and after.

        Where no more are lost than the machine dropped, of everybody's packets, nothing is said of these.
        """
        tallies = self.probe.tallies
        lost_count = sum(tallies[it].not_delivered for it in self.opened)
        dropped_count = backlog.dropped() - self.dropped_before
        lost = [_told(it, tallies[it]) for it in self.opened if tallies[it].not_delivered]
        lost = lost if lost_count > dropped_count else []
        leaks = (Outcome.delivered, Outcome.refused, Outcome.error)
        came = [_told(it, tallies[it]) for it in self.closed if any(tallies[it].counts[o] for o in leaks)]
        return [*(f"was closed: {it}" for it in lost), *(f"was open: {it}" for it in came)]

    def delivered(self) -> int:
        """The probes that arrived though they are denied."""
        return sum(self.probe.tallies[it].delivered for it in self.closed)


@contextmanager
def guarding(
    net: PolicyCluster, opened: Iterable[tuple[str, str]], closed: Iterable[tuple[str, str]]
) -> Iterator[Guard]:
    """Ask by UDP port 80, from pod to pod, while the body runs.

    Its many flows are forgotten at the end: of a later one from the same source port, which conntrack knows
    as established, policies would not be asked.
    """
    ways = {False: tuple(opened), True: tuple(closed)}
    jobs = {
        denied: tuple(Job(net.source(a), net.address(b), "udp", 80) for a, b in its)
        for denied, its in ways.items()
    }
    pids = {net.source(a): net.pid(a) for its in ways.values() for a, _ in its}
    try:
        with ContinuousProbe(pids, (*jobs[False], *jobs[True]), rate=RATE, patience=_PATIENCE) as probe:
            yield Guard(probe, jobs[False], jobs[True], backlog.dropped())
    finally:
        for node in NODES:
            run_inside(net.pid(node), "conntrack", "-F")


def _told(job: Job, tally: Tally) -> str:
    """The counts of a job, and the moments of time.monotonic() from which its probes fared otherwise."""
    counts = ", ".join(f"{number} {outcome}" for outcome, number in tally.counts.items())
    changes = ", ".join(f"{it.answer.outcome} from {it.sent_at:.3f}" for it in tally.changes)
    return f"{job}: {counts}; {changes}"
