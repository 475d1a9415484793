"""Nodes with Calico's agents on the fake kernel: one switch, one store, one API, any number of nodes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from calico.felix import ownership
from calico.plugin import CalicoPlugin
from calico.resources import datastore
from calico.resources.envelope import Resource
from fabric.api.kinds import NODE, POD
from fabric.control.clock import LoopClock
from fabric.control.informers import Informers
from fabric.kernel.fake import FakeHost, FakeKernel
from fabric.netstate.objects import Address, NetState, Veth
from fabric.plugin.contract import NetworkPlugin, NodeFacts, PodRef
from fabric.plugin.reflector import Reflectors
from support.calico_nodes import NOON, config, facts
from support.fake_daemons import FakeDaemons
from support.flaky_store import FlakyStore
from support.memory_api import MemoryApi
from support.node_context import node_context


def pod(number: int) -> PodRef:
    return PodRef("default", f"pod-{number}", f"uid-{number}", f"pod:uid-{number}")


class CalicoCluster:
    """`agents[0]` is node-1's; `host(1)` is its namespace, `daemons[0]` its programs."""

    def __init__(
        self,
        root: Path,
        nodes: int = 3,
        backend: str = "vxlan",
        *,
        plugin: NetworkPlugin | None = None,
        **options: Any,
    ) -> None:
        self.root = root
        self.section = config(backend, **options)
        self.store = FlakyStore()
        self.api = MemoryApi()
        self.kernel = FakeKernel("switch")
        self.plugin: Any = plugin or CalicoPlugin()
        self.facts = [facts(number + 1) for number in range(nodes)]
        self.daemons = [FakeDaemons() for _ in self.facts]
        self.new_process()
        for node in self.facts:
            self._wire(node)
        self.agents = [self.agent(number + 1) for number in range(nodes)]

    def _wire(self, node: NodeFacts) -> None:
        self.api.put(NODE, {"metadata": {"name": node.name}})
        host = self.kernel.add_namespace(node.name)
        self.kernel.host("switch").tamper_add(Veth(f"to-{node.name}", peer="eth0", peer_ns=node.name))
        eth0 = next(obj for obj in host.state if isinstance(obj, Veth))
        host.tamper_add(replace(eth0, up=True))
        host.tamper_add(Address(node.addresses[0], "eth0"))

    def agent(self, number: int) -> Any:
        """A new agent for the node, as after a restart of its worker."""
        node = self.facts[number - 1]
        context = node_context(
            node,
            self.section,
            self.host(number),
            self.root / node.name,
            self.store,
            self.api,
            self.daemons[number - 1],
            self.reflectors,
            self.informers,
        )
        return self.plugin.agent(context)

    def host(self, number: int) -> FakeHost:
        return self.kernel.host(f"node-{number}")

    def felix_state(self, number: int) -> NetState:
        """What Felix owns on that node now."""
        owner = ownership.owner()
        return frozenset(o for o in self.host(number).state if type(o) in owner.kinds and owner.owns(o))

    async def prepare(self) -> None:
        await self.plugin.prepare(self.section, self.store, self.api)

    def new_process(self) -> None:
        """Have agents that are made from now on belong to another process, with caches of its own."""
        self.plugin = type(self.plugin)()
        self.reflectors = Reflectors(self.store)
        self.informers = Informers(self.api)

    async def shared(self) -> None:
        """The caches that the agents of a process share, to be run beside them."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.reflectors.run())
            tasks.create_task(self.informers.run())

    async def put(self, resource: Resource) -> None:
        """Write a resource, over the one that is there."""
        before = await datastore.get(self.store, type(resource), resource.name)
        if before is None:
            await datastore.create(self.store, resource, LoopClock(NOON))
        else:
            await datastore.update(self.store, resource)

    def new_pod(self, number: int) -> PodRef:
        """A pod that the API knows, with a namespace."""
        ref = pod(number)
        metadata = {"name": ref.name, "namespace": ref.namespace, "uid": ref.uid}
        self.api.put(POD, {"metadata": metadata, "spec": {}})
        self.kernel.add_namespace(ref.netns)
        return ref
