"""FelixConfiguration's fields as Calico's agent carries them out on the fake kernel."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from support.calico_cluster import CalicoCluster
from support.calico_nodes import pool
from support.owned_task import running

from calico.bgp import exports
from calico.resources import datastore
from calico.resources.endpoints import WorkloadEndpoint, interface_name
from calico.resources.felix import DEFAULTS, FelixConfiguration
from fabric.kernel.attach import attach
from fabric.netstate.objects import FdbEntry, Neighbor, Route, Veth, Vxlan
from fabric.netstate.port import medium_of_kind

RESYNC = 95


@pytest.fixture
def cluster(tmp_path):
    """Two nodes with VXLAN and no BGP."""
    return CalicoCluster(tmp_path, 2)


def everything(cluster):
    return running(cluster.shared(), *(agent.run() for agent in cluster.agents))


def pod_routes(attachment):
    return {it for it in attachment.node if isinstance(it, Route)}


def device_of(attachment):
    return next(it.name for it in attachment.node if isinstance(it, Veth))


async def test_new_pods_devices_are_named_with_the_prefix_that_felix_is_given_and_others_keep_theirs(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        old = await added(cluster, 1)
        felix = {"interface_prefix": "azv,gke", "device_route_protocol": 80}
        await cluster.put(FelixConfiguration.named("default", **felix))
        await asyncio.sleep(1)
        new = await added(cluster, 2)
        assert device_of(new) == interface_name("default", "pod-2", "azv")
        endpoints = await datastore.listed(cluster.store, WorkloadEndpoint)
        assert {it.spec.interface_name for it in endpoints} == {device_of(old), device_of(new)}
        await asyncio.sleep(RESYNC)
        assert pod_routes(old) | pod_routes(new) <= cluster.host(1).state, "neither is a stranger's to Felix"


async def added(cluster, number):
    """A pod's attachment, in the kernel of node-1."""
    ref = cluster.new_pod(number)
    found = await cluster.agents[0].add(ref)
    await attach(cluster.kernel, "node-1", ref.netns, found.node, found.pod)
    return found


@pytest.mark.parametrize("source", ["WorkloadIPs", "workloadips"])
async def test_routes_follow_pods_where_felix_is_told_so_and_blocks_again_afterwards(cluster, source):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        early, late = cluster.new_pod(1), cluster.new_pod(2)
        before = await cluster.agents[1].add(early)
        to_blocks = routes(cluster, 1)
        await cluster.put(FelixConfiguration.named("default", route_source=source))
        await asyncio.sleep(1)
        after = await cluster.agents[1].add(late)
        await asyncio.sleep(1)
        (vtep,) = {it.via for it in to_blocks if it.via}
        pods = {it.ips[0].ip for it in (before, after)}
        assert {(it.dst.network_address, it.via) for it in routes(cluster, 1)} == {
            (address, vtep) for address in pods | {vtep}
        }
        assert len(routes(cluster, 2)) == 1, "to the VTEP: no pod is elsewhere, and no block ends here"
        await cluster.agents[1].delete(early)
        await asyncio.sleep(1)
        assert {it.dst.network_address for it in routes(cluster, 1)} == {after.ips[0].ip, vtep}
        await cluster.put(FelixConfiguration.named("default", route_source="CalicoIPAM"))
        await asyncio.sleep(1)
        assert routes(cluster, 1) == to_blocks


def routes(cluster, number):
    return {it for it in cluster.felix_state(number) if isinstance(it, Route)}


def test_bird_announces_what_leads_over_pods_devices_of_each_prefix():
    felix = replace(DEFAULTS, interface_prefix="azv,cali")
    told = exports.to_peers([pool(vxlan_mode="Always")], felix, ()).body
    assert '!(ifname ~ "cali*" || ifname ~ "azv*")' in told


async def test_a_pods_device_keeps_its_name_over_a_restart_of_the_agent(cluster):
    await cluster.prepare()
    await cluster.put(FelixConfiguration.named("default", interface_prefix="azv"))
    async with everything(cluster):
        await asyncio.sleep(3)
        ref = cluster.new_pod(1)
        before = await cluster.agents[0].add(ref)
        assert device_of(before).startswith("azv")
    await cluster.put(FelixConfiguration.named("default", interface_prefix="cali"))
    cluster.new_process()
    again = cluster.agent(1)
    async with running(cluster.shared(), again.run()):
        await asyncio.sleep(3)
        assert await again.check(ref) == before


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({}, {"rules": 1, "netlink": 1, "sets": 1}),
        ({"iptables_refresh_interval": "10s"}, {"rules": 10, "netlink": 1, "sets": 1}),
        ({"route_refresh_interval": "0"}, {"rules": 1, "netlink": 0, "sets": 1}),
        ({"ipsets_refresh_interval": "1m0s"}, {"rules": 1, "netlink": 1, "sets": 1.5}),
    ],
    ids=str,
)
async def test_the_kernel_is_read_again_at_the_refresh_intervals_that_felix_is_given(cluster, given, read):
    await cluster.prepare()
    await cluster.put(FelixConfiguration.named("default", **given))
    async with everything(cluster):
        await asyncio.sleep(3)
        reads = reads_of(cluster.host(1))
        await asyncio.sleep(900)
        for medium, times in read.items():
            assert times * 10 <= reads[medium] <= times * 15, (medium, reads)


def reads_of(host):
    """Counts from now on how often each medium of the namespace is read for Felix."""
    count, read = Counter(), host.read

    async def counted(owner):
        if owner.name == "felix":
            count.update({medium_of_kind(kind) for kind in owner.kinds})
        return await read(owner)

    host.read = counted
    return count


async def test_felix_that_is_to_leave_routes_alone_makes_none_but_tunnels(cluster):
    await cluster.prepare()
    await cluster.put(FelixConfiguration.named("default", route_sync_disabled=True))
    async with everything(cluster):
        await asyncio.sleep(3)
        await cluster.agents[1].add(cluster.new_pod(1))
        await asyncio.sleep(1)
        assert routes(cluster, 1) == set()
        assert {FdbEntry, Neighbor, Vxlan} <= {type(it) for it in cluster.felix_state(1)}


async def test_felix_that_is_told_so_later_leaves_its_routes_there_until_it_is_told_otherwise(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        await cluster.agents[1].add(cluster.new_pod(1))
        await asyncio.sleep(1)
        before = routes(cluster, 1)
        gone = next(it for it in before if it.via)
        await cluster.put(FelixConfiguration.named("default", route_sync_disabled=True))
        await asyncio.sleep(1)
        assert before <= cluster.host(1).state
        cluster.host(1).tamper_delete(gone)
        await asyncio.sleep(RESYNC)
        assert before - cluster.host(1).state == {gone}
        await cluster.put(FelixConfiguration.named("default", route_sync_disabled=False))
        await asyncio.sleep(1)
        assert before <= cluster.host(1).state
