"""Nodes that left give back what they held, in whatever state; what nobody has any more is collected."""

from __future__ import annotations

import asyncio
import logging

import pytest
from support.calico_nodes import NOON, facts, pool
from support.flaky_store import FlakyStore

from calico.addresses import handle_of
from calico.ipam import keys
from calico.ipam.allocator import Ipam
from calico.ipam.blocks import Owner
from calico.ipam.snapshot import read_snapshot
from calico.node_controller import GC_SECONDS, LOOK_SECONDS, NodeController
from calico.registration import Registration
from calico.resources import datastore
from calico.resources.endpoints import WorkloadEndpoint, endpoint_name
from calico.resources.nodes import Node
from fabric.control.clock import LoopClock
from fabric.errors import StoreUnavailable
from fabric.store.port import Put

GRACE = 900


class Place:
    """Three nodes with a pod each, and the process that sees to those that leave."""

    def __init__(self):
        self.store = FlakyStore()
        self.clock = LoopClock(NOON)
        self.node_controller = NodeController(self.clock)

    async def join(self, number):
        ipam = Ipam(self.store, self.clock, f"node-{number}")
        await Registration(self.store, self.clock, facts(number), (), ipam, dict).reconcile()
        await ipam.auto_assign(Owner(handle_of(f"uid-{number}"), {"node": f"node-{number}"}))
        await self.write_endpoint(number)

    async def write_endpoint(self, number):
        pod, node = f"pod-{number}", f"node-{number}"
        endpoint = WorkloadEndpoint.named(
            endpoint_name(node, pod), "default", node=node, pod=pod, container_id=f"uid-{number}"
        )
        await datastore.create(self.store, endpoint, self.clock)

    async def collect_garbage(self, *present):
        await self.node_controller.collect_garbage([facts(number) for number in present], self.store)

    async def nodes(self):
        return [it.name for it in await datastore.listed(self.store, Node)]

    async def pods(self):
        return [it.spec.pod for it in await datastore.listed(self.store, WorkloadEndpoint)]

    async def addresses_of(self, number):
        return await Ipam(self.store, self.clock, "any").addresses(handle_of(f"uid-{number}"))


@pytest.fixture
async def place():
    found = Place()
    await datastore.create(found.store, pool(vxlan_mode="Always"), found.clock)
    for number in (1, 2, 3):
        await found.join(number)
    return found


async def test_a_node_that_left_gives_back_all_that_it_held(place):
    await place.collect_garbage(1)
    assert (await place.nodes(), await place.pods()) == (["node-1"], ["pod-1"])
    snapshot = await read_snapshot(place.store)
    assert {name.host for name in snapshot.affinities} == {"node-1"}
    assert {block.host for block in snapshot.blocks.values()} == {"node-1"}
    assert sorted(snapshot.handles) == ["k8s-pod-network.uid-1", "vxlan-tunnel-addr-node-1"]


async def test_nodes_that_are_there_keep_what_they_hold(place):
    before = await place.store.revision()
    await place.collect_garbage(1, 2, 3)
    assert await place.store.revision() == before


async def test_while_the_topology_is_the_same_looks_are_few(place):
    await place.collect_garbage(1, 2, 3)
    place.store.calls.clear()
    for _ in range(int(60 / 0.5)):
        await asyncio.sleep(0.5)
        await place.collect_garbage(1, 2, 3)
    assert len(place.store.calls) <= 60 / LOOK_SECONDS * 2 + 2


async def test_a_node_that_registers_once_more_after_it_left_goes_again(place):
    await place.collect_garbage(1, 2)
    await place.join(3)
    await asyncio.sleep(0.5)
    await place.collect_garbage(1, 2)
    assert (await place.nodes(), await place.pods()) == (["node-1", "node-2"], ["pod-1", "pod-2"])
    await asyncio.sleep(LOOK_SECONDS + 1)
    await place.join(3)
    await place.collect_garbage(1, 2)
    await asyncio.sleep(LOOK_SECONDS)
    await place.collect_garbage(1, 2)
    assert await place.nodes() == ["node-1", "node-2"]


async def test_an_endpoint_that_came_after_its_node_had_gone_is_found_when_it_is_looked_for(place):
    await place.collect_garbage(1, 2)
    await place.write_endpoint(3)
    await asyncio.sleep(GC_SECONDS)
    await place.collect_garbage(1, 2)
    assert await place.pods() == ["pod-1", "pod-2"]


async def test_a_node_whose_things_cannot_be_read_holds_up_no_other_and_is_told(place, caplog):
    (cidr,) = [name.cidr for name in (await read_snapshot(place.store)).affinities if name.host == "node-2"]
    await place.store.txn([], [Put(keys.block(cidr), b"no json")])
    with caplog.at_level(logging.WARNING):
        await place.collect_garbage(1)
    assert await place.nodes() == ["node-1", "node-2"]
    assert f"node-2 left, and what it held cannot be released: {keys.block(cidr)}" in caplog.text
    place.store.calls.clear()
    await place.collect_garbage(1)
    assert not place.store.calls, "it is not tried at every turn"


async def test_while_the_store_is_away_nothing_is_taken_for_done(place):
    place.store.down = True
    with pytest.raises(StoreUnavailable):
        await place.collect_garbage(1)
    place.store.down = False
    await place.collect_garbage(1)
    assert await place.nodes() == ["node-1"]


async def test_an_address_whose_pod_is_gone_is_collected_after_the_grace_and_no_other(place):
    key = f"workloadendpoints/default/{endpoint_name('node-3', 'pod-3')}"
    await datastore.delete(place.store, WorkloadEndpoint, key.rpartition("/")[2], "default")
    for _ in range(int(GRACE / GC_SECONDS) + 2):
        await place.collect_garbage(1, 2, 3)
        await asyncio.sleep(GC_SECONDS)
    assert [bool(await place.addresses_of(number)) for number in (1, 2, 3)] == [True, True, False]


async def test_while_it_cannot_be_told_whose_address_is_whose_none_is_collected(place, caplog):
    """The pod of an endpoint that somebody spoilt may well be alive."""
    key = "/calico/resources/v3/projectcalico.org/workloadendpoints/default/"
    await place.store.txn([], [Put(key + endpoint_name("node-3", "pod-3"), b"no json")])
    with caplog.at_level(logging.WARNING):
        for _ in range(int(GRACE / GC_SECONDS) + 2):
            await place.collect_garbage(1, 2, 3)
            await asyncio.sleep(GC_SECONDS)
    assert await place.addresses_of(3)
    assert "WorkloadEndpoints that cannot be read: default/node--3-k8s-pod--3-eth0" in caplog.text


async def test_an_ipam_that_cannot_be_read_stops_no_node_from_leaving(place):
    await place.store.txn([], [Put("/calico/ipam/v2/handle/x", b"no json")])
    await place.collect_garbage(1, 2, 3)
    await place.collect_garbage(1, 2)
    assert await place.nodes() == ["node-1", "node-2"]
