"""Nodes with Calico's agents and their pods, and all that can go wrong with them: for the model test."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from calico.agent import CalicoAgent
from calico.plugin import CalicoPlugin
from calico.resources import datastore
from calico.resources.nodes import Node
from calico.resources.pools import IPPool
from fabric.api.kinds import NODE, POD
from fabric.api.objects import Key
from fabric.control.clock import LoopClock
from fabric.control.informers import Informers
from fabric.errors import FabricError
from fabric.netstate.objects import Route
from fabric.plugin.contract import PodRef
from fabric.plugin.reflector import Reflectors
from fabric.store.port import Put
from support.calico_cluster import CalicoCluster
from support.calico_nodes import NOON, facts, pool
from support.flaky_store import FlakyStore

POOL = "default-ipv4-ippool"
OTHER = pool("10.250.0.0/24", "other", disabled=True)
MODES = {
    "vxlan": {"vxlan_mode": "Always", "ipip_mode": "Never"},
    "vxlan-between": {"vxlan_mode": "CrossSubnet", "ipip_mode": "Never"},
    "ipip": {"vxlan_mode": "Never", "ipip_mode": "Always"},
    "none": {"vxlan_mode": "Never", "ipip_mode": "Never"},
}
WORKERS = 2
PODS_MAX = 6


class CalicoWorld(CalicoCluster):
    """Two workers share the nodes; a control process sees to those that left. `play` does one thing."""

    def __init__(self, root: Path, seed: int, nodes: int = 4) -> None:
        self.rng = random.Random(seed)
        pool_1 = {"name": POOL, "cidr": "10.244.0.0/28", "blockSize": 29, "vxlanMode": "Always"}
        super().__init__(root, nodes, "vxlan", ipPools=[pool_1])
        self.facts = [facts(number + 1, rack=1 + number % 2) for number in range(nodes)]
        self.store = FlakyStore(self.rng)
        self.plugins: dict[int, CalicoPlugin] = {}
        self._caches: dict[int, tuple[Reflectors, Informers]] = {}
        self.present: set[int] = set()
        self.pods: dict[str, tuple[int, PodRef]] = {}
        self.deleting: set[str] = set()
        self.held: dict[str, set[IPv4Address]] = {}
        """What living pods were told that they have."""
        self.running_agents: dict[int, CalicoAgent] = {}
        self._tasks: dict[object, list[asyncio.Task[None]]] = {}
        self._serial = 0
        self._news = asyncio.Event()

    async def start(self) -> None:
        await self.prepare()
        await self.toggle_pool()
        self._begin("control", self._control())
        for worker in range(WORKERS):
            self._start_worker(worker)
        for number in (1, 2):
            await self.join(number)

    async def join(self, number: int) -> None:
        if number not in self.present:
            self.present.add(number)
            self._wire(self.facts[number - 1])
            self._start_node(number)

    async def leave(self, number: int, seconds: float) -> None:
        """It is in the topology no more; its worker hears of it a little later."""
        if number in self.present:
            self.present.discard(number)
            self._forget_pods(number)
            self.api.remove(NODE, Key("", f"node-{number}"))
            await asyncio.sleep(seconds)
            await self._end(("node", number))
            self.kernel.remove_namespace(f"node-{number}")
            self.daemons[number - 1].programs.clear()

    async def kill_worker(self, worker: int, seconds: float) -> None:
        """It dies wherever it is, and is there again after a while; pods that were going are gone by then."""
        own = [number for number in self.present if number % WORKERS == worker]
        await self._end(("worker", worker), *(("node", number) for number in own))
        await asyncio.sleep(seconds)
        for uid in [uid for uid in self.deleting & self.pods.keys() if self.pods[uid][0] in own]:
            self._gone(uid)
        self._start_worker(worker)
        for number in own:
            self._start_node(number)

    async def linger(self, number: int, seconds: float) -> None:
        """The node's agent is begun anew, while an older one of another process still runs for a moment."""
        if number in self.present:
            older = self._tasks.pop(("node", number))
            older[1].cancel()
            self._start_node(number)
            await asyncio.sleep(seconds)
            older[0].cancel()

    async def cut_power(self, number: int, seconds: float) -> None:
        if number in self.present:
            self.kernel.remove_namespace(f"node-{number}")
            self.daemons[number - 1].programs.clear()
            await asyncio.sleep(seconds)
            self._wire(self.facts[number - 1])
            self.running_agents[number].powered_on()

    async def lose_store(self, seconds: float) -> None:
        self.store.down = True
        await asyncio.sleep(seconds)
        self.store.down = False

    async def lose_history(self, seconds: float) -> None:
        """While the store was away a pool came or went, and what lies before is forgotten."""
        self.store.down = True
        await asyncio.sleep(seconds)
        await self.toggle_pool()
        await self.compact()
        self.store.down = False

    async def toggle_pool(self) -> None:
        if await datastore.get(self.store.inner, IPPool, OTHER.name) is None:
            await datastore.create(self.store.inner, OTHER, LoopClock(NOON))
        else:
            await datastore.delete(self.store.inner, IPPool, OTHER.name)

    async def compact(self) -> None:
        await self.store.inner.compact(await self.store.inner.revision())
        self.store.break_watches()

    async def set_mode(self, mode: str, disabled: bool) -> None:
        pool = await datastore.get(self.store.inner, IPPool, POOL)
        assert pool is not None
        spec = replace(pool.spec, **MODES[mode], disabled=disabled)
        await datastore.update(self.store.inner, replace(pool, spec=spec))

    async def delete_node_by_hand(self, number: int) -> None:
        with suppress(FabricError):
            await datastore.delete(self.store.inner, Node, f"node-{number}")

    async def write_nonsense(self, where: int) -> None:
        kinds = ("nodes/stranger", "bgppeers/stranger", "felixconfigurations/default")
        key = f"/calico/resources/v3/projectcalico.org/{kinds[where % len(kinds)]}"
        await self.store.inner.txn([], [Put(key, b"no json")])

    async def tamper(self, number: int, pick: int) -> None:
        """A stranger deletes what Felix made, or adds what looks like Felix's."""
        if number in self.present:
            owned = sorted(self.felix_state(number), key=str)
            with suppress(FabricError):
                if owned and pick % 5:
                    self.host(number).tamper_delete(owned[pick % len(owned)])
                else:
                    cidr = next(self.facts[0].addresses[0].network.subnets(new_prefix=30))
                    self.host(number).tamper_add(Route(cidr, type="blackhole", proto=80))

    async def label(self, number: int, zone: str) -> None:
        if number in self.present:
            self.api.put(NODE, {"metadata": {"name": f"node-{number}", "labels": {"zone": zone}}})

    async def add_pod(self, number: int) -> None:
        """A new one, and the oldest goes where there are many."""
        if number in self.present:
            self._serial += 1
            self._put_pod(number, f"pod-{self._serial}")
            living = [uid for uid in self.pods if uid not in self.deleting]
            self.deleting |= set(living[:-PODS_MAX])

    async def add_pod_and_kill(self, number: int, seconds: float) -> None:
        await self.add_pod(number)
        await asyncio.sleep(seconds)
        await self.kill_worker(number % WORKERS, 0.1)

    async def replace_pod(self, pick: int) -> None:
        """One was deleted by force, and another of its name is there at once, on the same node."""
        living = sorted(self.pods.keys() - self.deleting)
        if living:
            number, ref = self.pods[living[pick % len(living)]]
            self._serial += 1
            self.deleting.add(ref.uid)
            self._put_pod(number, ref.name)

    async def delete_pod(self, pick: int) -> None:
        uids = sorted(self.pods)
        self.deleting |= {uids[pick % len(uids)]} if uids else set()
        self._news.set()

    def _put_pod(self, number: int, name: str) -> None:
        uid = f"uid-{self._serial}"
        self.pods[uid] = (number, PodRef("default", name, uid, f"pod:{uid}"))
        self.api.put(POD, {"metadata": {"name": name, "namespace": "default", "uid": uid}, "spec": {}})
        self._news.set()

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def raise_bugs(self) -> None:
        """Raise what ended a task that was not told to end."""
        for task in (task for tasks in self._tasks.values() for task in tasks if task.done()):
            task.result()

    async def close(self) -> None:
        await self._end(*self._tasks)

    def _start_node(self, number: int) -> None:
        worker = number % WORKERS
        self.plugin = self.plugins[worker]
        self.reflectors, self.informers = self._caches[worker]
        agent = self.running_agents[number] = self.agent(number)
        self._begin(("node", number), agent.run(), self._kubelet(number, agent))

    def _start_worker(self, worker: int) -> None:
        self.new_process()
        self.plugins[worker] = self.plugin
        self._caches[worker] = (self.reflectors, self.informers)
        self._begin(("worker", worker), self.reflectors.run(), self.informers.run())

    async def _control(self) -> None:
        plugin = CalicoPlugin()
        while True:
            with suppress(FabricError):
                present = [self.facts[number - 1] for number in sorted(self.present)]
                await plugin.collect_garbage(self.section, present, self.store)
            await asyncio.sleep(0.5)

    async def _kubelet(self, number: int, agent: CalicoAgent) -> None:
        """Collect first, then see to all pods at once, each until it is as it shall be."""
        await _insist(lambda: agent.collect(frozenset(uid for uid, _ in self.pods_of(number))))
        attached: set[str] = set()
        while True:
            self._news.clear()
            async with asyncio.TaskGroup() as tasks:
                for uid, ref in self.pods_of(number):
                    tasks.create_task(self._see_to(uid, ref, agent, attached))
            with suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    await self._news.wait()

    async def _see_to(self, uid: str, ref: PodRef, agent: CalicoAgent, attached: set[str]) -> None:
        with suppress(FabricError):
            if uid in self.deleting:
                await agent.delete(ref)
                self._gone(uid)
            elif uid not in attached:
                self._note(uid, (await agent.add(ref)).ips[0].ip)
                attached.add(uid)

    def pods_of(self, number: int) -> list[tuple[str, PodRef]]:
        return [(uid, ref) for uid, (where, ref) in self.pods.items() if where == number]

    def _note(self, uid: str, address: Any) -> None:
        others = {it for other, found in self.held.items() if other != uid for it in found}
        assert address not in others, f"{address} is given twice"
        if uid in self.pods:
            self.held.setdefault(uid, set()).add(address)

    def _gone(self, uid: str) -> None:
        self.pods.pop(uid, None)
        self.held.pop(uid, None)

    def _forget_pods(self, number: int) -> None:
        for uid, _ in self.pods_of(number):
            self._gone(uid)

    def _begin(self, key: object, *coroutines: Coroutine[Any, Any, None]) -> None:
        self._tasks[key] = [asyncio.create_task(coroutine) for coroutine in coroutines]

    async def _end(self, *keys: object) -> None:
        tasks = [task for key in keys for task in self._tasks.pop(key, ())]
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result


async def _insist(ask: Callable[[], Awaitable[None]]) -> None:
    while True:
        with suppress(FabricError):
            return await ask()
        await asyncio.sleep(0.2)
