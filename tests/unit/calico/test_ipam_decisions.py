"""Calico's decisions on where an address comes from: limits, borrowing, pools, selectors, reservations."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address, ip_network
from random import Random

import pytest
from support.calico_ipam import add, ipams, owner, pool, put_resources

from calico.ipam import affinities, keys
from calico.ipam.allocator import AddressTaken, Ipam, OutOfAddresses
from calico.ipam.candidates import NoPool
from calico.ipam.configuration import Configuration, write_configuration
from calico.ipam.snapshot import read_snapshot
from calico.ipam.walk import Walk, block_of
from calico.resources.nodes import Node
from calico.resources.pools import IPReservation
from fabric.store.memory import MemoryStore
from fabric.store.port import Delete, Put

TWO_BLOCKS = pool(cidr="10.244.0.0/29", block_size=30)


async def test_without_a_free_block_a_node_borrows():
    one, two = await ipams(TWO_BLOCKS, hosts=("node-1", "node-2"))
    await add(one, "pod-1", count=8)
    await one.release_addresses([ip_address("10.244.0.5")])
    assert await add(two, "pod-2") == (ip_address("10.244.0.5"),)


async def test_strict_affinity_forbids_to_borrow_and_the_message_says_what_helps():
    one, two = await ipams(TWO_BLOCKS, config=Configuration(strict_affinity=True))
    await add(one, "pod-1", count=7)
    with pytest.raises(OutOfAddresses, match=r"Assigned 0 out of 1 .*strict affinity enabled; add an IPP"):
        await add(two, "pod-2")


async def test_an_empty_block_that_was_claimed_a_minute_ago_is_taken_from_its_node():
    one, two = await ipams(TWO_BLOCKS, config=Configuration(strict_affinity=True))
    await add(one, "pod-1", count=5)
    await one.release_handle("k8s-pod-network.pod-1")
    with pytest.raises(OutOfAddresses):
        await add(two, "pod-2")
    await asyncio.sleep(60)
    (found,) = await add(two, "pod-2")
    snapshot = await read_snapshot(one.store)
    owned = sorted(name.host for name in snapshot.affinities)
    assert (
        owned == ["node-1", "node-2"] and snapshot.blocks[block_of(TWO_BLOCKS.spec, found)].host == "node-2"
    )


async def test_a_node_claims_no_more_blocks_than_it_may():
    config = Configuration(strict_affinity=True, max_blocks_per_host=1)
    (one,) = await ipams(TWO_BLOCKS, config=config, hosts=["node-1"])
    with pytest.raises(OutOfAddresses, match=r"Assigned 4 out of 5 .*per host block limit \(.* is 1\)"):
        await add(one, "pod-1", count=5)
    assert (await read_snapshot(one.store)).handles == {}, "all or none"
    assert len(await add(one, "pod-1", count=4)) == 4


@pytest.mark.parametrize("limit, most", [(0, 20), (3, 3), (25, 25)])
async def test_a_limit_of_0_is_20_blocks_and_a_node_at_its_limit_borrows_nothing(limit, most):
    config = Configuration(max_blocks_per_host=limit)
    one, two = await ipams(pool(block_size=32), config=config)
    for number in range(most):
        await add(one, f"pod-{number}")
    (theirs,) = await add(two, "pod-a")
    await two.release_handle("k8s-pod-network.pod-a")
    with pytest.raises(OutOfAddresses, match=rf"per host block limit \(maxBlocksPerHost is {most}\)"):
        await add(one, "pod-x")
    assert len(await affinities.blocks_of(one.store, "node-1")) == most
    assert await one.addresses("k8s-pod-network.pod-x") == (), f"{theirs} is free, and not borrowed"


async def test_the_limit_counts_the_blocks_of_the_pools_that_are_searched():
    pools = [pool(f"pool-{n}", f"10.244.{n}.0/24", 30) for n in (1, 2)]
    (one,) = await ipams(*pools, config=Configuration(max_blocks_per_host=1), hosts=["node-1"])
    for each in pools:
        assert await add(one, each.name, pools=(each.spec.cidr,))
    assert len(await affinities.blocks_of(one.store, "node-1")) == 2


async def test_without_automatic_blocks_a_node_has_only_what_is_its_own():
    config = Configuration(auto_allocate_blocks=False)
    one, two = await ipams(TWO_BLOCKS)
    await add(one, "pod-1")
    await write_configuration(one.store, config)
    with pytest.raises(OutOfAddresses, match=r"failed to find or claim a block \(autoAllocateBlocks is"):
        await add(two, "pod-2")
    assert len(await add(one, "pod-3", count=3)) == 3
    with pytest.raises(OutOfAddresses, match="autoAllocateBlocks is false"):
        await add(one, "pod-4")


async def test_a_node_borrows_from_the_first_block_with_room_on_its_own_walk():
    spec = pool(cidr="10.244.0.0/27", block_size=30)
    one, two = await ipams(spec)
    await add(one, "pod-1", count=32)
    walk = Walk(spec.spec, "node-2", Random(1)).ordered(await affinities.blocks_of(one.store, "node-1"))
    await one.release_addresses([walk[5][3], walk[2][1], walk[2][3]])
    assert await add(two, "pod-2", count=3) == (walk[2][1], walk[2][3], walk[5][3])
    with pytest.raises(OutOfAddresses, match=r"No IPs available in pools: \[10.244.0.0/27\]; add an IPPool"):
        await add(two, "pod-3")


async def test_own_blocks_are_used_in_the_order_of_their_names():
    spec = pool(cidr="10.244.0.0/24", block_size=30)
    (one,) = await ipams(spec, hosts=["node-1"])
    await add(one, "pod-1", count=20)
    own = await affinities.blocks_of(one.store, "node-1")
    assert list(own) == sorted(own, key=str)
    await one.release_addresses([own[3][0], own[1][2]])
    assert await add(one, "pod-2", count=2) == (own[1][2], own[3][0])


async def test_a_disabled_pool_gives_nothing_more_and_takes_nothing_away():
    (one,) = await ipams(pool(), pool("pool-2", "10.245.0.0/24"), hosts=["node-1"])
    (kept,) = await add(one, "pod-1", pools=(pool().spec.cidr,))
    (gone,) = await add(one, "pod-2", pools=(ip_network("10.245.0.0/24"),))
    await one.release_handle("k8s-pod-network.pod-2")
    await put_resources(one.store, pool(disabled=True), pool("pool-2", "10.245.0.0/24", disabled=True))
    with pytest.raises(NoPool, match=r"pool-1 \(10.244.0.0/24\): is disabled"):
        await add(one, "pod-3")
    with pytest.raises(NoPool, match=r"10.245.0.0/24\) does not exist, or is not enabled"):
        await add(one, "pod-3", pools=(ip_network("10.245.0.0/24"),))
    with pytest.raises(NoPool, match="is in no enabled IPPool"):
        await one.assign(kept + 1, owner("pod-3"))
    assert await one.addresses("k8s-pod-network.pod-1") == (kept,)
    await put_resources(one.store, pool())
    await add(one, "pod-3")
    blocks = {block_of(pool().spec, kept), block_of(pool().spec, gone)}
    assert set(await affinities.blocks_of(one.store, "node-1")) == blocks, "its empty block too is kept"


async def test_the_last_address_of_a_block_takes_along_the_affinity_that_the_pool_does_not_want_any_more():
    rack = pool(node_selector="rack == '1'")
    (one,) = await ipams(rack, Node.named("node-1", labels={"rack": "1"}), hosts=["node-1"])
    one = Ipam(one.store, one.clock, "node-1", node_labels=lambda: {"rack": "1"})
    await add(one, "pod-1", count=2)
    await one.release_handle("k8s-pod-network.pod-1")
    assert await affinities.blocks_of(one.store, "node-1"), "its pool still selects it"
    first, second = await add(one, "pod-2", count=2)
    await put_resources(one.store, Node.named("node-1", labels={"rack": "2"}))
    await one.release_addresses([first])
    assert await affinities.blocks_of(one.store, "node-1"), "it is in use"
    await one.release_addresses([second])
    snapshot = await read_snapshot(one.store)
    assert not snapshot.blocks and not snapshot.affinities


async def test_pools_that_are_asked_for_are_used_in_that_order_whatever_they_select():
    pools = [
        pool(f"pool-{n}", f"10.244.{n}.0/30", 30, node_selector="rack == '9'", assignment_mode="Manual")
        for n in (1, 2)
    ]
    (one,) = await ipams(*pools, hosts=["node-1"])
    asked = (pools[1].spec.cidr, pools[0].spec.cidr)
    found = await add(one, "pod-1", count=6, pools=asked)
    assert [pools[1].spec.cidr in (block_of(pools[1].spec, it),) for it in found] == [True] * 4 + [False] * 2
    assert await affinities.blocks_of(one.store, "node-1"), "asking again keeps them"
    assert len(await add(one, "pod-2", count=2, pools=asked)) == 2


async def test_a_fixed_address_is_given_outside_of_the_nodes_block_and_of_every_rule_but_strictness():
    limits = Configuration(auto_allocate_blocks=False, max_blocks_per_host=1)
    manual = pool(assignment_mode="Manual", node_selector="rack == '9'", allowed_uses=("Tunnel",))
    (one,) = await ipams(manual, config=limits, hosts=["node-1"])
    for address in ("10.244.0.5", "10.244.0.77", "10.244.0.79"):
        await one.assign(ip_address(address), owner(f"pod-{address}"))
    blocks = [ip_network("10.244.0.0/28"), ip_network("10.244.0.64/28")]
    assert list(await affinities.blocks_of(one.store, "node-1")) == blocks


async def test_reserved_addresses_are_not_given_out_by_themselves():
    reserved = IPReservation.named(
        "some", reserved_cidrs=(ip_network("10.244.0.0/30"), ip_network("10.244.0.4/31"))
    )
    (one,) = await ipams(TWO_BLOCKS, reserved, hosts=["node-1"])
    assert await add(one, "pod-1", count=2) == (ip_address("10.244.0.6"), ip_address("10.244.0.7"))
    with pytest.raises(OutOfAddresses):
        await add(one, "pod-2")
    await one.assign(ip_address("10.244.0.4"), owner("pod-2"))


async def test_a_block_of_a_pool_that_no_longer_selects_the_node_is_left_when_it_is_empty():
    labels = {"rack": "1"}
    racks = [pool(f"pool-{n}", f"10.244.{n}.0/24", node_selector=f"rack == '{n}'") for n in (1, 2)]
    (one,) = await ipams(*racks, hosts=["node-1"], node_labels=lambda: labels)
    (first,) = await add(one, "pod-1")
    labels["rack"] = "2"
    (second,) = await add(one, "pod-2")
    assert first in racks[0].spec.cidr and second in racks[1].spec.cidr
    assert len(await affinities.blocks_of(one.store, "node-1")) == 2
    await one.release_handle("k8s-pod-network.pod-1")
    await add(one, "pod-3")
    assert await affinities.blocks_of(one.store, "node-1") == (block_of(racks[1].spec, second),)


async def test_a_block_of_the_node_that_lost_its_affinity_is_claimed_again_before_a_new_one():
    (one,) = await ipams(pool(cidr="10.244.0.0/24", block_size=30), hosts=["node-1"])
    (first,) = await add(one, "pod-1")
    (cidr,) = await affinities.blocks_of(one.store, "node-1")
    await MemoryStore.txn(one.store, [], [Delete(keys.affinity("node-1", cidr))])
    assert await add(one, "pod-2") == (first + 1,)
    assert await affinities.blocks_of(one.store, "node-1") == (cidr,)


async def test_a_block_that_another_node_took_over_loses_its_stale_affinity():
    one, two = await ipams(TWO_BLOCKS)
    (first,) = await add(two, "pod-1")
    cidr = block_of(TWO_BLOCKS.spec, first)
    await MemoryStore.txn(
        one.store, [], [Put(keys.affinity("node-1", cidr), affinities.to_json("confirmed"))]
    )
    (second,) = await add(one, "pod-2")
    assert block_of(TWO_BLOCKS.spec, second) != cidr
    assert await affinities.blocks_of(one.store, "node-2") == (cidr,)
    assert cidr not in await affinities.blocks_of(one.store, "node-1")


async def test_a_reservation_of_the_whole_block_keeps_a_node_from_its_own_and_from_new_ones():
    (one,) = await ipams(TWO_BLOCKS, hosts=["node-1"])
    (first,) = await add(one, "pod-1")
    mine = block_of(TWO_BLOCKS.spec, first)
    await put_resources(one.store, IPReservation.named("mine", reserved_cidrs=(mine,)))
    (second,) = await add(one, "pod-2")
    assert second not in mine and len(await affinities.blocks_of(one.store, "node-1")) == 2


async def test_who_borrows_asks_the_pools_in_their_order_and_no_manual_one():
    pools = [
        pool("pool-1", "10.244.1.0/30", 30, assignment_mode="Manual"),
        pool("pool-2", "10.244.2.0/30", 30),
        pool("pool-3", "10.244.3.0/30", 30),
    ]
    one, two = await ipams(*pools)
    await add(one, "pod-1", count=3, pools=(pools[0].spec.cidr,))
    await add(one, "pod-2", count=3, pools=(pools[1].spec.cidr,))
    await add(one, "pod-3", count=3, pools=(pools[2].spec.cidr,))
    assert await add(two, "pod-4", count=2) == (ip_address("10.244.2.3"), ip_address("10.244.3.3"))
    with pytest.raises(OutOfAddresses, match=r"pools: \[10.244.2.0/30 10.244.3.0/30\]"):
        await add(two, "pod-5")


async def test_a_pool_whose_use_or_namespace_does_not_fit_gives_nothing_unless_only_the_namespace_is_wrong():
    team = pool("team", "10.244.1.0/24", namespace_selector="team == 'a'")
    tunnels = pool("tunnels", "10.244.2.0/24", allowed_uses=("Tunnel",))
    (one,) = await ipams(team, tunnels, hosts=["node-1"])
    with pytest.raises(NoPool, match=r"namespaceSelector team == 'a' does not select .*allowedUses has no"):
        await add(one, "pod-1")
    (found,) = await add(one, "pod-1", namespace_labels={"team": "a"})
    assert found in team.spec.cidr
    (found,) = await add(one, "pod-2", pools=(team.spec.cidr,))
    assert found in team.spec.cidr, "who asks for a pool is not asked for a namespace"
    with pytest.raises(NoPool, match="allowedUses has no Workload"):
        await add(one, "pod-3", pools=(tunnels.spec.cidr,))


async def test_a_block_that_its_deleted_pool_left_is_no_nodes_and_goes_with_its_last_address():
    (one,) = await ipams(pool(), hosts=["node-1"])
    await add(one, "pod-1", count=2)
    await affinities.release_pool(one.store, pool().spec.cidr)
    snapshot = await read_snapshot(one.store)
    assert not snapshot.affinities and [block.affinity for block in snapshot.blocks.values()] == [None]
    await one.release_handle("k8s-pod-network.pod-1")
    assert not (await read_snapshot(one.store)).blocks


async def test_a_strict_node_takes_a_fixed_address_from_no_block_without_a_node():
    (one,) = await ipams(pool(), config=Configuration(strict_affinity=True), hosts=["node-1"])
    (first,) = await add(one, "pod-1")
    await affinities.release_pool(one.store, pool().spec.cidr)
    with pytest.raises(AddressTaken, match="of no node, and strictAffinity is set"):
        await one.assign(first + 1, owner("pod-2"))
