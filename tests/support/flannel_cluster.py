"""Nodes with flannel agents on the fake kernel: one switch, one store, one API, any number of nodes."""

from __future__ import annotations

import asyncio
import random
from ipaddress import ip_interface, ip_network
from pathlib import Path
from typing import Any

from fabric.api.kinds import NODE
from fabric.kernel.fake import FakeHost, FakeKernel
from fabric.netstate.objects import Address, NetState, Veth
from fabric.plugin.contract import NetworkConfig, NodeContext, NodeFacts, PodRef
from fabric.store.memory import MemoryStore
from fabric.store.port import Store
from flannel import ownership
from flannel.agent import FlannelAgent
from flannel.backends import OPTIONS
from flannel.lease_book import FOLLOWED, LeaseBook
from flannel.leases import Lease, compact
from flannel.net_conf import NetConf, check, document
from flannel.plugin import FlannelPlugin
from support.fake_daemons import FakeDaemons
from support.memory_api import MemoryApi
from support.node_context import node_context


def config(
    backend: str = "vxlan", *, mtu: int = 0, cidrs: str = "10.244.0.0/16", **options: Any
) -> NetworkConfig:
    """A `network` section."""
    return NetworkConfig(tuple(ip_network(cidr) for cidr in cidrs.split()), (), backend, mtu, options)


def conf_of(section: NetworkConfig) -> NetConf:
    """Its net-conf.json, which must be right."""
    conf, problems = check(document(section, OPTIONS), OPTIONS)
    assert conf is not None, problems
    return conf


def facts(number: int, *networks: str) -> NodeFacts:
    """node-1 has 192.168.0.11."""
    nets = [ip_network(network) for network in networks or ("192.168.0.0/16",)]
    addresses = tuple(ip_interface((net.network_address + 10 + number, net.prefixlen)) for net in nets)
    return NodeFacts(f"node-{number}", addresses, "eth0", 1500)


def vxlan_lease(number: int, public_ip: str = "", mac: str = "") -> Lease:
    """The lease that node `number` has in examples: 10.244.<number>.0/24, VTEP 02:00:00:00:00:<number>."""
    public = ip_interface(public_ip or f"192.168.0.{10 + number}").ip
    data = compact({"VNI": 1, "VtepMAC": mac or f"02:00:00:00:00:{number:02x}"})
    return Lease((ip_network(f"10.244.{number}.0/24"),), (public,), "vxlan", (data,))


def host_gw_lease(number: int, public_ip: str = "") -> Lease:
    """The same with backend host-gw."""
    public = ip_interface(public_ip or f"192.168.0.{10 + number}").ip
    return Lease((ip_network(f"10.244.{number}.0/24"),), (public,), "host-gw")


def pod(number: int) -> PodRef:
    return PodRef("default", f"pod-{number}", f"uid-{number}", f"pod:uid-{number}")


class AloneInItsProcess(FlannelAgent):
    """An agent that runs its own lease book."""

    def __init__(self, context: NodeContext, rng: random.Random) -> None:
        super().__init__(context, LeaseBook(context.reflectors.of(FOLLOWED)), rng)
        self._reflectors = context.reflectors

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reflectors.run())
            tasks.create_task(super().run())


class FlannelCluster:
    """`agents[0]` is node-1's; `kernel.host("node-1")` is its namespace."""

    def __init__(self, root: Path, nodes: int = 3, section: NetworkConfig | None = None) -> None:
        self.root = root
        self.section = section or config()
        self.store = MemoryStore()
        self.api = MemoryApi()
        self.kernel = FakeKernel("switch")
        self.facts = [facts(number + 1) for number in range(nodes)]
        for node in self.facts:
            self._wire(node)
        self.agents = [self.agent(number + 1) for number in range(nodes)]

    def host(self, number: int) -> FakeHost:
        return self.kernel.host(f"node-{number}")

    def flannel_state(self, number: int) -> NetState:
        """What flannel owns on that node now."""
        owner = ownership.owner(conf_of(self.section))
        return frozenset(o for o in self.host(number).state if type(o) in owner.kinds and owner.owns(o))

    def agent(self, number: int, store: Store | None = None) -> FlannelAgent:
        """A new agent for the node, as after a restart of its worker."""
        node = self.facts[number - 1]
        context = node_context(
            node,
            self.section,
            self.host(number),
            self.root / node.name,
            store or self.store,
            self.api,
            FakeDaemons(),
        )
        return AloneInItsProcess(context, random.Random(number))

    async def prepare(self) -> None:
        await FlannelPlugin().prepare(self.section, self.store, self.api)

    def _wire(self, node: NodeFacts) -> None:
        self.api.put(NODE, {"metadata": {"name": node.name}})
        host = self.kernel.add_namespace(node.name)
        wire = Veth(name=f"to-{node.name}", peer="eth0", peer_ns=node.name)
        self.kernel.host("switch").tamper_add(wire)
        eth0 = next(obj for obj in host.state if isinstance(obj, Veth))
        host.tamper_add(Veth(**{name: getattr(eth0, name) for name in eth0.__slots__} | {"up": True}))
        for address in node.addresses:
            host.tamper_add(Address(address, "eth0"))
