"""Calico's agent on the fake kernel: creates, updates, removes, repairs, and rests when all is well."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from graphlib import TopologicalSorter
from ipaddress import ip_address, ip_network

import pytest
from support.calico_cluster import CalicoCluster
from support.calico_nodes import node
from support.owned_task import running

from calico.addresses import handle_of
from calico.agent import SETTLE_SECONDS
from calico.ipam.allocator import Ipam
from calico.resources import datastore
from calico.resources.felix import FelixConfiguration
from calico.resources.nodes import Node
from calico.resources.pools import IPPool
from fabric.errors import FabricError
from fabric.kernel.attach import attach
from fabric.netstate.objects import Address, Chain, FdbEntry, IpSet, Jump, Neighbor, Route, Tun, Vxlan
from fabric.plugin.contract import Program

RESYNC = 95
POOL = "default-ipv4-ippool"


@pytest.fixture
def cluster(tmp_path):
    """Three nodes with VXLAN and no BGP."""
    return CalicoCluster(tmp_path)


def of_type(cluster, number, *kinds):
    return {obj for obj in cluster.felix_state(number) if isinstance(obj, kinds)}


def everything(cluster):
    return running(cluster.shared(), *(agent.run() for agent in cluster.agents))


async def test_each_node_reaches_each_others_block_after_the_start(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        nodes = await datastore.listed(cluster.store, Node)
        for number, node in enumerate(nodes, 1):
            vteps = {it.spec.ipv4_vxlan_tunnel_addr for it in nodes if it is not node}
            routes = of_type(cluster, number, Route)
            assert {it.via for it in routes if it.via} == vteps
            assert len([it for it in routes if it.type == "blackhole"]) == 1
            assert len(of_type(cluster, number, Neighbor)) == len(of_type(cluster, number, FdbEntry)) == 2
        assert all(agent.status().ready for agent in cluster.agents)
    status = cluster.agents[0].status()
    assert (status.reason, status.message) == ("CalicoIsUp", "Calico is running on this node")
    assert status.details["mtu"] == "1450" and status.details["backend"] == "vxlan"


async def test_a_node_that_joins_later_is_added_everywhere_and_leaves_no_trace_when_it_leaves(cluster):
    await cluster.prepare()
    async with running(cluster.shared(), cluster.agents[0].run()):
        await asyncio.sleep(2)
        alone = cluster.felix_state(1)
        async with running(cluster.agents[1].run()):
            await asyncio.sleep(2)
            assert len(cluster.felix_state(1) - alone) == 4, "one is the set of nodes that VXLAN comes from"
        await cluster.plugin.collect_garbage(cluster.section, cluster.facts[:1], cluster.store)
        await asyncio.sleep(1)
        assert cluster.felix_state(1) == alone


async def test_a_peer_whose_address_changes_is_replaced_in_place(cluster):
    await cluster.prepare()
    async with running(cluster.shared(), cluster.agents[0].run(), cluster.agents[1].run()):
        await asyncio.sleep(2)
        (peer,) = of_type(cluster, 1, FdbEntry)
    moved = await datastore.get(cluster.store, Node, "node-2")
    address = replace(moved.spec.bgp, ipv4_address=cluster.facts[2].addresses[0])
    async with running(cluster.shared(), cluster.agents[0].run()):
        await asyncio.sleep(1)
        await datastore.update(cluster.store, replace(moved, spec=replace(moved.spec, bgp=address)))
        await asyncio.sleep(0.5)
        plan = str(cluster.host(1).plans[-1])
    assert plan == (
        f"replace fdb {peer.mac} dst 192.168.0.13 dev vxlan.calico\n"
        "replace ipset cali40all-vxlan-net hash:net family inet\n"
        "  add cali40all-vxlan-net 192.168.0.13\n"
    )


@pytest.mark.parametrize("kind", [Vxlan, Address, Route, Neighbor, FdbEntry, IpSet, Chain, Jump])
async def test_what_a_stranger_deletes_comes_back_with_all_that_hung_on_it(cluster, kind):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        before = cluster.felix_state(1)
        if kind in (Chain, IpSet):
            for rule in (*of_type(cluster, 1, Jump), *_jumping_first(of_type(cluster, 1, Chain))):
                cluster.host(1).tamper_delete(rule)
        for victim in of_type(cluster, 1, kind):
            cluster.host(1).tamper_delete(victim)
        assert cluster.felix_state(1) != before
        await asyncio.sleep(RESYNC)
        assert cluster.felix_state(1) == before


def _jumping_first(chains):
    """The chains, each before those that it jumps to."""
    order = TopologicalSorter(
        {(it.table, it.name): {(it.table, rule.target) for rule in it.rules} for it in chains}
    )
    named = {(it.table, it.name): it for it in chains}
    return [named[key] for key in reversed([*order.static_order()]) if key in named]


async def test_a_strangers_route_of_felixs_protocol_goes_and_any_other_stays(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        before = cluster.felix_state(1)
        (own,) = (it for it in of_type(cluster, 1, Route) if it.type == "blackhole")
        stray = replace(own, dst=next(iter(own.dst.subnets())), metric=7)
        cluster.host(1).tamper_add(stray)
        cluster.host(1).tamper_add(replace(stray, metric=8, proto=3))
        await asyncio.sleep(RESYNC)
        assert cluster.felix_state(1) == before
        assert replace(stray, metric=8, proto=3) in cluster.host(1).state


async def test_a_settled_node_applies_no_plan(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        plans = [len(cluster.host(number).plans) for number in (1, 2, 3)]
        revision = await cluster.store.revision()
        await asyncio.sleep(600)
        assert [len(cluster.host(number).plans) for number in (1, 2, 3)] == plans
        assert await cluster.store.revision() == revision


async def test_a_restarted_agent_touches_nothing(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
    plans, revision = len(cluster.host(1).plans), await cluster.store.revision()
    cluster.new_process()
    again = cluster.agent(1)
    async with running(cluster.shared(), again.run()):
        await asyncio.sleep(3)
        assert again.status().ready
    assert (len(cluster.host(1).plans), await cluster.store.revision()) == (plans, revision)


async def test_before_the_datastore_was_read_nothing_is_deleted(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
    before = cluster.felix_state(1)
    cluster.new_process()
    again = cluster.agent(1)
    async with running(again.run()):
        await asyncio.sleep(60)
        assert cluster.felix_state(1) == before
        assert not again.status().ready
        with pytest.raises(FabricError, match="not up on node-1"):
            await again.add(cluster.new_pod(1))


async def test_a_pool_that_changes_its_mode_changes_every_node(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        pool = await datastore.get(cluster.store, IPPool, POOL)
        bare = replace(pool.spec, vxlan_mode="CrossSubnet")
        await datastore.update(cluster.store, replace(pool, spec=bare))
        await asyncio.sleep(1)
        for number in (1, 2, 3):
            hops = {it.dev for it in of_type(cluster, number, Route) if it.via}
            assert hops == {"eth0"}, "all nodes are on one network"


async def test_pods_hang_on_their_node_and_are_let_go(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        ref = cluster.new_pod(1)
        attached = await cluster.agents[0].add(ref)
        await attach(cluster.kernel, "node-1", ref.netns, attached.node, attached.pod)
        await cluster.agents[0].until_programmed(ref)
        before = cluster.felix_state(1)
        await asyncio.sleep(RESYNC)
        assert cluster.felix_state(1) == before, "the pod's route is the kubelet's, not Felix's"
        await cluster.agents[0].delete(ref)
        ipam = Ipam(cluster.store, cluster.plugin._clock, "node-1")
        assert not await ipam.addresses(handle_of(ref.uid))


async def test_an_mtu_that_felix_is_given_is_the_devices_and_the_pods(cluster):
    await cluster.prepare()
    await cluster.put(FelixConfiguration.named("node.node-1", vxlan_mtu=1400))
    async with everything(cluster):
        await asyncio.sleep(3)
        found = [(await cluster.agents[n - 1].add(cluster.new_pod(n))).mtu for n in (1, 2)]
        assert found == [1400, 1450]
        assert [it.mtu for n in (1, 2) for it in of_type(cluster, n, Vxlan)] == found


async def test_where_the_kernel_has_no_ipip_a_carrier_serves_tunl0(tmp_path):
    cluster = CalicoCluster(tmp_path, 2, "bird", ipipMode="Always")
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        assert of_type(cluster, 1, Tun) == {Tun("tunl0", mtu=1480)}
        assert cluster.daemons[0].programs["tunl0"] == Program("tunl0", ("ipip-carrier", "tunl0"))
        assert not of_type(cluster, 1, Route), "BIRD writes them"
        pool = await datastore.get(cluster.store, IPPool, POOL)
        bare = replace(pool.spec, ipip_mode="Never")
        await datastore.update(cluster.store, replace(pool, spec=bare))
        await asyncio.sleep(2)
        assert "tunl0" not in cluster.daemons[0].programs
        assert not of_type(cluster, 1, Tun, Route)


async def test_the_protocol_and_the_source_of_pods_routes_are_those_that_felix_is_given(cluster):
    await cluster.prepare()
    source = ip_address("192.168.0.11")
    async with everything(cluster):
        await asyncio.sleep(3)
        ref = cluster.new_pod(1)
        (plain,) = pod_routes(await cluster.agents[0].add(ref))
        assert (plain.proto, plain.src, plain.scope) == (3, None, "link")
        given = {"device_route_protocol": 90, "device_route_source_address": source}
        await cluster.put(FelixConfiguration.named("default", **given))
        await asyncio.sleep(1)
        (route,) = pod_routes(await cluster.agents[0].check(ref))
        assert (route.proto, route.src, route.dst) == (90, source, plain.dst)


def pod_routes(attachment):
    return [it for it in attachment.node if isinstance(it, Route)]


@pytest.mark.parametrize("removes", [True, False])
async def test_a_strangers_route_over_a_pods_device_goes_unless_felix_is_told_to_leave_it(cluster, removes):
    await cluster.prepare()
    await cluster.put(FelixConfiguration.named("default", remove_external_routes=removes))
    async with everything(cluster):
        await asyncio.sleep(3)
        ref = cluster.new_pod(1)
        attached = await cluster.agents[0].add(ref)
        await attach(cluster.kernel, "node-1", ref.netns, attached.node, attached.pod)
        (own,) = pod_routes(attached)
        strange = replace(own, dst=ip_network("10.99.0.0/24"))
        cluster.host(1).tamper_add(strange)
        await asyncio.sleep(RESYNC)
        state = cluster.host(1).state
        assert own in state and (strange in state) is not removes


async def test_a_change_after_a_quiet_time_is_written_without_a_wait_and_a_burst_after_it_at_once(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        host = cluster.host(1)
        known = len(host.plans)
        await cluster.put(node(4))
        await asyncio.sleep(SETTLE_SECONDS / 4)
        assert len(host.plans) == known + 1
        for number in range(5, 10):
            await cluster.put(node(number))
            await asyncio.sleep(0.001)
        await asyncio.sleep(1)
        assert len(host.plans) == known + 2
