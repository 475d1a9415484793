"""`ipam check` finds what does not fit, `ipam show` counts, and the collector waits before it releases."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address, ip_network

from support.calico_ipam import NOON, WatchedStore, noon_clock, owner, pool, put_resources

from calico.ipam import check as findings
from calico.ipam.allocator import Ipam
from calico.ipam.blocks import Block, Owner
from calico.ipam.candidates import PoolRequest
from calico.ipam.check import Use, check
from calico.ipam.garbage import Collector
from calico.ipam.handles import Handle, count_up
from calico.ipam.keys import AffinityName
from calico.ipam.show import borrowed, orphans, unclassified, usage
from calico.ipam.snapshot import Snapshot, read_snapshot

CIDR, NEXT = ip_network("10.244.0.0/28"), ip_network("10.244.0.16/28")
NODES = frozenset({"node-1"})
BLOCK = Block.claimed(CIDR, "node-1", NOON).taken([1], owner("pod-1"))
HANDLE = "k8s-pod-network.pod-1"
FINE = Snapshot({CIDR: BLOCK}, {AffinityName("node-1", CIDR): "confirmed"}, {HANDLE: Handle({CIDR: 1})})
POD = Use(ip_address("10.244.0.1"), "Workload endpoint default/pod-1")


def said(snapshot=FINE, pools=None, uses=(POD,), nodes=NODES):
    found = check(snapshot, pools or [pool()], uses, nodes)
    return [(finding.category, finding.subject) for finding in found]


def changed(blocks=None, affinities=None, handles=None):
    return Snapshot(
        FINE.blocks if blocks is None else blocks,
        FINE.affinities if affinities is None else affinities,
        FINE.handles if handles is None else handles,
    )


def test_what_fits_has_no_findings():
    assert said() == []


def test_each_thing_that_does_not_fit_has_its_category():
    stranger = Use(ip_address("192.0.2.1"), "Workload endpoint default/pod-2")
    assert said(uses=()) == [(findings.LEAKED, "10.244.0.1")]
    assert said(uses=(POD, stranger)) == [
        (findings.NOT_ALLOCATED, "192.0.2.1"),
        (findings.OUTSIDE_POOLS, "192.0.2.1"),
    ]
    assert said(pools=[pool(disabled=True)]) == [(findings.OUTSIDE_POOLS, "10.244.0.1")]
    assert said(uses=(POD, Use(POD.address, "Node node-1"))) == [(findings.SEVERAL_OWNERS, "10.244.0.1")]
    more = {**FINE.handles, "old": Handle({NEXT: 1})}
    assert said(changed(handles=more)) == [(findings.EMPTY_HANDLE, "old")]
    assert said(changed(handles={})) == [(findings.MISSING_HANDLE, "10.244.0.1")]
    assert said(nodes=frozenset()) == [(findings.BAD_AFFINITY, "10.244.0.0/28")]
    wrong = {
        **FINE.affinities,
        AffinityName("node-2", CIDR): "confirmed",
        AffinityName("node-1", NEXT): "confirmed",
    }
    assert said(changed(affinities=wrong)) == [
        (findings.BAD_AFFINITY, "10.244.0.0/28"),
        (findings.BAD_AFFINITY, "10.244.0.16/28"),
    ]


def test_a_finding_reads_as_a_sentence():
    (found,) = check(FINE, [pool()], (), NODES)
    assert str(found).startswith("10.244.0.1 is allocated but not in use: handle k8s-pod-network.pod-1")


def test_show_counts_per_pool_and_block():
    (numbers,) = usage(FINE, [pool()])
    assert (numbers.total, numbers.in_use, numbers.free) == (256, 1, 255)
    assert numbers.share(numbers.in_use) == "1 (0%)"
    assert [(block.cidr, block.in_use, block.free) for block in numbers.blocks] == [(CIDR, 1, 15)]


def test_show_counts_blocks_that_lost_their_pool():
    assert orphans(FINE, [pool()]) == ()
    (block,) = orphans(FINE, [])
    assert (block.cidr, block.in_use, block.free) == (CIDR, 1, 15)


def test_show_names_what_is_borrowed():
    block = BLOCK.taken([2], owner("pod-2", "node-2"))
    (found,) = borrowed(changed(blocks={CIDR: block}))
    assert (str(found.address), found.borrower, found.block_owner) == ("10.244.0.2", "node-2", "node-1")
    assert (found.type, found.allocated_to) == ("pod", "default/pod-2")


def test_show_names_a_tunnel_that_borrows_and_counts_whose_node_nobody_knows():
    tunnel = Owner("vxlan-tunnel-addr-node-2", {"node": "node-2", "type": "vxlanTunnelAddress"})
    snapshot = changed(blocks={CIDR: BLOCK.taken([2], tunnel).taken([3], Owner("old"))})
    (found,) = borrowed(snapshot)
    assert (found.borrower, found.type, found.allocated_to) == ("node-2", "vxlanTunnelAddress", "")
    assert (unclassified(FINE), unclassified(snapshot)) == (0, 1)


async def test_the_collector_releases_a_leak_after_its_grace_and_spares_the_living():
    store, clock = WatchedStore(), noon_clock()
    await put_resources(store, pool())
    ipam = Ipam(store, clock, "node-1")
    (leak,), _ = await ipam.auto_assign(owner("pod-1")), await ipam.auto_assign(owner("pod-2"))
    collector, alive = Collector(store, clock), frozenset({"k8s-pod-network.pod-2"})
    assert await collector.collect(alive, NODES) == ()
    await asyncio.sleep(899)
    assert await collector.collect(alive, NODES) == ()
    await asyncio.sleep(1)
    assert await collector.collect(alive, NODES) == (leak,)
    assert list((await read_snapshot(store)).handles) == ["k8s-pod-network.pod-2"]


async def test_the_collector_settles_handles_and_releases_nodes_that_are_gone_at_once():
    store, clock = WatchedStore(), noon_clock()
    await put_resources(store, pool())
    await Ipam(store, clock, "node-2").auto_assign(owner("pod-1", "node-2"))
    await count_up(store, "k8s-pod-network.dead", CIDR, 3)
    await Collector(store, clock).collect(frozenset({HANDLE}), NODES)
    snapshot = await read_snapshot(store)
    assert snapshot.affinities == {} and list(snapshot.handles) == [HANDLE]


async def test_the_collector_gives_up_an_empty_block_of_a_node_that_has_another_after_its_grace():
    store, clock = WatchedStore(), noon_clock()
    await put_resources(store, pool(block_size=31))
    ipam, collector = Ipam(store, clock, "node-1"), Collector(store, clock)
    await ipam.auto_assign(owner("pod-1"), PoolRequest(count=6))
    await ipam.release_handle("k8s-pod-network.pod-1")

    async def blocks_left():
        await collector.collect(frozenset({"k8s-pod-network.pod-2"}), NODES)
        return len((await read_snapshot(store)).affinities)

    assert await blocks_left() == 3
    await asyncio.sleep(600)
    await ipam.auto_assign(owner("pod-2"))
    await asyncio.sleep(300)
    assert await blocks_left() == 1, "the one that is in use"
    await ipam.release_handle("k8s-pod-network.pod-2")
    for _ in range(3):
        await asyncio.sleep(900)
        assert await blocks_left() == 1, "a node keeps one"
