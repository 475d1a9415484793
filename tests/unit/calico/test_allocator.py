"""Giving out and taking back: own blocks first, then new ones, then stranded ones, then others'."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from support.calico_ipam import WatchedStore, add, ipams, owner, pool, put_resources

from calico.ipam import affinities
from calico.ipam.allocator import AddressTaken
from calico.ipam.candidates import NoPool
from calico.ipam.configuration import Configuration, write_configuration
from calico.ipam.keys import AffinityName
from calico.ipam.records import read_block
from calico.ipam.snapshot import block_affinities, read_snapshot
from calico.ipam.tunnels import IPIP, VXLAN, tunnel_address
from calico.ipam.walk import block_of
from calico.resources.datastore import Unreadable
from fabric.store.port import Put

TWO_BLOCKS = pool(cidr="10.244.0.0/29", block_size=30)


async def test_a_node_fills_its_own_block_before_it_claims_another():
    one, two = await ipams()
    mine = [(await add(one, f"pod-{number}"))[0] for number in range(17)]
    (theirs,) = await add(two, "pod-a")
    blocks = [block_of(pool().spec, address) for address in mine]
    assert len(set(blocks[:16])) == 1 and blocks[16] != blocks[0]
    assert mine[:16] == list(blocks[0])
    assert block_of(pool().spec, theirs) not in blocks
    snapshot = await read_snapshot(one.store)
    assert snapshot.affinities[AffinityName("node-1", blocks[0])] == "confirmed"
    assert (await read_block(one.store, blocks[0])).value.owner(0).attributes == {
        "namespace": "default",
        "node": "node-1",
        "pod": "pod-0",
        "timestamp": "2026-01-01 12:00:00.000000 +0000 UTC",
    }


async def test_a_released_address_is_used_again_last():
    (one,) = await ipams(hosts=["node-1"])
    (first,) = await add(one, "pod-1")
    assert await one.release_handle("k8s-pod-network.pod-1") == (first,)
    assert (await read_snapshot(one.store)).handles == {}
    again = [(await add(one, f"pod-{number}"))[0] for number in range(16)]
    assert again[-1] == first


async def test_many_addresses_at_once_may_span_blocks_and_share_a_handle():
    (one,) = await ipams(hosts=["node-1"])
    found = await add(one, "pod-1", count=20)
    assert len(set(found)) == 20
    handle = (await read_snapshot(one.store)).handles["k8s-pod-network.pod-1"]
    assert sorted(handle.counts.values()) == [4, 16]
    assert sorted(await one.addresses("k8s-pod-network.pod-1")) == sorted(found)


async def test_a_given_address_is_assigned_and_a_second_call_changes_nothing():
    one, two = await ipams()
    wanted = ip_address("10.244.0.77")
    await one.assign(wanted, owner("pod-1"))
    await one.assign(wanted, owner("pod-1"))
    assert await one.addresses("k8s-pod-network.pod-1") == (wanted,)
    with pytest.raises(AddressTaken, match=r"10.244.0.77 is already assigned to k8s-pod-network.pod-1"):
        await two.assign(wanted, owner("pod-2", "node-2"))
    await two.assign(ip_address("10.244.0.78"), owner("pod-2", "node-2"))
    await write_configuration(one.store, Configuration(strict_affinity=True))
    with pytest.raises(AddressTaken, match=r"in block 10.244.0.64/28 of node-1, and strictAffinity is set"):
        await two.assign(ip_address("10.244.0.79"), owner("pod-3", "node-2"))
    with pytest.raises(NoPool, match=r"192.0.2.1 is in no enabled IPPool"):
        await one.assign(ip_address("192.0.2.1"), owner("pod-3"))


async def test_releasing_by_address_spares_what_another_handle_has():
    (one,) = await ipams(hosts=["node-1"])
    first, second = await add(one, "pod-1", count=2)
    assert await one.release_addresses([first], "k8s-pod-network.other") == ()
    assert await one.release_addresses([first, ip_address("192.0.2.1")], "k8s-pod-network.pod-1") == (first,)
    assert await one.addresses("k8s-pod-network.pod-1") == (second,)
    assert await one.release_addresses([first]) == ()
    assert await one.release_handle("k8s-pod-network.none") == ()


async def test_a_host_that_is_gone_leaves_its_used_blocks_without_a_node_until_they_are_empty():
    one, two = await ipams()
    (address,) = await add(one, "pod-1")
    await two.release_host("node-1")
    snapshot = await read_snapshot(one.store)
    assert snapshot.affinities == {}
    assert [block.affinity for block in snapshot.blocks.values()] == [None]
    await two.release_handle("k8s-pod-network.pod-1")
    assert (await read_snapshot(one.store)).blocks == {}
    assert await add(one, "pod-1") == (address,), "the same place on the same walk"


async def test_a_pool_that_goes_takes_its_affinities_along():
    one, two = await ipams(pool(), pool("pool-2", "10.245.0.0/24"))
    await add(one, "pod-1", pools=(ip_network("10.244.0.0/24"),))
    (kept,) = await add(two, "pod-2", pools=(ip_network("10.245.0.0/24"),))
    await affinities.release_pool(one.store, ip_network("10.244.0.0/24"))
    snapshot = await read_snapshot(one.store)
    block = block_of(pool().spec, kept)
    assert list(snapshot.affinities) == [AffinityName("node-2", block)]
    (view,) = block_affinities(snapshot)
    assert view.name == f"node-2-{str(block).replace('.', '-').replace('/', '-')}"
    assert (view.spec.node, view.spec.state, view.spec.cidr) == ("node-2", "confirmed", block)


async def test_an_assignment_from_an_own_block_costs_few_calls_of_the_store():
    (one,) = await ipams(hosts=["node-1"])
    await add(one, "pod-1")
    before = one.store.calls
    await add(one, "pod-2")
    assert one.store.calls - before <= 10


async def test_both_families_have_blocks_of_their_own():
    (one,) = await ipams(pool(), pool("pool-6", "fd00:10:244::/64", 122), hosts=["node-1"])
    (four,), (six,) = await add(one, "pod-1"), await add(one, "pod-1", family=6)
    assert (four.version, six.version) == (4, 6)
    assert set(await one.release_handle("k8s-pod-network.pod-1")) == {four, six}


async def test_a_tunnel_keeps_its_address_while_a_pool_wants_the_tunnel():
    ipip = pool(ipip_mode="Always")
    (one,) = await ipams(ipip, hosts=["node-1"])
    address = await tunnel_address(one, IPIP, {})
    assert address == await tunnel_address(one, IPIP, {})
    assert await one.addresses("ipip-tunnel-addr-node-1") == (address,)
    assert await tunnel_address(one, VXLAN, {}) is None
    await put_resources(one.store, pool(vxlan_mode="CrossSubnet"))
    assert await tunnel_address(one, IPIP, {}) is None
    assert await one.addresses("ipip-tunnel-addr-node-1") == ()
    assert await tunnel_address(one, VXLAN, {}) in ipip.spec.cidr


async def test_a_block_that_cannot_be_read_is_named_when_there_is_no_other():
    (one,) = await ipams(pool(cidr="10.244.0.0/28"), hosts=["node-1"])
    (address,) = await add(one, "pod-1")
    key = f"/calico/ipam/v2/assignment/ipv4/block/{block_of(pool().spec, address)}".replace("/28", "-28")
    await super(WatchedStore, one.store).txn([], [Put(key, b"{}")])
    with pytest.raises(Unreadable, match=r"ipv4/block/10\..*-28: not a block: .*; repair or delete the key"):
        await add(one, "pod-2")
