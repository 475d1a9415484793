"""Pod workers reconcile one pod at a time: read API and runtime, do what is missing, write the status.

Level-triggered and keyed by UID, so that a pod and its successor of the same name are two things. A
FabricError is retried by the controller; the status is written before, so that it says what is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fabric.api.objects import Object, timestamp, uid_of
from fabric.control.clock import Clock
from fabric.control.events import Events
from fabric.control.informer import Informer
from fabric.control.workqueue import WorkQueue
from fabric.errors import FabricError
from fabric.kubelet.admission import Admission, Rejection
from fabric.kubelet.config import KubeletConfig
from fabric.kubelet.killpod import KillReason, PodKiller, deadline_seconds, kill_reason
from fabric.kubelet.podactions import CRASH_LOOP, PodActions, compute_pod_actions, outcome
from fabric.kubelet.podcache import PodCache
from fabric.kubelet.podspec import field_path
from fabric.kubelet.podstatus import Observed, pod_status
from fabric.kubelet.records import PodView, Waiting, records_of
from fabric.kubelet.statuswriter import StatusWriter
from fabric.kubelet.syncpod import PodSyncer, SyncResult

BY_UID = "uid"


class PodWorkers:
    """The reconcile of one node's pods."""

    def __init__(
        self,
        config: KubeletConfig,
        pods: Informer,
        pod_cache: PodCache,
        syncer: PodSyncer,
        killer: PodKiller,
        statuses: StatusWriter,
        recorder: Events,
        clock: Clock,
        admission: Admission,
    ) -> None:
        self._config = config
        self._pods = pods
        self._pod_cache = pod_cache
        self._syncer = syncer
        self._killer = killer
        self._statuses = statuses
        self._recorder = recorder
        self._clock = clock
        self._admission = admission
        self._crashing: dict[str, Mapping[str, Waiting]] = {}
        self._stale: set[str] = set()
        self.queue: WorkQueue[str] = WorkQueue()

    async def reconcile(self, uid: str) -> None:
        """Bring one pod nearer to what the API says."""
        pod = next(iter(self._pods.by_index(BY_UID, uid)), None)
        if pod is None:
            await self._killer.purge(uid)
            self._forget(uid)
            return
        stop = kill_reason(pod, self._statuses.standing(pod), self._now())
        if stop is None:
            await self._run(pod)
        else:
            await self._stop(pod, stop)

    def look_again(self, uid: str) -> None:
        """Have a pod reconciled, and its mounted maps and secrets written as the API has them now."""
        self._stale.add(uid)
        self.queue.add(uid)

    def view(self, pod: Object) -> PodView:
        """The pod's containers, by the runtime and, where it has forgotten, by the standing status."""
        uid = uid_of(pod)
        sandbox = self._pod_cache.sandbox(uid)
        records = records_of(self._statuses.standing(pod), self._pod_cache.containers(uid))
        if sandbox is None:
            return PodView("absent", records)
        return PodView("alive" if sandbox.alive else "dead", records)

    async def _run(self, pod: Object) -> None:
        rejection = self._admission.admit(pod)
        if rejection is not None:
            await self._reject(pod, rejection)
            return
        try:
            if uid_of(pod) in self._stale:
                await self._syncer.refresh(pod)
                self._stale.discard(uid_of(pod))
            result = await self._progress(pod)
        except FabricError:
            await self._write(pod, SyncResult(self._decide(pod, self.view(pod)).waiting))
            raise
        self._tell_crashes(pod, result.waiting)
        await self._write(pod, result)
        if outcome(pod, self.view(pod)):
            self._admission.release(uid_of(pod))
            self.queue.add(uid_of(pod))
        else:
            self._wake(pod, result.wake_seconds)

    async def _reject(self, pod: Object, rejection: Rejection) -> None:
        """Fail a pod that this node cannot have, without ever starting it."""
        await self._statuses.write(
            pod,
            {
                "phase": "Failed",
                "reason": rejection.reason,
                "message": f"Pod was rejected: {rejection.message}",
                "startTime": timestamp(self._clock.now()),
            },
        )
        self._recorder.event(pod, "Warning", rejection.reason, rejection.message)

    async def _progress(self, pod: Object) -> SyncResult:
        """Decide and do until nothing can be done now: a sidecar that runs lets the next container start."""
        result = SyncResult({})
        while not outcome(pod, view := self.view(pod)):
            actions = self._decide(pod, view)
            todo = tuple(start for start in actions.start if start.container["name"] not in result.waiting)
            if actions.sandbox == "keep" and not todo and self._syncer.is_up(pod):
                return result.and_then(SyncResult(actions.waiting, actions.wake_seconds))
            result = result.and_then(await self._syncer.sync_pod(pod, replace(actions, start=todo)))
        return result

    def _decide(self, pod: Object, view: PodView) -> PodActions:
        return compute_pod_actions(pod, view, self._syncer.backoff, self._now())

    async def _stop(self, pod: Object, stop: KillReason) -> None:
        uid = uid_of(pod)
        seconds = await self._killer.kill_containers(pod, self.view(pod), self._now())
        if stop.failure or pod["metadata"].get("finalizers"):
            await self._write(pod, SyncResult({}), stop)
        if seconds > 0:
            self.queue.add_after(uid, seconds)
            return
        await self._killer.release(pod)
        self._admission.release(uid)
        if pod["metadata"].get("deletionTimestamp"):
            await self._killer.remove(pod)

    async def _write(self, pod: Object, result: SyncResult, stop: KillReason | None = None) -> None:
        seen = Observed(
            host_ips=self._config.addresses,
            pod_ips=self._syncer.pod_ips(pod) if self._syncer.is_up(pod) else (),
            waiting=result.waiting,
            failure=stop.failure if stop else None,
            stopping=stop is not None,
        )
        standing = self._statuses.standing(pod)
        await self._statuses.write(pod, pod_status(pod, standing, self.view(pod), seen, self._clock.now()))

    def _wake(self, pod: Object, seconds: float | None) -> None:
        deadline = deadline_seconds(pod, self._statuses.standing(pod), self._now())
        waits = [each for each in (seconds, deadline) if each is not None]
        if waits:
            self.queue.add_after(uid_of(pod), max(0.01, min(waits)))

    def _tell_crashes(self, pod: Object, waiting: Mapping[str, Waiting]) -> None:
        uid, meta = uid_of(pod), pod["metadata"]
        before = self._crashing.get(uid, {})
        for name, why in waiting.items():
            if why.reason == CRASH_LOOP and before.get(name) != why:
                where = f"pod {meta['name']}_{meta['namespace']}({uid})"
                text = f"Back-off restarting failed container {name} in {where}"
                self._recorder.event(pod, "Warning", "BackOff", text, field_path=field_path(pod, name))
        self._crashing[uid] = waiting

    def _forget(self, uid: str) -> None:
        self._admission.release(uid)
        self._crashing.pop(uid, None)
        self._stale.discard(uid)
        self._statuses.forget(uid)
        self._syncer.forget(uid)

    def _now(self) -> float:
        return self._clock.now().timestamp()
