"""flanneld's loop on the fake kernel: creates, updates, removes, repairs, and rests when all is well."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from support.flannel_cluster import FlannelCluster, pod, vxlan_lease
from support.owned_task import running

from fabric.api.kinds import NODE
from fabric.api.objects import Key, annotations_of
from fabric.errors import FabricError, StoreUnavailable
from fabric.netstate.objects import Bridge, Chain, FdbEntry, Jump, Neighbor, Route, Vxlan
from fabric.store.port import Delete, Put
from flannel.leases import SUBNETS, parse_lease

RESYNC = 95


@pytest.fixture
def cluster(tmp_path):
    return FlannelCluster(tmp_path)


async def leases(cluster):
    kvs = (await cluster.store.range(SUBNETS)).kvs
    return {kv.key: parse_lease(kv.key, kv.value) for kv in kvs}


def of_type(cluster, number, *kinds):
    return {obj for obj in cluster.flannel_state(number) if isinstance(obj, kinds)}


async def test_each_node_reaches_each_other_after_the_start(cluster):
    await cluster.prepare()
    async with running(*(agent.run() for agent in cluster.agents)):
        await asyncio.sleep(2)
        subnets = {lease.public_ips[0]: lease.subnets[0] for lease in (await leases(cluster)).values()}
        for number, node in enumerate(cluster.facts, start=1):
            others = {subnet for ip, subnet in subnets.items() if ip != node.addresses[0].ip}
            assert {route.dst for route in of_type(cluster, number, Route)} == others
            assert len(of_type(cluster, number, Neighbor)) == len(of_type(cluster, number, FdbEntry)) == 2
        assert all(agent.status().ready for agent in cluster.agents)
    status = cluster.agents[0].status()
    assert (status.reason, status.message) == ("FlannelIsUp", "Flannel is running on this node")
    assert status.details["peers"] == "2" and status.details["mtu"] == "1450"
    assert ", ".join(status.pod_cidrs) == status.details["subnet"]


async def test_a_node_that_joins_later_is_added_everywhere(cluster):
    await cluster.prepare()
    async with running(cluster.agents[0].run()):
        await asyncio.sleep(1)
        assert not of_type(cluster, 1, Route)
        async with running(cluster.agents[1].run()):
            await asyncio.sleep(1)
            assert len(of_type(cluster, 1, Route, Neighbor, FdbEntry)) == 3


async def test_a_peer_that_moves_is_replaced_in_place(cluster):
    await cluster.prepare()
    peer = vxlan_lease(2)
    await cluster.store.txn([], [Put(peer.key, peer.value)])
    async with running(cluster.agents[0].run()):
        await asyncio.sleep(1)
        moved = vxlan_lease(2, "192.168.0.99", "02:00:00:00:00:99")
        await cluster.store.txn([], [Put(moved.key, moved.value)])
        await asyncio.sleep(0.1)
        plan = str(cluster.host(1).plans[-1])
    assert plan == (
        "delete fdb 02:00:00:00:00:02 dst 192.168.0.12 dev flannel.1\n"
        "replace neigh 10.244.2.0 lladdr 02:00:00:00:00:99 dev flannel.1\n"
        "add fdb 02:00:00:00:00:99 dst 192.168.0.99 dev flannel.1\n"
    )


async def test_a_lease_that_ends_takes_its_entries_along(cluster):
    await cluster.prepare()
    peer = vxlan_lease(2)
    await cluster.store.txn([], [Put(peer.key, peer.value)])
    async with running(cluster.agents[0].run()):
        await asyncio.sleep(1)
        await cluster.store.txn([], [Delete(peer.key)])
        await asyncio.sleep(0.1)
        assert not of_type(cluster, 1, Route, Neighbor, FdbEntry)


@pytest.mark.parametrize("kind", [Vxlan, Bridge, Route, Neighbor, FdbEntry, Chain, Jump])
async def test_what_a_stranger_deletes_comes_back_with_all_that_hung_on_it(cluster, kind):
    await cluster.prepare()
    async with running(*(agent.run() for agent in cluster.agents)):
        await asyncio.sleep(2)
        before = cluster.flannel_state(1)
        victims = of_type(cluster, 1, kind)
        if kind is Chain:
            for jump in of_type(cluster, 1, Jump):
                cluster.host(1).tamper_delete(jump)
        for victim in victims:
            cluster.host(1).tamper_delete(victim)
        assert cluster.flannel_state(1) != before
        await asyncio.sleep(RESYNC)
        assert cluster.flannel_state(1) == before


async def test_a_strangers_route_into_the_pod_network_goes(cluster):
    await cluster.prepare()
    async with running(cluster.agents[0].run()):
        await asyncio.sleep(1)
        before = cluster.flannel_state(1)
        stray = Route(vxlan_lease(77).subnets[0], dev="eth0")
        cluster.host(1).tamper_add(stray)
        await asyncio.sleep(RESYNC)
        assert cluster.flannel_state(1) == before


async def test_a_settled_node_applies_no_plan(cluster):
    await cluster.prepare()
    async with running(*(agent.run() for agent in cluster.agents)):
        await asyncio.sleep(2)
        plans = [len(cluster.host(number).plans) for number in (1, 2, 3)]
        await asyncio.sleep(600)
        assert [len(cluster.host(number).plans) for number in (1, 2, 3)] == plans


async def test_a_restarted_agent_keeps_subnet_and_mac_and_touches_nothing(cluster):
    await cluster.prepare()
    async with running(*(agent.run() for agent in cluster.agents)):
        await asyncio.sleep(2)
    before = await leases(cluster)
    plans = len(cluster.host(1).plans)
    again = cluster.agent(1)
    async with running(again.run()):
        await asyncio.sleep(2)
        assert again.status().ready
    assert await leases(cluster) == before
    assert len(cluster.host(1).plans) == plans


async def test_its_own_lease_deleted_is_acquired_anew_with_the_same_subnet(cluster):
    await cluster.prepare()
    async with running(*(agent.run() for agent in cluster.agents)):
        await asyncio.sleep(2)
        before = await leases(cluster)
        for key in before:
            await cluster.store.txn([], [Delete(key)])
        await asyncio.sleep(3)
        assert await leases(cluster) == before
        assert all(agent.status().details["peers"] == "2" for agent in cluster.agents)


async def test_a_tampered_lease_is_written_again(cluster):
    await cluster.prepare()
    async with running(cluster.agents[0].run()):
        await asyncio.sleep(2)
        ((key, lease),) = (await leases(cluster)).items()
        forged = replace(lease, data=vxlan_lease(9).data)
        await cluster.store.txn([], [Put(key, forged.value)])
        await asyncio.sleep(2)
        assert (await leases(cluster))[key].public_ips == lease.public_ips
        assert cluster.agents[0].status().ready


async def test_without_a_configuration_the_agent_waits_and_says_so(cluster):
    async with running(cluster.agents[0].run()):
        await asyncio.sleep(30)
        status = cluster.agents[0].status()
        assert not status.ready and "/coreos.com/network/config is not in the store" in status.message
        with pytest.raises(FabricError, match="is not written"):
            await cluster.agents[0].add(pod(1))
        await cluster.prepare()
        await asyncio.sleep(2)
        assert cluster.agents[0].status().ready


async def test_a_broken_configuration_is_named_key_by_key(cluster):
    await cluster.store.txn([], [Put("/coreos.com/network/config", b'{"Network":"10.244.0.0/29"}')])
    async with running(cluster.agents[0].run()):
        await asyncio.sleep(1)
        assert "Network: 10.244.0.0/29 is too small" in cluster.agents[0].status().message


async def test_the_node_is_annotated_as_flannels_is_once_it_exists(cluster):
    cluster.api.remove(NODE, Key("", "node-1"))
    await cluster.prepare()
    async with running(cluster.agents[0].run()):
        await asyncio.sleep(5)
        cluster.api.put(NODE, {"metadata": {"name": "node-1", "annotations": {"a": "1"}}})
        await asyncio.sleep(60)
    found = annotations_of(cluster.api.objects[NODE, Key("", "node-1")])
    mac = next(iter((await leases(cluster)).values())).backend_data(4)["VtepMAC"]
    assert found == {
        "a": "1",
        "flannel.alpha.coreos.com/backend-type": "vxlan",
        "flannel.alpha.coreos.com/backend-data": f'{{"VNI":1,"VtepMAC":"{mac}"}}',
        "flannel.alpha.coreos.com/public-ip": "192.168.0.11",
    }


async def test_a_kernel_that_refuses_the_device_is_told_in_the_status(cluster):
    await cluster.prepare()
    for _ in range(8):
        cluster.host(1).refuse_next(lambda step: isinstance(step.obj, Vxlan))
    async with running(cluster.agents[0].run()):
        await asyncio.sleep(0.5)
        status = cluster.agents[0].status()
        assert not status.ready and "flannel.1" in status.message
        await asyncio.sleep(60)
        assert cluster.agents[0].status().ready


class _Outage:
    """The cluster's store, which answers nothing while `down`."""

    def __init__(self, store):
        self._store = store
        self.down = False

    def __getattr__(self, name):
        if self.down:
            raise StoreUnavailable("the store does not answer")
        return getattr(self._store, name)

    async def watch(self, prefix, *, from_revision=0):
        async for batch in self._store.watch(prefix, from_revision=from_revision):
            if self.down:
                raise StoreUnavailable("the store does not answer")
            yield batch


async def test_a_store_outage_leaves_the_kernel_alone_and_a_peer_that_changed_meanwhile_is_replaced(cluster):
    await cluster.prepare()
    store = _Outage(cluster.store)
    agent = cluster.agent(1, store)
    peer = vxlan_lease(2)
    await cluster.store.txn([], [Put(peer.key, peer.value)])
    async with running(agent.run()):
        await asyncio.sleep(2)
        before = cluster.flannel_state(1)
        store.down = True
        moved = vxlan_lease(2, mac="02:00:00:00:00:99")
        await cluster.store.txn([], [Put(moved.key, moved.value)])
        await asyncio.sleep(60)
        assert cluster.flannel_state(1) == before and agent.status().ready
        await cluster.store.compact(await cluster.store.revision())
        store.down = False
        await asyncio.sleep(6)
        assert {entry.mac for entry in of_type(cluster, 1, FdbEntry, Neighbor)} == {"02:00:00:00:00:99"}
        assert agent.status().message == "Flannel is running on this node"
