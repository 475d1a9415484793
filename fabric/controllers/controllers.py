"""The control plane runs its controllers together: they share caches and meet only through the API.

They start to work when every cache has its first list, so that nothing is judged by half a picture.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fabric.api.kinds import KindTable
from fabric.control.client import Client
from fabric.control.clock import Clock
from fabric.control.events import EventRecorder
from fabric.control.informers import Informers
from fabric.controllers.garbage_collector import GarbageCollector
from fabric.controllers.namespaces import NamespaceController
from fabric.controllers.node_lifecycle import GracePeriods, NodeLifecycleController
from fabric.controllers.pod_gc import PodGCController, TerminatedPodController
from fabric.controllers.serviceaccounts import ServiceAccountController
from fabric.controllers.taint_eviction import TaintEvictionController


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """The knobs of kube-controller-manager that fabric has; times in seconds."""

    node_monitor_grace_seconds: float = 40.0
    node_startup_grace_seconds: float = 60.0
    orphan_quarantine_seconds: float = 5.0
    """How long a pod of a vanished node is left alone, in case the node comes back."""
    terminated_pods_max: int = 12500


class Controllers:
    """The controllers of one control plane; the owner of `informers` and `recorder` runs those two."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        recorder: EventRecorder,
        clock: Clock,
        *,
        kinds: KindTable | None = None,
        settings: ControllerSettings | None = None,
    ) -> None:
        kinds, settings = kinds or KindTable(), settings or ControllerSettings()
        grace = GracePeriods(settings.node_monitor_grace_seconds, settings.node_startup_grace_seconds)
        quarantine = settings.orphan_quarantine_seconds
        pod_gc = recorder.of("pod-garbage-collector")
        self._informers = informers
        self._controllers = (
            NamespaceController(client, informers, recorder.of("namespace-controller"), clock, kinds),
            ServiceAccountController(client, informers, recorder.of("service-account-controller")),
            NodeLifecycleController(client, informers, recorder.of("node-controller"), clock, grace),
            TaintEvictionController(client, informers, recorder.of("taint-eviction-controller"), clock),
            PodGCController(client, informers, pod_gc, clock, quarantine_seconds=quarantine),
            TerminatedPodController(client, informers, kept_max=settings.terminated_pods_max),
            GarbageCollector(client, informers, recorder.of("garbage-collector"), kinds),
        )

    async def run(self) -> None:
        """Control for ever; a bug in one of them ends all, as an exception group."""
        await self._informers.synced()
        async with asyncio.TaskGroup() as tasks:
            for controller in self._controllers:
                tasks.create_task(controller.run(), name=type(controller).__name__)
