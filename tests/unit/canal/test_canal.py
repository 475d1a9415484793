"""Canal on the fake kernel: Flannel carries packets between nodes, Calico hangs the pods on them."""

from __future__ import annotations

import asyncio

import pytest
from support.calico_cluster import CalicoCluster
from support.calico_nodes import config
from support.owned_task import running

from canal.plugin import CanalPlugin
from fabric.errors import FabricError
from fabric.kernel.attach import attach
from fabric.netstate.objects import Bridge, IpSet, Route, Vxlan


@pytest.fixture
def cluster(tmp_path):
    return CalicoCluster(tmp_path, 2, plugin=CanalPlugin())


def everything(cluster):
    return running(cluster.shared(), *(agent.run() for agent in cluster.agents))


async def test_routes_are_flannels_pods_are_calicos_and_neither_does_the_others_part(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(5)
        ref = cluster.new_pod(1)
        found = await cluster.agents[0].add(ref)
        await attach(cluster.kernel, "node-1", ref.netns, found.node, found.pod)
        await cluster.agents[0].until_programmed(ref)
        before = cluster.host(1).state
        await asyncio.sleep(20)
        assert cluster.host(1).state == before, "both leave the other's alone"
        assert {it.name for it in before if isinstance(it, Vxlan)} == {"flannel.1"}
        assert not [it for it in before if isinstance(it, Bridge | IpSet)]
        (own,) = {it for it in before if isinstance(it, Route) and (it.dev or "").startswith("cali")}
        assert own.dst == found.ips[0].network and found.mtu == 1450
        status = cluster.agents[0].status()
        assert (status.ready, status.reason) == (True, "FlannelIsUp")
        assert status.details["backend"] == "vxlan" and status.details["mtu"] == "1450"


async def test_before_flannel_has_its_subnet_the_node_says_so_and_no_pod_gets_an_address(cluster):
    await cluster.prepare()
    agent = cluster.agents[0]
    assert not agent.status().ready
    async with running(cluster.shared(), agent._endpoints.run()):
        await asyncio.sleep(5)
        status = agent.status()
        assert (status.ready, status.reason) == (False, "CanalIsNotUp")
        with pytest.raises(FabricError):
            await agent.add(cluster.new_pod(1))


async def test_what_was_given_is_given_back_by_delete_and_by_collect(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(5)
        first, second = cluster.new_pod(1), cluster.new_pod(2)
        (address,), (other,) = [(await cluster.agents[0].add(ref)).ips for ref in (first, second)]
        await cluster.agents[0].delete(first)
        await cluster.agents[0].collect(frozenset())
        files = {path.name for path in (cluster.root / "node-1/var/lib/cni/networks").rglob("*")}
        assert not files & {str(address.ip), str(other.ip)}


def test_options_of_either_plugin_are_refused_where_they_are_the_others(cluster):
    section = config("vxlan", ipipMode="Always", resources=[{"kind": "IPPool"}])
    paths = [path for path, _ in CanalPlugin().problems(section, cluster.facts)]
    assert paths == ["options.ipipMode", "options.resources[0]"]
    assert CanalPlugin().requirements(cluster.section) == {"vxlan", "iptables", "ipset"}
