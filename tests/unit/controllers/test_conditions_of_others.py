"""Whatever a controller or the scheduler writes into a status, a condition written a moment earlier stays."""

from __future__ import annotations

import asyncio
from typing import Any

from support.control_plane import ControlPlane, controllers_on
from support.owned_task import running
from support.registry import START, new_registry

from fabric.api.kinds import NODE, POD, Kind
from fabric.api.objects import Object, condition, condition_is
from fabric.apiserver.local import LocalClient
from fabric.control.client import MERGE, STRATEGIC, PatchType
from fabric.control.clock import LoopClock
from fabric.control.events import EventRecorder
from fabric.control.informers import Informers
from fabric.scheduler.scheduler import Scheduler


class Interleaved(LocalClient):
    """A client whose every status write comes a moment after one by somebody else."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.written: list[tuple[Kind, str, str]] = []

    async def patch(
        self,
        kind: Kind,
        name: str,
        patch: Any,
        *,
        namespace: str = "",
        subresource: str = "",
        patch_type: PatchType = MERGE,
        field_manager: str = "fabric",
    ) -> Object:
        if subresource == "status" and "resourceVersion" not in patch.get("metadata", {}):
            await self._write_before(kind, name, namespace)
        options: Any = {"namespace": namespace, "subresource": subresource, "patch_type": patch_type}
        return await super().patch(kind, name, patch, **options)

    async def create(self, kind: Kind, obj: Object, *, namespace: str = "", subresource: str = "") -> Object:
        if subresource == "binding":
            await self._write_before(kind, obj["metadata"]["name"], namespace)
        return await super().create(kind, obj, namespace=namespace, subresource=subresource)

    async def _write_before(self, kind: Kind, name: str, namespace: str) -> None:
        type_ = f"example.com/{len(self.written)}"
        self.written.append((kind, name, type_))
        change = {"status": {"conditions": [{"type": type_, "status": "True"}]}}
        options: Any = {"namespace": namespace, "subresource": "status", "patch_type": STRATEGIC}
        await super().patch(kind, name, change, **options)


async def test_no_condition_is_lost_from_scheduling_to_eviction():
    clock = LoopClock(START)
    async with new_registry() as registry:
        user, writers = LocalClient(registry), Interleaved(registry)
        plane, informers = ControlPlane(user, clock), Informers(writers)
        recorder = EventRecorder(writers, clock, "default-scheduler")
        scheduler = Scheduler(writers, informers, recorder, clock)
        async with (
            controllers_on(writers, clock),
            running(informers.run(), recorder.run(), scheduler.run()),
        ):
            await plane.add_pod("pod-1")
            await asyncio.sleep(1)
            assert condition(await user.get(POD, "pod-1", "default"), "PodScheduled")["status"] == "False"
            await plane.add_node("node-1")
            room = {"status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}}}
            await user.patch(NODE, "node-1", room, subresource="status")
            await asyncio.sleep(15)
            await plane.report("pod-1", phase="Running", ready="True")
            await asyncio.sleep(60)
            assert condition_is(await user.get(POD, "pod-1", "default"), "Ready", "False")
            await asyncio.sleep(320)
            pod = await user.get(POD, "pod-1", "default")
            assert {"PodScheduled", "Ready", "DisruptionTarget"} <= types(pod)
            mine = {type_ for kind, name, type_ in writers.written if (kind, name) == (POD, "pod-1")}
            assert len(mine) >= 4 and mine <= types(pod)


async def test_a_nodes_conditions_stay_when_it_falls_silent():
    clock = LoopClock(START)
    async with new_registry() as registry:
        user = LocalClient(registry)
        plane = ControlPlane(user, clock)
        async with controllers_on(user, clock):
            await plane.add_node("node-1")
            await plane.beat("node-1", **{"example.com/fan": "True"})
            await asyncio.sleep(50)
            node = await user.get(NODE, "node-1")
            assert condition_is(node, "Ready", "Unknown") and condition_is(node, "example.com/fan")


def types(obj: Object) -> set[str]:
    return {entry["type"] for entry in obj["status"]["conditions"]}
