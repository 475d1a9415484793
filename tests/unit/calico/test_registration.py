"""A node in the datastore: what it says of itself, what stays the user's, what is left when it is gone."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface

import pytest
from support.calico_nodes import NOON, config, facts, pool

from calico import bootstrap
from calico.addresses import handle_of
from calico.ipam.allocator import Ipam
from calico.ipam.blocks import Owner
from calico.ipam.snapshot import read_snapshot
from calico.ipam.tunnels import IPIP
from calico.registration import Registration
from calico.resources import datastore
from calico.resources.endpoints import ClusterInformation, WorkloadEndpoint, endpoint_name
from calico.resources.felix import FelixConfiguration
from calico.resources.nodes import Node
from calico.resources.pools import IPPool
from calico.retirement import Retirement
from calico.settings import NodeRule, settings
from fabric.control.clock import LoopClock
from fabric.store.memory import MemoryStore

RULES = (NodeRule(as_number=65001),)


class Place:
    """A datastore, and nodes that register in it."""

    def __init__(self):
        self.store = MemoryStore()
        self.clock = LoopClock(NOON)
        self.labels = {"zone": "a"}

    def registration(self, number=1):
        ipam = Ipam(self.store, self.clock, f"node-{number}")
        return Registration(self.store, self.clock, facts(number), RULES, ipam, lambda: self.labels)

    async def node(self, number=1):
        return await datastore.get(self.store, Node, f"node-{number}")

    async def make(self, *resources):
        for resource in resources:
            await datastore.create(self.store, resource, self.clock)


@pytest.fixture
async def place():
    return Place()


async def test_a_node_registers_its_address_its_labels_and_its_as_number(place):
    await place.registration().reconcile()
    node = await place.node()
    assert (str(node.spec.bgp.ipv4_address), node.spec.bgp.as_number) == ("192.168.0.11/16", 65001)
    assert node.labels == {"zone": "a"}
    assert node.spec.orch_refs[0].node_name == "node-1"


async def test_a_settled_registration_writes_nothing(place):
    await place.make(pool(vxlan_mode="Always"))
    await place.registration().reconcile()
    before = await place.store.revision()
    await place.registration().reconcile()
    assert await place.store.revision() == before


async def test_tunnels_get_an_address_when_a_pool_wants_them_and_lose_it_when_none_does(place):
    await place.make(pool(ipip_mode="Always"))
    await place.registration().reconcile()
    address = (await place.node()).spec.bgp.ipv4_ipip_tunnel_addr
    assert address in pool().spec.cidr
    assert (await place.node()).spec.ipv4_vxlan_tunnel_addr is None
    have = await datastore.get(place.store, IPPool, "pool-1")
    await datastore.update(
        place.store, replace(have, spec=replace(have.spec, ipip_mode="Never", vxlan_mode="Always"))
    )
    await place.registration().reconcile()
    node = await place.node()
    assert node.spec.bgp.ipv4_ipip_tunnel_addr is None
    assert node.spec.ipv4_vxlan_tunnel_addr in pool().spec.cidr
    assert node.spec.vxlan_tunnel_mac.startswith("66:")
    assert not await Ipam(place.store, place.clock, "node-1").addresses(IPIP.handle("node-1"))


async def test_what_the_user_changed_stays_and_the_address_comes_back(place):
    registration = place.registration()
    await registration.reconcile()
    node = await place.node()
    wrong = ip_interface("192.168.9.9/24")
    bgp = replace(node.spec.bgp, as_number=65009, ipv4_address=wrong, route_reflector_cluster_id="244.0.0.1")
    await datastore.update(place.store, replace(node, spec=replace(node.spec, bgp=bgp, orch_refs=())))
    await registration.reconcile()
    after = (await place.node()).spec
    assert (after.bgp.as_number, after.bgp.route_reflector_cluster_id) == (65009, "244.0.0.1")
    assert str(after.bgp.ipv4_address) == "192.168.0.11/16"
    assert after.orch_refs[0].orchestrator == "k8s"


async def test_labels_follow_the_kubernetes_node_and_others_stay(place):
    await place.registration().reconcile()
    node = await place.node()
    more = replace(node.metadata, labels={**node.labels, "route-reflector": "true"})
    await datastore.update(place.store, replace(node, metadata=more))
    place.labels = {"rack": "1"}
    await place.registration().reconcile()
    assert (await place.node()).labels == {"rack": "1", "route-reflector": "true"}


async def test_the_topologys_resources_are_written_once_and_are_the_users_from_then_on(place):
    section = settings(config(ipipMode="Always"))[0]
    await bootstrap.write(place.store, place.clock, section)
    assert (await datastore.get(place.store, FelixConfiguration, "default")) is not None
    information = await datastore.get(place.store, ClusterInformation, "default")
    assert information.spec.datastore_ready and len(information.spec.cluster_guid) == 32
    await datastore.delete(place.store, IPPool, "default-ipv4-ippool")
    await bootstrap.write(place.store, place.clock, section)
    assert await datastore.get(place.store, IPPool, "default-ipv4-ippool") is None


async def test_a_bootstrap_that_was_cut_is_finished_by_the_next(place):
    section = settings(config())[0]
    await place.make(*section.pools)
    await bootstrap.write(place.store, place.clock, section)
    assert await datastore.get(place.store, ClusterInformation, "default") is not None


async def test_a_node_that_left_gives_back_all_that_it_held(place):
    await place.make(pool(vxlan_mode="Always"))
    for number in (1, 2):
        await place.registration(number).reconcile()
        ipam = Ipam(place.store, place.clock, f"node-{number}")
        await ipam.auto_assign(Owner(handle_of(f"uid-{number}"), {"node": f"node-{number}"}))
        name = endpoint_name(f"node-{number}", f"pod-{number}")
        await place.make(
            WorkloadEndpoint.named(
                name, "default", node=f"node-{number}", pod=f"pod-{number}", container_id=f"uid-{number}"
            )
        )
    await Retirement(place.clock).retire([facts(1)], place.store)
    assert [it.name for it in await datastore.listed(place.store, Node)] == ["node-1"]
    assert [it.spec.pod for it in await datastore.listed(place.store, WorkloadEndpoint)] == ["pod-1"]
    snapshot = await read_snapshot(place.store)
    assert {name.host for name in snapshot.affinities} == {"node-1"}
    assert {block.host for block in snapshot.blocks.values()} == {"node-1"}
    assert all("2" not in handle for handle in snapshot.handles)


async def test_retirement_leaves_the_living_alone(place):
    await place.make(pool(vxlan_mode="Always"))
    await place.registration().reconcile()
    before = await place.store.revision()
    await Retirement(place.clock).retire([facts(1)], place.store)
    assert await place.store.revision() == before
