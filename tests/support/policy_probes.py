"""Probes from pods that come and go, by one prober that lives as long as their cluster.

One prober takes its source ports in turn, so that no probe is part of a connection that an earlier one began.
A denied probe is one that nobody answers: it is waited for until all that shall arrive has arrived, and a
little longer.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from fabric.verify.prober import Prober, prober
from fabric.verify.probes import Answer, Job, Outcome, Patience

ANSWER_SECONDS_MAX = 1.0
GRACE_SECONDS = 0.03
BURST = 16
"""Jobs that are begun before answers are looked for."""
_PATIENCE = Patience(seconds=ANSWER_SECONDS_MAX, tries=1)
_DELIVERED = (Outcome.delivered, Outcome.refused)
"""A refusal is an arrival: nobody serves the port."""


class PolicyProbes:
    """The prober, in a thread of its own: it travels between namespaces."""

    def __init__(self) -> None:
        self.pids: dict[str, int] = {}
        """A process in the namespace of each source; a pod that comes again is another source."""
        self._stack = ExitStack()
        self._thread = ThreadPoolExecutor(1, "policy-probes")
        self._prober: Prober = self._thread.submit(self._open).result()

    def close(self) -> None:
        self._thread.submit(self._stack.close).result()
        self._thread.shutdown()

    def arrived(
        self, jobs: Collection[Job], expected: Collection[Job] = (), *, grace_seconds: float = GRACE_SECONDS
    ) -> set[Job]:
        """Ask all jobs once and return those that arrived; a little after all `expected` ones it ends."""
        return self._thread.submit(self._ask, jobs, frozenset(expected), grace_seconds).result()

    def _open(self) -> Prober:
        return self._stack.enter_context(prober(self.pids, _PATIENCE))

    def _ask(self, jobs: Collection[Job], expected: frozenset[Job], grace_seconds: float) -> set[Job]:
        answers: dict[Job, Answer] = {}
        for number, job in enumerate(jobs):
            while not self._prober.has_room:
                self._prober.look(0.005)
            self._prober.ask(job, answers.__setitem__)
            if number % BURST == 0:
                self._prober.look()
        until = time.monotonic() + ANSWER_SECONDS_MAX
        while not expected <= answers.keys() and time.monotonic() < until:
            self._prober.look(0.005)
        until = time.monotonic() + grace_seconds
        while len(answers) < len(jobs) and (left := until - time.monotonic()) > 0:
            self._prober.look(left)
        failed = {job: it for job, it in answers.items() if it.outcome is Outcome.error}
        assert not failed, f"probes that could not be sent: {_told(failed)}"
        return {job for job, answer in answers.items() if answer.outcome in _DELIVERED}


def _told(answers: Mapping[Job, Answer]) -> str:
    return "; ".join(f"{job}: {answer.detail}" for job, answer in answers.items())
