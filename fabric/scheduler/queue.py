"""The scheduling queue: active pods by priority and age, unschedulable ones until something changes.

An unschedulable pod comes back when the cluster changes so that it might fit, not before its back-off is
over: 1 s, doubling to 10 s with each refusal. Nothing polls.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass

from fabric.api.objects import Key
from fabric.control import parking
from fabric.scheduler.podinfo import PodInfo

BACKOFF_SECONDS = 1.0
BACKOFF_SECONDS_MAX = 10.0


@dataclass(slots=True)
class _Waiting:
    """A pending pod. `ticket` is its entry in the heap; a stale entry there has another ticket.

    `arrival` orders pods of one priority.
    """

    pod: PodInfo
    arrival: int
    refusals: int = 0
    ticket: int = 0
    refused_until: float = 0.0
    parkings: int = 0
    timer: asyncio.TimerHandle | None = None

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class SchedulingQueue:
    """The pending pods, each once; times are loop time."""

    def __init__(self) -> None:
        self._pods: dict[Key, _Waiting] = {}
        self._unschedulable: dict[Key, _Waiting] = {}
        self._heap: list[tuple[int, int, int, Key]] = []
        self._wake = asyncio.Event()
        self._count = 0

    def put(self, pod: PodInfo) -> None:
        """A pod is pending, or its spec or labels changed: try it now."""
        waiting = self._pods.get(pod.key)
        if waiting is None or waiting.pod.uid != pod.uid:
            self.remove(pod.key)
            waiting = self._pods[pod.key] = _Waiting(pod, self._next())
        elif waiting.pod == pod:
            return
        waiting.pod = pod
        self._activate(waiting)

    def remove(self, key: Key, uid: str = "") -> None:
        """Take out a pod that is gone or bound; with a UID, no later one of its name."""
        waiting = self._pods.get(key)
        if waiting is None or uid not in ("", waiting.pod.uid):
            return
        del self._pods[key]
        self._unschedulable.pop(key, None)
        waiting.stop_timer()

    async def get(self) -> PodInfo:
        """The next pod to try; it stays in the queue until it is removed."""
        while True:
            while self._heap:
                _, _, ticket, key = heapq.heappop(self._heap)
                waiting = self._pods.get(key)
                if waiting is not None and waiting.ticket == ticket:
                    waiting.ticket = 0
                    return waiting.pod
            self._wake.clear()
            await self._wake.wait()

    def add_unschedulable(self, pod: PodInfo) -> None:
        """The pod fits nowhere: it waits for a change, and at least its back-off."""
        waiting = self._pods.get(pod.key)
        if waiting is None or waiting.ticket or waiting.pod.uid != pod.uid:
            return
        delay = min(BACKOFF_SECONDS * 2**waiting.refusals, BACKOFF_SECONDS_MAX)
        waiting.refusals = min(waiting.refusals + 1, 10)
        waiting.refused_until = asyncio.get_running_loop().time() + delay
        self._unschedulable[pod.key] = waiting

    def retry(self, pod: PodInfo) -> None:
        """The pod's binding failed: try again after its back-off."""
        self.add_unschedulable(pod)
        waiting = self._unschedulable.get(pod.key)
        if waiting is not None:
            self._move_to_active_or_backoff(waiting)

    def park(self, pod: PodInfo) -> float:
        """Set the pod aside until it changes; return the seconds after which it is tried all the same."""
        waiting = self._pods.get(pod.key)
        if waiting is None or waiting.pod.uid != pod.uid:
            return 0.0
        waiting.parkings += 1
        self._unschedulable.pop(pod.key, None)
        seconds = parking.BACKOFF.seconds(waiting.parkings)
        self._activate_at(waiting, asyncio.get_running_loop().time() + seconds)
        return seconds

    def cluster_changed(self, concerns: Callable[[PodInfo], bool] = lambda _: True) -> None:
        """Unschedulable pods that the change concerns are tried when their back-off is over."""
        for waiting in tuple(self._unschedulable.values()):
            if concerns(waiting.pod):
                self._move_to_active_or_backoff(waiting)

    def __len__(self) -> int:
        return len(self._pods)

    def _move_to_active_or_backoff(self, waiting: _Waiting) -> None:
        self._unschedulable.pop(waiting.pod.key, None)
        if waiting.refused_until <= asyncio.get_running_loop().time():
            self._activate(waiting)
        else:
            self._activate_at(waiting, waiting.refused_until)

    def _activate_at(self, waiting: _Waiting, when: float) -> None:
        waiting.stop_timer()
        waiting.timer = asyncio.get_running_loop().call_at(when, self._activate, waiting)

    def _activate(self, waiting: _Waiting) -> None:
        waiting.stop_timer()
        self._unschedulable.pop(waiting.pod.key, None)
        waiting.ticket = self._next()
        heapq.heappush(self._heap, (-waiting.pod.priority, waiting.arrival, waiting.ticket, waiting.pod.key))
        self._wake.set()

    def _next(self) -> int:
        self._count += 1
        return self._count
