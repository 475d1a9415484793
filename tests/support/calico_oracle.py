"""What must be true of Calico's nodes once all is quiet, judged from outside: the model test's oracle."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from itertools import chain
from typing import Any

from calico.calc import reading
from calico.calc.calculator import Calculator
from calico.calc.feed import FOLLOWED, put
from calico.felix.node_state import NodeState
from calico.felix.policy_state import PolicySite, PolicyState
from calico.felix.site import Site
from calico.ipam.check import OUTSIDE_POOLS, Use, check
from calico.ipam.snapshot import read_snapshot
from calico.ipam.tunnels import IPIP, VXLAN
from calico.resources import datastore
from calico.resources.endpoints import WorkloadEndpoint
from calico.resources.felix import DEFAULTS
from calico.resources.nodes import Node
from calico.resources.pools import IPPool
from calico.results import Results
from calico.syncer import Snapshot, changed
from fabric.api.objects import sandbox_id
from fabric.netstate.objects import NetState, Route
from support.calico_world import CalicoWorld


async def judge(world: CalicoWorld) -> None:
    """Each address is one living pod's and none is left over; kernels are as a fresh computation has them."""
    assert world.held.keys() == world.pods.keys(), "every living pod has its address"
    endpoints = await datastore.listed(world.store.inner, WorkloadEndpoint)
    assert {it.spec.container_id for it in endpoints} == set(map(sandbox_id, world.pods))
    nodes = await datastore.listed(world.store.inner, Node)
    assert {it.name for it in nodes} == {f"node-{number}" for number in world.present}
    await _judge_addresses(world, nodes)
    found = await world.store.inner.range("/calico/")
    snapshot = changed(Snapshot(), found.revision, ((kv.key, kv) for kv in found.kvs))
    for number in world.present:
        _judge_node(world, number, snapshot, await _policies(world, number, snapshot))
        _judge_ways(world, number, snapshot)


async def _judge_addresses(world: CalicoWorld, nodes: tuple[Node, ...]) -> None:
    uses = [Use(address, uid) for uid, addresses in world.held.items() for address in addresses]
    for node in nodes:
        assert node.spec.bgp is not None
        tunnels = {IPIP: node.spec.bgp.ipv4_ipip_tunnel_addr, VXLAN: node.spec.ipv4_vxlan_tunnel_addr}
        uses += [Use(it, tunnel.handle(node.name)) for tunnel, it in tunnels.items() if it is not None]
    snapshot = await read_snapshot(world.store.inner)
    pools = await datastore.listed(world.store.inner, IPPool)
    found = check(snapshot, pools, uses, frozenset(node.name for node in nodes))
    assert not [finding for finding in found if finding.category != OUTSIDE_POOLS]


def _site(world: CalicoWorld, number: int, snapshot: Snapshot) -> Site:
    node, pools = snapshot.nodes[f"node-{number}"], tuple(snapshot.pools.values())
    return Site(world.facts[number - 1], node, pools, DEFAULTS, has_ipip=False)


async def _policies(world: CalicoWorld, number: int, snapshot: Snapshot) -> NetState:
    """What the node has for policies, calculated of all that is in the datastore at once."""
    calculator = Calculator()
    state = PolicyState(calculator, f"node-{number}")
    for resource_type in FOLLOWED:
        for resource in await datastore.listed(world.store.inner, resource_type):
            if thing := reading.thing(resource):
                put(calculator, thing)
    calculator.flush()
    return frozenset(chain.from_iterable(state.parts(PolicySite.of(_site(world, number, snapshot))).values()))


def _judge_node(world: CalicoWorld, number: int, snapshot: Snapshot, policies: NetState) -> None:
    node, site = snapshot.nodes[f"node-{number}"], _site(world, number, snapshot)
    assert world.felix_state(number) == NodeState(site).desired_state(snapshot) | policies
    assert ("tunl0" in world.daemons[number - 1].programs) == site.wants_ipip
    assert Results(world.root / node.name).containers() == {
        sandbox_id(uid) for uid, _ in world.pods_of(number)
    }
    status = world.running_agents[number].status()
    assert status.ready and status.message.count(";") == site.wants_ipip, status.message


def _judge_ways(world: CalicoWorld, number: int, snapshot: Snapshot) -> None:
    """What goes to a pod of another node goes into that node's tunnel, borrowed addresses too."""
    for uid, (where, _) in world.pods.items():
        for address in world.held[uid] if where != number else ():
            way = max(_routes(world, number, address), key=lambda route: route.dst.prefixlen)
            assert way.via == _vtep(snapshot, where)


def _routes(world: CalicoWorld, number: int, address: IPv4Address) -> Iterator[Route]:
    for obj in world.felix_state(number):
        if isinstance(obj, Route) and address in obj.dst:
            yield obj


def _vtep(snapshot: Snapshot, number: int) -> Any:
    return snapshot.nodes[f"node-{number}"].spec.ipv4_vxlan_tunnel_addr
