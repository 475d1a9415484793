"""The store's configuration changes under running agents: they begin anew, and leave nothing of the old."""

from __future__ import annotations

import asyncio

import pytest
from support.flannel_cluster import FlannelCluster, config, pod
from support.owned_task import running

from fabric.netstate.objects import Route, Vxlan
from fabric.store.port import Put
from flannel.leases import CONFIG_KEY


@pytest.fixture
def cluster(tmp_path):
    return FlannelCluster(tmp_path)


async def write(cluster, text):
    await cluster.store.txn([], [Put(CONFIG_KEY, text)])


def routes(cluster, number):
    return sorted(str(obj) for obj in cluster.flannel_state(number) if isinstance(obj, Route))


async def test_another_backend_takes_over_and_the_device_goes(cluster):
    await cluster.prepare()
    async with running(*(agent.run() for agent in cluster.agents)):
        await asyncio.sleep(3)
        before = [agent.status().details["subnet"] for agent in cluster.agents]
        cluster.section = config("host-gw")
        await cluster.prepare()
        await asyncio.sleep(10)
        for number, agent in enumerate(cluster.agents, start=1):
            assert not any(isinstance(obj, Vxlan) for obj in cluster.flannel_state(number))
            assert len(routes(cluster, number)) == 2 and all("dev eth0" in r for r in routes(cluster, number))
            assert agent.status().ready and agent.status().details["backend"] == "host-gw"
        assert [agent.status().details["subnet"] for agent in cluster.agents] == before


async def test_another_pod_network_leaves_no_route_into_the_old_one(cluster):
    cluster.section = config("host-gw")
    await cluster.prepare()
    async with running(*(agent.run() for agent in cluster.agents)):
        await asyncio.sleep(3)
        await cluster.agents[0].add(pod(1))
        cluster.section = config("host-gw", cidrs="10.99.0.0/16")
        await cluster.prepare()
        await asyncio.sleep(10)
        left = [str(obj) for obj in cluster.host(1).state if "10.244." in str(obj)]
        assert left == [] and len(routes(cluster, 1)) == 2
        assert await cluster.agents[0].check(pod(1)) is None


async def test_a_broken_new_configuration_is_told_and_not_used(cluster):
    await cluster.prepare()
    async with running(*(agent.run() for agent in cluster.agents)):
        await asyncio.sleep(3)
        before = cluster.flannel_state(1)
        await write(cluster, b'{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan","VNI":-1}}')
        await asyncio.sleep(10)
        status = cluster.agents[0].status()
        assert status.ready and "Backend.VNI: -1 is not a whole number" in status.message
        assert cluster.flannel_state(1) == before
