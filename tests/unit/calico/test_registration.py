"""A node in the datastore: what it says of itself, and what stays the user's."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import ip_interface, ip_network

import pytest
from support.calico_nodes import NOON, config, facts, pool
from support.memory_api import MemoryApi
from support.owned_task import running

from calico import bootstrap
from calico.ipam.allocator import Ipam, OutOfAddresses
from calico.ipam.tunnels import IPIP
from calico.kube_annotations import KubeAnnotations
from calico.registration import Registration
from calico.resources import datastore
from calico.resources.endpoints import ClusterInformation
from calico.resources.felix import FelixConfiguration
from calico.resources.nodes import Node, NodeAddress
from calico.resources.pools import IPPool, IPReservation
from calico.resources.table import kind_of, store_key
from calico.settings import NodeRule, settings
from fabric.api.kinds import NODE
from fabric.control.clock import LoopClock
from fabric.errors import Conflict, FabricError
from fabric.store.memory import MemoryStore
from fabric.store.port import Put

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
    node = await place.node()
    assert node.labels == {"rack": "1", "route-reflector": "true"}
    assert node.metadata.annotations["projectcalico.org/kube-labels"] == '{"rack":"1"}', "as Go writes it"


async def test_a_new_node_is_written_once_with_all_that_it_has(place):
    await place.make(pool(vxlan_mode="Always"))
    before = await place.store.revision()
    await place.registration().reconcile()
    key = store_key(kind_of(Node), "node-1")
    kv = await place.store.get(key)
    assert kv.version == 1 and (await place.node()).spec.ipv4_vxlan_tunnel_addr is not None
    assert kv.mod_revision > before + 1, "the tunnel's address comes first"


async def test_a_tunnel_for_which_there_is_no_address_holds_up_nothing_else_and_is_told(place):
    await place.make(pool("10.244.0.0/32", vxlan_mode="Always", block_size=32))
    await place.registration(1).reconcile()
    await place.make(IPReservation.named("all", reserved_cidrs=(ip_network("10.244.0.0/32"),)))
    with pytest.raises(OutOfAddresses):
        await place.registration(2).reconcile()
    assert (await place.node(2)).labels == {"zone": "a"}
    place.labels = {"zone": "b"}
    with pytest.raises(OutOfAddresses):
        await place.registration(2).reconcile()
    node = await place.node(2)
    assert (node.labels, node.spec.ipv4_vxlan_tunnel_addr) == ({"zone": "b"}, None)


async def test_while_the_kubernetes_nodes_labels_are_unknown_the_nodes_own_stay(place):
    place.labels = {"zone": "a", "route-reflector": "true"}
    await place.registration().reconcile()
    before = await place.store.revision()
    place.labels = None
    await place.registration().reconcile()
    assert await place.store.revision() == before
    place.labels = {"zone": "a"}
    await place.registration().reconcile()
    assert (await place.node()).labels == {"zone": "a"}


async def test_a_node_registers_before_kubernetes_has_it_with_the_topologys_labels(place):
    place.labels = None
    first = replace(facts(1), labels={"rack": "1"})
    registration = Registration(place.store, place.clock, first, RULES, None, lambda: place.labels)
    await registration.reconcile()
    assert (await place.node()).labels == {"rack": "1"}
    place.labels = {"zone": "a"}
    await registration.reconcile()
    assert (await place.node()).labels == {"zone": "a"}, "what came from there is theirs"


async def test_addresses_that_the_node_has_no_more_go_and_others_stay(place):
    await place.registration().reconcile()
    node = await place.node()
    more = [
        NodeAddress(address="192.168.0.99/16", type="CalicoNodeIP"),
        NodeAddress(address="203.0.113.7", type="ExternalIP"),
    ]
    bgp = replace(node.spec.bgp, ipv6_address=ip_interface("fd00::1/64"))
    spec = replace(node.spec, addresses=(*node.spec.addresses, *more), bgp=bgp)
    await datastore.update(place.store, replace(node, spec=spec))
    await place.registration().reconcile()
    spec = (await place.node()).spec
    assert [(it.address, it.type) for it in spec.addresses] == [
        ("192.168.0.11/16", "CalicoNodeIP"),
        ("192.168.0.11", "InternalIP"),
        ("203.0.113.7", "ExternalIP"),
    ]
    assert spec.bgp.ipv6_address is None


async def test_another_who_writes_the_node_all_the_time_is_met_with_growing_pauses(place, monkeypatch):
    await place.registration().reconcile()
    place.labels = {"zone": "b"}
    tries = []

    async def meets_another(*_):
        tries.append(asyncio.get_running_loop().time())
        raise Conflict("Node(node-1)")

    monkeypatch.setattr(datastore, "update", meets_another)
    async with running(place.registration().run()):
        await asyncio.sleep(1)
        assert [round(at - tries[0], 1) for at in tries] == [0, 0.1, 0.3, 0.7]


async def test_a_node_whose_key_somebody_spoilt_is_told_and_left_to_him(place):
    await place.store.txn([], [Put(store_key(kind_of(Node), "node-1"), b"no json")])
    with pytest.raises(FabricError, match=r"nodes/node-1 cannot be read \(.*\): repair or delete the key"):
        await place.registration().reconcile()


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


async def test_the_kubernetes_node_tells_its_calico_addresses(place):
    api = MemoryApi()
    ipam, told = Ipam(place.store, place.clock, "node-1"), KubeAnnotations(api, "node-1")
    first = Registration(place.store, place.clock, facts(1), RULES, ipam, lambda: place.labels, told)
    await place.make(pool(ipip_mode="Always"))
    await first.reconcile()
    api.put(NODE, {"metadata": {"name": "node-1", "annotations": {"mine": "stays"}}})
    await first.reconcile()
    tunnel = (await place.node()).spec.bgp.ipv4_ipip_tunnel_addr
    assert (await api.get(NODE, "node-1"))["metadata"]["annotations"] == {
        "mine": "stays",
        "projectcalico.org/ASNumber": "65001",
        "projectcalico.org/IPv4Address": "192.168.0.11/16",
        "projectcalico.org/IPv4IPIPTunnelAddr": str(tunnel),
    }
