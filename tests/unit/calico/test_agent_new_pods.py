"""A new pod waits until its node has what its first packet needs: NAT, and the policies that select it."""

from __future__ import annotations

import asyncio

import pytest
from support.calico_cluster import CalicoCluster, pod
from support.calico_nodes import node, pool
from support.owned_task import running

from calico.agent import SETTLE_SECONDS
from calico.resources import datastore
from calico.resources.endpoints import WorkloadEndpoint, endpoint_name
from calico.resources.policies import GlobalNetworkPolicy
from calico.resources.rules import PolicyRule
from fabric.api.kinds import POD
from fabric.control.clock import LoopClock
from fabric.netstate.objects import Chain, IpSet

REFUSALS = 12
"""In succession: the loop tries what is beside the refused step, and that alone again."""


@pytest.fixture
def cluster(tmp_path):
    """Three nodes with VXLAN and no BGP."""
    return CalicoCluster(tmp_path)


def of_type(cluster, number, *kinds):
    return {obj for obj in cluster.felix_state(number) if isinstance(obj, kinds)}


def everything(cluster):
    return running(cluster.shared(), *(agent.run() for agent in cluster.agents))


async def test_a_pod_of_a_new_pool_waits_until_its_node_masquerades_that_pool(cluster):
    def masqueraded():
        (found,) = (it for it in of_type(cluster, 1, IpSet) if it.name == "cali40masq-ipam-pools")
        return found.members

    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        await cluster.put(node(4))
        await asyncio.sleep(SETTLE_SECONDS / 2)  # Soon after that change, the pool waits for the next write.
        await cluster.put(pool("10.250.0.0/24", "other", nat_outgoing=True))
        ref = cluster.new_pod(1)
        asked = {"cni.projectcalico.org/ipv4pools": '["other"]'}
        metadata = {"name": ref.name, "namespace": "default", "uid": ref.uid, "annotations": asked}
        cluster.api.put(POD, {"metadata": metadata})
        attached = await cluster.agents[0].add(ref)
        assert str(attached.ips[0]).startswith("10.250.0.")
        assert "10.250.0.0/24" not in masqueraded(), "Felix has not heard of the pool yet"
        await cluster.agents[0].until_programmed(ref)
        assert "10.250.0.0/24" in masqueraded()


async def test_a_pod_waits_until_the_rules_of_its_policies_are_in_force_as_they_were_written_last(cluster):
    def rules():
        return {rule for it in of_type(cluster, 1, Chain) if "closed" in it.name for rule in it.rules}

    await cluster.prepare()
    await cluster.put(GlobalNetworkPolicy.named("closed", ingress=(PolicyRule(action="Allow"),)))
    async with everything(cluster):
        await asyncio.sleep(3)
        await cluster.agents[0].add(cluster.new_pod(1))
        await cluster.agents[0].until_programmed(pod(1))
        before = rules()
        assert before
        for _ in range(REFUSALS):
            cluster.host(1).refuse_next(lambda it: isinstance(it.obj, Chain) and "closed" in it.obj.name)
        await cluster.put(GlobalNetworkPolicy.named("closed", ingress=(PolicyRule(action="Deny"),)))
        await cluster.agents[0].add(cluster.new_pod(2))
        await cluster.agents[0].until_programmed(pod(2))
        assert rules() != before


async def test_a_pod_whose_endpoint_is_not_in_the_datastore_waits_for_its_chains(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        await cluster.agents[0].add(cluster.new_pod(1))
        name = endpoint_name("node-1", "pod-1")
        endpoint = await datastore.get(cluster.store, WorkloadEndpoint, name, "default")
        await datastore.delete(cluster.store, WorkloadEndpoint, name, "default")
        await asyncio.sleep(0.1)
        waits = asyncio.create_task(cluster.agents[0].until_programmed(pod(1)))
        await asyncio.sleep(1)
        assert not waits.done()
        await datastore.create(cluster.store, endpoint, LoopClock())
        await waits


async def test_a_pod_of_an_earlier_life_of_the_agent_waits_for_nothing_that_was_there(cluster):
    await cluster.prepare()
    async with everything(cluster):
        await asyncio.sleep(3)
        ref = cluster.new_pod(1)
        await cluster.agents[0].add(ref)
    cluster.new_process()
    again = cluster.agent(1)
    async with running(cluster.shared(), again.run()):
        await asyncio.sleep(3)
        cluster.store.down = True
        assert await again.add(ref) == await again.check(ref)
        await again.until_programmed(ref)
