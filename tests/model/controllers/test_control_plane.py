"""Users, silent nodes, crashes and a bad line, in any order: the control plane settles to what must be.

The oracle knows only what users did: which uids they deleted, which nodes went away or are silent.
"""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from support.control_plane import ControlPlane, controllers_on, owner_ref
from support.flaky_client import FlakyClient
from support.registry import START, running
from support.virtual_time import VirtualTimeLoop

from fabric.api.kinds import CONFIG_MAP, LEASE, NAMESPACE, NODE, POD, SERVICE_ACCOUNT, KindTable
from fabric.api.objects import Object, condition_is, is_deleting, uid_of
from fabric.apiserver.local import LocalClient
from fabric.apiserver.namespaces import INITIAL
from fabric.apiserver.registry import Registry
from fabric.control.clock import LoopClock
from fabric.errors import ApiError, Conflict, NotFound
from fabric.store.memory import MemoryStore

BEAT_SECONDS = 10
SILENT_SECONDS_MAX = 300
"""A node that is silent for less keeps its pods: 40 s of grace and 300 s of toleration."""
SETTLE_SECONDS = 400
HELD = "fabric.dev/hold"

picks = st.integers(0, 999)


class World(RuleBasedStateMachine):
    """Acts for users and kubelets, and keeps the oracle's books."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.serial = 0
        self.namespaces = ["default"]
        self.objects: dict[str, Object] = {}
        """All objects that users ever made, by uid."""
        self.deleted: set[str] = set()
        """Uids that cannot live: deleted by a user, or with their namespace or node."""
        self.nodes: dict[str, str] = {}
        self.silent: dict[str, float] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self.do(self._begin())

    # What users do.

    @rule()
    def a_namespace_is_made(self) -> None:
        name = self._name("team")
        self.do(self.plane.add_namespace(name))
        self.namespaces.append(name)

    @precondition(lambda self: len(self.namespaces) > 1)
    @rule(pick=picks)
    def a_namespace_is_deleted(self, pick: int) -> None:
        name = self.namespaces.pop(1 + pick % (len(self.namespaces) - 1))
        self.do(self.plane.client.delete(NAMESPACE, name))
        self.deleted |= {u for u, o in self.objects.items() if o["metadata"].get("namespace") == name}

    @rule(where=picks, owners=st.lists(picks, max_size=2), blocking=st.booleans(), held=st.booleans())
    def a_config_map_is_made(self, where: int, owners: list[int], blocking: bool, held: bool) -> None:
        namespace = self.namespaces[where % len(self.namespaces)]
        found = self._owners(namespace, owners)
        meta: Any = {"namespace": namespace} | ({"finalizers": [HELD]} if held else {})
        self._note(self.plane.add_config_map(self._name("map"), *found, blocking=blocking, **meta))

    @rule(where=picks, node=picks, owners=st.lists(picks, max_size=1))
    def a_pod_is_made(self, where: int, node: int, owners: list[int]) -> None:
        namespace = self.namespaces[where % len(self.namespaces)]
        nodes = ["", *self.nodes]
        refs = [owner_ref(owner) for owner in self._owners(namespace, owners)]
        on = nodes[node % len(nodes)]
        self._note(self.plane.add_pod(self._name("pod"), on, namespace, ownerReferences=refs))

    @precondition(lambda self: self.objects)
    @rule(pick=picks, propagation=st.sampled_from(["Background", "Foreground"]))
    def an_object_is_deleted(self, pick: int, propagation: str) -> None:
        uid = list(self.objects)[pick % len(self.objects)]
        obj = self.objects[uid]
        meta = obj["metadata"]
        kind = POD if obj["kind"] == "Pod" else CONFIG_MAP
        asked = self.plane.client.delete(
            kind, meta["name"], meta["namespace"], uid=uid, propagation=propagation
        )
        self.do(ignoring(asked, NotFound))
        self.deleted.add(uid)

    # What nodes do.

    @rule()
    def a_node_joins(self) -> None:
        name = self._name("node")
        self.do(self.plane.add_node(name))
        self.nodes[name] = uid_of(self.do(self.plane.client.get(NODE, name)))

    @precondition(lambda self: self.nodes)
    @rule(pick=picks)
    def a_node_is_deleted(self, pick: int) -> None:
        name = list(self.nodes)[pick % len(self.nodes)]
        self.silent.pop(name, None)
        self.deleted |= {self.nodes.pop(name), *self._pods_on(name)}
        self.do(self.plane.client.delete(NODE, name))

    @precondition(lambda self: self.nodes)
    @rule(pick=picks)
    def a_node_falls_silent(self, pick: int) -> None:
        name = list(self.nodes)[pick % len(self.nodes)]
        self.silent.setdefault(name, self.loop.time())

    @precondition(lambda self: self.silent)
    @rule(pick=picks)
    def a_node_comes_back(self, pick: int) -> None:
        name = list(self.silent)[pick % len(self.silent)]
        if self.loop.time() - self.silent[name] < SILENT_SECONDS_MAX:
            del self.silent[name]

    # What the world does.

    @rule(seconds=st.sampled_from([0.01, 1.0, 15.0, 50.0]))
    def time_passes(self, seconds: float) -> None:
        self.do(asyncio.sleep(seconds))

    @rule()
    def the_controllers_are_killed_and_started_again(self) -> None:
        self.do(self._restart_controllers())

    @rule(forgotten=st.booleans())
    def watches_break(self, forgotten: bool) -> None:
        self.flaky.break_watches(forgotten=forgotten)

    @rule(number=st.integers(1, 3))
    def answers_are_lost(self, number: int) -> None:
        self.flaky.answers_to_lose += number

    @rule(seconds=st.sampled_from([0.5, 20.0]))
    def the_server_is_away_for_the_controllers(self, seconds: float) -> None:
        self.flaky.down = True
        self.flaky.break_watches()
        self.do(asyncio.sleep(seconds))
        self.flaky.down = False

    # What must be in the end.

    def teardown(self) -> None:
        try:
            self.do(self._check_the_end())
        finally:
            self.loop.run_until_complete(self._end())
            self.loop.close()

    async def _check_the_end(self) -> None:
        await self._let_go()
        await asyncio.sleep(SETTLE_SECONDS)
        for name in self.silent:
            await self._check_silent(name)
            self.deleted |= self._pods_on(name)
        self.silent.clear()
        await asyncio.sleep(SETTLE_SECONDS)
        listed = [*await self._all(CONFIG_MAP), *await self._all(POD)]
        assert {uid_of(obj) for obj in listed} == self._survivors()
        assert await self.plane.names(NAMESPACE) == {*self.namespaces, *INITIAL}
        accounts = {obj["metadata"]["namespace"] for obj in await self._all(SERVICE_ACCOUNT)}
        assert accounts == {*self.namespaces, *INITIAL}
        assert await self.plane.names(LEASE) == await self.plane.names(NODE) == set(self.nodes)
        for node in await self._all(NODE):
            assert condition_is(node, "Ready")
            assert not (node.get("spec") or {}).get("taints")
        for pod in await self._all(POD):
            assert not pod["spec"].get("nodeName") or not is_deleting(pod)

    async def _check_silent(self, name: str) -> None:
        node = await self.plane.client.get(NODE, name)
        assert condition_is(node, "Ready", "Unknown")
        assert {taint["effect"] for taint in node["spec"]["taints"]} == {"NoSchedule", "NoExecute"}
        for pod in await self._all(POD):
            if pod["spec"].get("nodeName") == name:
                assert is_deleting(pod)
                assert not condition_is(pod, "Ready")

    def _survivors(self) -> set[str]:
        """An object lives unless it was deleted, or had owners and none of them lives."""
        alive = {*self.objects, *self.nodes.values()} - self.deleted
        while dead := {uid for uid in alive if not self._is_kept(uid, alive)}:
            alive -= dead
        return alive - set(self.nodes.values())

    def _is_kept(self, uid: str, alive: set[str]) -> bool:
        refs = self.objects.get(uid, {"metadata": {}})["metadata"].get("ownerReferences")
        return not refs or any(ref["uid"] in alive for ref in refs)

    async def _let_go(self) -> None:
        for obj in await self._all(CONFIG_MAP):
            while HELD in ((meta := obj["metadata"]).get("finalizers") or ()):
                rest = [finalizer for finalizer in meta["finalizers"] if finalizer != HELD]
                try:
                    freed = obj | {"metadata": meta | {"finalizers": rest}}
                    obj = await self.plane.client.update(CONFIG_MAP, freed)
                except Conflict:
                    obj = await self.plane.client.get(CONFIG_MAP, meta["name"], meta["namespace"])

    # The machinery.

    def do(self, call: Any) -> Any:
        """Run until the call is done; a bug in any loop comes up here."""
        try:
            return self.loop.run_until_complete(asyncio.wait_for(call, 3600))
        finally:
            for task in self.tasks:
                if task.done():
                    task.result()

    async def _begin(self) -> None:
        self.clock = LoopClock(START)
        registry = Registry(MemoryStore(), KindTable(), self.clock)
        client = LocalClient(registry)
        self.plane = ControlPlane(client, self.clock)
        self.flaky = FlakyClient(client)
        ready = asyncio.Event()
        self.tasks = [asyncio.create_task(self._serve(registry, ready))]
        await ready.wait()
        self.tasks += [asyncio.create_task(self._control()), asyncio.create_task(self._be_kubelets())]

    async def _serve(self, registry: Registry, ready: asyncio.Event) -> None:
        async with running(registry):
            ready.set()
            await asyncio.Event().wait()

    async def _control(self) -> None:
        async with controllers_on(self.flaky, self.clock):
            await asyncio.Event().wait()

    async def _restart_controllers(self) -> None:
        self.tasks[1].cancel()
        await asyncio.gather(self.tasks[1], return_exceptions=True)
        self.tasks[1] = asyncio.create_task(self._control())

    async def _end(self) -> None:
        for task in reversed(self.tasks):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self.loop.shutdown_asyncgens()

    async def _be_kubelets(self) -> None:
        """Every node that is not silent beats, and ends the pods that are being deleted."""
        while True:
            awake = [name for name in self.nodes if name not in self.silent]
            for name in awake:
                await ignoring(self.plane.beat(name), NotFound)
            for pod in await self._all(POD):
                if is_deleting(pod) and pod["spec"].get("nodeName") in awake:
                    meta = pod["metadata"]
                    done = self.plane.client.delete(
                        POD, meta["name"], meta["namespace"], grace_period_seconds=0, uid=meta["uid"]
                    )
                    await ignoring(done, NotFound, Conflict)
            await asyncio.sleep(BEAT_SECONDS)

    def _note(self, creation: Any) -> None:
        created = self.do(creation)
        self.objects[uid_of(created)] = created

    def _owners(self, namespace: str, picked: list[int]) -> list[Object]:
        """Objects that may own something in the namespace, dead or alive, each once."""
        here = [o for o in self.objects.values() if o["metadata"]["namespace"] == namespace]
        return list({uid_of(o): o for o in (here[pick % len(here)] for pick in picked if here)}.values())

    def _pods_on(self, node: str) -> set[str]:
        return {uid for uid, o in self.objects.items() if (o.get("spec") or {}).get("nodeName") == node}

    async def _all(self, kind: Any) -> tuple[Object, ...]:
        return (await self.plane.client.list(kind)).items

    def _name(self, prefix: str) -> str:
        self.serial += 1
        return f"{prefix}-{self.serial}"


async def ignoring(call: Any, *errors: type[ApiError]) -> None:
    try:
        await call
    except errors:
        return


TestControlPlane = World.TestCase
TestControlPlane.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
