"""KillPod ends pods: SIGTERM, the grace period, SIGKILL; then sandbox, network, files and at last the object.

The moment of SIGKILL follows from the API (deletion time, deadline), so that a restarted kubelet keeps it.
Hooks (`lifecycle.preStop`) are not run. No step waits: each returns when to look again, and may be repeated.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

from fabric.api.kinds import POD
from fabric.api.objects import Object, is_deleting, parse_timestamp, uid_of
from fabric.control.client import Client
from fabric.control.events import Events
from fabric.errors import Conflict, NotFound
from fabric.kubelet.config import KubeletConfig
from fabric.kubelet.network import PodNetwork, orphan_ref, pod_ref
from fabric.kubelet.podcache import PodCache
from fabric.kubelet.podfiles import remove_files
from fabric.kubelet.podspec import field_path, grace_seconds, is_terminal, spec_of
from fabric.kubelet.records import LABEL_NAME, LABEL_NAMESPACE, PodView, Record

KILL_SECONDS = 2.0
"""How long the runtime may take to show the end of a killed container, before the sandbox goes anyway."""
DEADLINE = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


@dataclass(frozen=True, slots=True)
class KillReason:
    """Why a pod must end."""

    failure: tuple[str, str] | None = None
    """Reason and message for its status, when the kubelet itself ends it."""


def kill_reason(pod: Object, standing: Object, now: float) -> KillReason | None:
    """Return why the pod must not run (any more), or None. `now` is seconds since the epoch."""
    if is_deleting(pod) or is_terminal(standing):
        return KillReason()
    left = deadline_seconds(pod, standing, now)
    return KillReason(DEADLINE) if left is not None and left <= 0 else None


def deadline_seconds(pod: Object, standing: Object, now: float) -> float | None:
    """Seconds until `activeDeadlineSeconds` is over; None without one or before the pod's start."""
    limit, start = spec_of(pod).get("activeDeadlineSeconds"), standing.get("startTime")
    if limit is None or not start:
        return None
    return parse_timestamp(start).timestamp() + float(limit) - now


class PodKiller:
    """A pod killer ends the pods of one node."""

    def __init__(
        self,
        config: KubeletConfig,
        client: Client,
        pod_cache: PodCache,
        network: PodNetwork,
        recorder: Events,
    ) -> None:
        self._config = config
        self._client = client
        self._pod_cache = pod_cache
        self._network = network
        self._recorder = recorder
        self._since: dict[str, float] = {}
        self._signalled: dict[str, set[tuple[str, int]]] = {}
        self._released: set[str] = set()

    async def kill_containers(self, pod: Object, view: PodView, now: float) -> float:
        """Bring the containers nearer to their end; return the seconds until the next look, 0 at the end."""
        running = view.running()
        if not running:
            return 0.0
        kill_at = self._kill_at(pod, now)
        if now < kill_at:
            await self._signal(pod, running, signal.SIGTERM)
            return kill_at - now
        if now < kill_at + KILL_SECONDS:
            await self._signal(pod, running, signal.SIGKILL)
            return kill_at + KILL_SECONDS - now
        return 0.0

    async def release(self, pod: Object) -> None:
        """Stop the sandbox and release the network; what is released already costs nothing."""
        uid = uid_of(pod)
        if uid not in self._released or self._pod_cache.sandbox(uid) is not None:
            await self._pod_cache.stop_sandbox(uid)
            await self._network.detach(pod_ref(pod))
            self._released.add(uid)

    async def remove(self, pod: Object) -> None:
        """Remove files and tell the API that the pod is gone from here."""
        uid, meta = uid_of(pod), pod["metadata"]
        remove_files(self._config, uid)
        try:
            await self._client.delete(POD, meta["name"], meta["namespace"], grace_period_seconds=0, uid=uid)
        except (NotFound, Conflict):
            return

    async def purge(self, uid: str) -> None:
        """Remove every trace of a pod that the API does not know (any more)."""
        labels = next((c.labels for c in self._pod_cache.containers(uid)), {})
        await self._pod_cache.stop_sandbox(uid)
        await self._network.detach(
            orphan_ref(uid, labels.get(LABEL_NAME, ""), labels.get(LABEL_NAMESPACE, ""))
        )
        remove_files(self._config, uid)
        self.forget(uid)

    def forget(self, uid: str) -> None:
        self._since.pop(uid, None)
        self._signalled.pop(uid, None)
        self._released.discard(uid)

    def _kill_at(self, pod: Object, now: float) -> float:
        since = self._since.setdefault(uid_of(pod), now)
        kill_at = since + grace_seconds(pod)
        if is_deleting(pod):
            deletion = parse_timestamp(pod["metadata"]["deletionTimestamp"]).timestamp()
            kill_at = min(kill_at, deletion + 1.0)
        return kill_at

    async def _signal(self, pod: Object, running: tuple[Record, ...], number: int) -> None:
        signalled = self._signalled.setdefault(uid_of(pod), set())
        for record in running:
            if (record.id, number) in signalled:
                continue
            if number == signal.SIGTERM:
                where = field_path(pod, record.name)
                self._recorder.event(
                    pod, "Normal", "Killing", f"Stopping container {record.name}", field_path=where
                )
            await self._pod_cache.runtime.signal_container(record.id, number)
            signalled.add((record.id, number))
