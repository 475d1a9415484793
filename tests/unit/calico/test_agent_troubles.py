"""Calico's agent in trouble: restarts, power cuts, outages, and whatever stands in the datastore."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from support.calico_cluster import CalicoCluster
from support.calico_ipam import put_resources
from support.calico_nodes import pool
from support.owned_task import running

from calico.resources import datastore
from calico.resources.endpoints import ClusterInformation
from calico.resources.nodes import Node
from calico.resources.pools import IPPool
from fabric.api.kinds import NODE
from fabric.api.objects import Key
from fabric.errors import FabricError
from fabric.netstate.objects import IpSet, Link, Tun
from fabric.store.port import Put

ROOT = "/calico/resources/v3/projectcalico.org/"


@pytest.fixture
def cluster(tmp_path):
    """Two nodes with IPIP, on kernels that have none; Felix writes all routes, so that no BIRD is needed."""
    return CalicoCluster(tmp_path, 2, "vxlan", ipipMode="Always")


def everything(cluster):
    return running(cluster.shared(), *(agent.run() for agent in cluster.agents))


async def test_before_the_datastore_was_read_the_carrier_runs_on(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
    assert "tunl0" in cluster.daemons[0].programs
    cluster.new_process()
    async with running(cluster.agent(1).run()):
        await asyncio.sleep(60)
        assert "tunl0" in cluster.daemons[0].programs
        assert "end tunl0" not in cluster.daemons[0].calls


async def test_after_a_power_cut_no_pod_comes_before_the_carrier_runs_again(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        agent, daemons = cluster.agents[0], cluster.daemons[0]
        assert agent.status().ready
        daemons.programs.clear()
        daemons.refuse("keep tunl0")
        agent.powered_on()
        await asyncio.sleep(3)
        assert not agent.status().ready
        assert agent.status().message.endswith("the carrier of tunl0: keep tunl0 is refused")
        with pytest.raises(FabricError, match="not up on node-1"):
            await agent.add(cluster.new_pod(1))
        daemons.refuse()
        await asyncio.sleep(6)
        assert "tunl0" in daemons.programs and agent.status().ready


async def test_a_power_cut_while_the_carrier_is_being_started_is_not_forgotten(cluster):
    await cluster.prepare()
    agent, daemons = cluster.agents[0], cluster.daemons[0]
    daemons.seconds = 1.0
    async with everything(cluster):
        await daemons.asked_for("keep tunl0")
        agent.powered_on()
        await asyncio.sleep(1.01)
        daemons.programs.clear()
        assert not agent.status().ready, "what was started, was started before the cut"
        await asyncio.sleep(3)
        assert "tunl0" in daemons.programs and agent.status().ready


async def test_a_restarted_agent_leaves_labels_alone_until_it_knows_them(cluster):
    cluster.api.put(NODE, {"metadata": {"name": "node-1", "labels": {"route-reflector": "true"}}})
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
    revision = await cluster.store.revision()
    assert (await node(cluster)).labels["route-reflector"] == "true"
    cluster.new_process()
    agent = cluster.agent(1)
    async with running(cluster.reflectors.run(), agent.run()):
        await asyncio.sleep(3)
        assert await cluster.store.revision() == revision, "the API is not there"
    async with running(cluster.shared(), cluster.agent(1).run()):
        await asyncio.sleep(3)
        assert await cluster.store.revision() == revision
        cluster.api.put(NODE, {"metadata": {"name": "node-1", "labels": {}}})
        await asyncio.sleep(1)
        assert "route-reflector" not in (await node(cluster)).labels


async def test_labels_are_followed_also_after_the_kubernetes_node_was_made_anew(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        cluster.api.remove(NODE, Key("", "node-1"))
        await asyncio.sleep(1)
        cluster.api.put(NODE, {"metadata": {"name": "node-1"}})
        await asyncio.sleep(1)
        cluster.api.put(NODE, {"metadata": {"name": "node-1", "labels": {"zone": "b"}}})
        await asyncio.sleep(1)
        assert (await node(cluster)).labels == {"zone": "b"}


async def test_pools_select_a_node_by_labels_that_calicoctl_gave_it_too(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        have = await node(cluster)
        labelled = replace(have.metadata, labels={**have.labels, "zone": "b"})
        await datastore.update(cluster.store, replace(have, metadata=labelled))
        default = await datastore.get(cluster.store, IPPool, "default-ipv4-ippool")
        await cluster.put(replace(default, spec=replace(default.spec, node_selector="zone == 'b'")))
        await asyncio.sleep(1)
        assert (await cluster.agents[0].add(cluster.new_pod(1))).ips
        with pytest.raises(FabricError, match="does not select the node"):
            await cluster.agents[1].add(cluster.new_pod(2))


async def test_a_node_that_was_deleted_by_hand_is_back_with_its_tunnel_and_no_device_went(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        before, plans = cluster.felix_state(1), len(cluster.host(1).plans)
        address = (await node(cluster)).spec.bgp.ipv4_ipip_tunnel_addr
        await datastore.delete(cluster.store, Node, "node-1")
        await asyncio.sleep(1)
        assert (await node(cluster)).spec.bgp.ipv4_ipip_tunnel_addr == address
        assert cluster.felix_state(1) == before
        steps = [step for plan in cluster.host(1).plans[plans:] for step in plan.steps]
        assert not [step for step in steps if isinstance(step.obj, Link)]


async def test_an_outage_of_the_store_is_told_while_it_lasts_and_nothing_is_taken_away(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        before = cluster.felix_state(1)
        ref = cluster.new_pod(1)
        attached = await cluster.agents[0].add(ref)
        cluster.store.down = True
        await asyncio.sleep(30)
        (victim,) = (it for it in before if isinstance(it, Tun))
        cluster.host(1).tamper_delete(victim)
        await asyncio.sleep(6)
        status = cluster.agents[0].status()
        assert status.ready and "the store is away" in status.message
        assert cluster.felix_state(1) == before, "the kernel is repaired without a store"
        assert await cluster.agents[0].check(ref) == attached == await cluster.agents[0].add(ref)
        for verb in (
            cluster.agents[0].add(cluster.new_pod(2)),
            cluster.agents[0].delete(ref),
            cluster.agents[0].collect(frozenset()),
        ):
            with pytest.raises(FabricError, match="the store is away"):
                await verb
        cluster.store.down = False
        await asyncio.sleep(10)
        assert cluster.agents[0].status().message == (
            "Calico is running on this node; tunl0 is carried in user space: this kernel has no ipip"
        )


async def test_while_the_datastore_is_locked_no_pod_gets_an_address_and_those_that_have_one_keep_it(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        agent, ref = cluster.agents[0], cluster.new_pod(1)
        first = await agent.add(ref)
        information = await datastore.get(cluster.store, ClusterInformation, "default")
        locked = replace(information, spec=replace(information.spec, datastore_ready=False))
        await datastore.update(cluster.store, locked)
        await asyncio.sleep(0.1)
        with pytest.raises(FabricError, match="the datastore is locked"):
            await agent.add(cluster.new_pod(2))
        assert await agent.add(ref) == first
        await agent.delete(ref)


async def test_nonsense_under_any_key_stops_no_agent(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        before = cluster.felix_state(1)
        for value in NONSENSE:
            for key in KEYS:
                await cluster.store.txn([], [Put(key, value)])
            await asyncio.sleep(1)
            await cluster.plugin.collect_garbage(cluster.section, cluster.facts, cluster.store)
        await asyncio.sleep(70)
        await cluster.plugin.collect_garbage(cluster.section, cluster.facts, cluster.store)
        assert cluster.felix_state(1) == before
        assert all(agent.status().ready for agent in cluster.agents)
        await cluster.agents[0].collect(frozenset())
        assert (await cluster.agents[0].add(cluster.new_pod(1))).ips


NONSENSE = (
    b"no json",
    b"\xff",
    b"[]",
    b"null",
    b"7",
    b"{}",
    b'{"metadata": []}',
    b'{"metadata": {"name": 7}, "spec": []}',
    b'{"metadata": {"name": "x"}}',
    b'{"metadata": {"name": "x"}, "spec": {}}',
    b'{"metadata": {"name": "x", "namespace": "default", "labels": {"a": 1}}, "spec": {"node": 1}}',
)
KEYS = (
    f"{ROOT}nodes/x",
    f"{ROOT}nodes/x/y",
    f"{ROOT}nodes/",
    f"{ROOT}ippools/x",
    f"{ROOT}bgppeers/x",
    f"{ROOT}bgpfilters/x",
    f"{ROOT}bgpconfigurations/default",
    f"{ROOT}felixconfigurations/node.node-1",
    f"{ROOT}clusterinformations/x",
    f"{ROOT}workloadendpoints/default/x",
    f"{ROOT}workloadendpoints/x",
    f"{ROOT}workloadendpoints/default/node--1-k8s-pod--9-eth0",
    f"{ROOT}nothing/x",
    "/calico/ipam/v2/assignment/ipv4/block/10.244.9.0-26",
    "/calico/ipam/v2/assignment/ipv4/block/x",
    "/calico/ipam/v2/handle/x",
    "/calico/ipam/v2/host/x/ipv4/block/10.244.9.0-26",
    "/calico/ipam/v2/host/x",
)


async def test_a_pool_of_ipv6_and_a_pool_of_nobody_change_nothing_on_nodes_of_ipv4(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        before = {it for it in cluster.felix_state(1) if not isinstance(it, IpSet)}
        six = pool("fd00:10::/48", "pool-6", vxlan_mode="Always", block_size=122, nat_outgoing=True)
        await put_resources(cluster.store, six, pool("10.250.0.0/16", "later", disabled=True))
        await asyncio.sleep(3)
        assert {it for it in cluster.felix_state(1) if not isinstance(it, IpSet)} == before
        assert (await node(cluster)).spec.ipv6_vxlan_tunnel_addr is None
        assert (await cluster.agents[0].add(cluster.new_pod(1))).ips[0].version == 4


async def test_without_its_subnet_file_a_node_is_not_ready_and_says_why(tmp_path):
    file = "/run/flannel/subnet.env"
    cluster = CalicoCluster(tmp_path, 1, "none", subnetFile=file)
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        status = cluster.agents[0].status()
        assert (status.ready, status.message.partition(": ")[2]) == (
            False,
            f"{file} of the node is not written yet: No such file or directory",
        )
        path = tmp_path / "node-1" / file[1:]
        path.parent.mkdir(parents=True)
        path.write_text("FLANNEL_SUBNET=10.244.7.1/24\nFLANNEL_MTU=1450\n")
        status = cluster.agents[0].status()
        assert status.ready and status.details["mtu"] == "1450"
        path.unlink()
        status = cluster.agents[0].status()
        assert status.ready and "not written yet" in status.message


async def node(cluster, number=1):
    return await datastore.get(cluster.store, Node, f"node-{number}")
