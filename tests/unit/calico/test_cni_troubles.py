"""Calico's CNI in trouble: deaths, outages, races with a pod's successor, spoilt files and keys."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress

import pytest
from support.calico_cni import NONE, CniNode, assert_nothing_is_left, ref
from support.calico_ipam import WatchedStore
from support.calico_nodes import pool
from support.deaths import Coin, died

from calico.addresses import handle_of
from calico.ipam.allocator import Ipam
from calico.ipam.blocks import Owner
from calico.ipam.garbage import Collector
from calico.resources import datastore
from fabric.api.objects import sandbox_id
from fabric.errors import FabricError, StoreUnavailable
from fabric.store.port import Put


@pytest.fixture
async def node(tmp_path):
    found = CniNode(tmp_path)
    await datastore.create(found.store, pool(), found.clock)
    found.pod()
    return found


async def test_a_later_pod_of_the_same_name_keeps_its_endpoint_when_the_earlier_goes(node):
    await node.cni.add(ref())
    node.pod(uid="uid-9")
    await node.cni.add(ref(uid="uid-9"))
    await node.cni.delete(ref())
    (endpoint,) = await node.endpoints()
    assert endpoint.spec.container_id == sandbox_id("uid-9")


async def test_a_later_pod_that_is_added_while_the_earlier_goes_keeps_its_endpoint(tmp_path):
    node = CniNode(tmp_path, WatchedStore(random.Random(1)))
    await datastore.create(node.store, pool(), node.clock)
    for lead in (0.0, 0.01, 0.02, 0.03, 0.04, 0.05):
        node.pod(uid="uid-1")
        await node.cni.add(ref())
        node.pod(uid="uid-9")
        going = asyncio.create_task(node.cni.delete(ref()))
        await asyncio.sleep(lead)
        await node.cni.add(ref(uid="uid-9"))
        await going
        (endpoint,) = await node.endpoints()
        assert endpoint.spec.container_id == sandbox_id("uid-9")
        await node.cni.delete(ref(uid="uid-9"))


async def test_a_pod_that_another_of_its_name_replaced_meanwhile_gets_nothing(node):
    node.pod(uid="uid-9", annotations={"cni.projectcalico.org/ipAddrs": '["10.244.0.77"]'})
    with pytest.raises(FabricError, match="pod default/pod-1 is not uid-1 any more but uid-9"):
        await node.cni.add(ref())
    assert not await node.endpoints() and not await node.addresses_of("uid-1")


@pytest.mark.parametrize("dies_before", [True, False])
@pytest.mark.parametrize("verb", ["add", "delete", "collect"])
async def test_what_dies_at_any_store_call_is_completed_by_the_next(tmp_path, verb, dies_before):
    for calls in range(1, 40):
        node = CniNode(tmp_path / str(calls), WatchedStore(Coin(dies_before)))
        await datastore.create(node.store, pool(), node.clock)
        node.pod()
        if verb != "add":
            await node.cni.add(ref())
        has_died = await died(node.work(verb), calls)
        again = node.started()
        if verb == "add":
            (address,) = (await again.add(ref())).ips
            assert await node.addresses_of("uid-1") == (address.ip,)
            await again.delete(ref())
        else:
            await again.collect(NONE)
        await assert_nothing_is_left(node)
        if not has_died:
            return
    raise AssertionError("it never came to an end")


@pytest.mark.parametrize("dies_before", [True, False])
async def test_an_add_that_dies_anywhere_leaks_nothing_when_its_pod_is_gone(tmp_path, dies_before):
    for calls in range(1, 40):
        node = CniNode(tmp_path / str(calls), WatchedStore(Coin(dies_before)))
        await datastore.create(node.store, pool(), node.clock)
        node.pod()
        has_died = await died(node.work("add"), calls)
        await node.started().collect(NONE)
        await Collector(node.store, node.clock).collect(NONE, frozenset({"node-1"}))
        await assert_nothing_is_left(node)
        if not has_died:
            return
    raise AssertionError("it never came to an end")


@pytest.mark.parametrize("verb", ["add", "delete", "collect"])
async def test_a_store_that_goes_away_is_a_refusal_and_the_next_try_completes_what_was_begun(node, verb):
    for calls in range(30):
        node.pod()
        if verb != "add":
            await node.cni.add(ref())
        node.store.down_after(calls)
        try:
            await node.work(verb)
        except StoreUnavailable:
            pass
        else:
            return
        finally:
            node.store.down = False
        await node.work(verb)
        await node.cni.delete(ref())
        await assert_nothing_is_left(node)


@pytest.mark.parametrize("verb", ["add", "delete"])
async def test_a_write_whose_answer_is_lost_is_found_done(node, verb):
    for lost in range(1, 6):
        if verb == "delete":
            await node.cni.add(ref())
        node.store.lose_answer_of_write(lost)
        with suppress(StoreUnavailable):
            await node.work(verb)
        node.store.lose_answer_of_write(0)
        await node.work(verb)
        assert len(await node.addresses_of("uid-1")) == (verb == "add")
        await node.cni.delete(ref())
        await assert_nothing_is_left(node)


def cached(uid="uid-1", ips=("10.244.0.1/32",), mtu=1450):
    """A result as CNI's library keeps it."""
    names = {"K8S_POD_NAMESPACE": "default", "K8S_POD_NAME": "pod-1", "K8S_POD_UID": uid}
    devices = [{"name": "cali1", "mac": "02:00:00:00:00:01", "mtu": mtu}]
    result = {"interfaces": devices, "ips": [{"address": ip} for ip in ips]}
    return json.dumps({"cniArgs": [list(pair) for pair in names.items()], "result": result})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "7",
        "{}",
        cached(uid=""),
        cached(ips=["nonsense"]),
        cached(ips=[]),
        cached(mtu=1e400),
        "[" * 100_000,
    ],
)
async def test_a_result_that_cannot_be_read_is_as_good_as_none(node, text):
    first = await node.cni.add(ref())
    (path,) = (node.root / "var/lib/cni/results").iterdir()
    path.write_text(text)
    again = node.started()
    assert await again.check(ref()) is None
    assert await again.add(ref()) == first
    path.write_text(text)
    await node.started().collect(NONE)
    await assert_nothing_is_left(node)


@pytest.mark.parametrize("value", [b"no json", b"[]", b'{"spec": {"containerID": 7}}', b'{"metadata": {}}'])
async def test_an_endpoint_that_somebody_spoilt_is_written_over_by_add_and_left_alone_by_delete(node, value):
    await node.cni.add(ref())
    key = "/calico/resources/v3/projectcalico.org/workloadendpoints/default/node--1-k8s-pod--1-eth0"
    await node.store.txn([], [Put(key, value)])
    node.pod(uid="uid-9")
    await node.cni.add(ref(uid="uid-9"))
    assert [it.spec.container_id for it in await node.endpoints()] == [sandbox_id("uid-9")]
    await node.store.txn([], [Put(key, value)])
    await node.cni.delete(ref(uid="uid-9"))
    await node.cni.collect(NONE)
    assert not await node.addresses_of("uid-9")
    assert (await node.store.get(key)).value == value


async def test_a_block_that_somebody_spoilt_is_passed_over(node):
    first = (await node.cni.add(ref())).ips[0]
    (kv,) = (await node.store.range("/calico/ipam/v2/assignment/")).kvs
    await node.store.txn([], [Put(kv.key, b"{}")])
    node.pod(2)
    other = (await node.cni.add(ref(2))).ips[0]
    assert int(other.ip) >> 6 != int(first.ip) >> 6
    assert (await node.store.get(kv.key)).value == b"{}", "it is for him to repair who spoilt it"


async def test_two_addresses_that_two_agents_gave_are_one_again(node):
    ipam = Ipam(node.store, node.clock, "node-1")
    owner = Owner(handle_of(sandbox_id("uid-1")), {"node": "node-1"})
    twice = [*await ipam.auto_assign(owner), *await ipam.auto_assign(owner)]
    found = await node.cni.add(ref())
    assert [address.ip for address in found.ips] == twice[:1]
    assert await node.addresses_of("uid-1") == tuple(twice[:1])
