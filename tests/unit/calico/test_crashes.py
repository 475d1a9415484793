"""An operation that dies at any of its store calls is completed or undone by the next one."""

from __future__ import annotations

import asyncio
from itertools import combinations

import pytest
from support.calico_ipam import WatchedStore, noon_clock, owner, pool, put_resources
from support.deaths import Coin, died

from calico.ipam.affinities import claim, release_host
from calico.ipam.allocator import Ipam
from calico.ipam.candidates import PoolRequest
from calico.ipam.check import Use, check
from calico.ipam.garbage import Collector
from calico.ipam.snapshot import read_snapshot

POOL = pool(cidr="10.244.0.0/29", block_size=30)
HANDLE = "k8s-pod-network.pod-1"


async def world(before: bool):
    store = WatchedStore(Coin(before))
    await put_resources(store, POOL)
    clock = noon_clock()
    return store, *(Ipam(store, clock, host) for host in ("node-1", "node-2"))


async def sound(store, *handles: str) -> None:
    """The store fits what these handles have, and everything has a handle."""
    snapshot = await read_snapshot(store)
    uses = [
        Use(block.address(ordinal), who.handle)
        for block in snapshot.blocks.values()
        for ordinal, who in block.allocated()
        if who.handle in handles
    ]
    assert check(snapshot, [POOL], uses, frozenset({"node-1", "node-2"})) == ()


@pytest.mark.parametrize("before", [True, False])
async def test_an_add_that_dies_anywhere_is_repeated_without_loss(before):
    for calls in range(1, 100):
        store, one, _ = await world(before)
        dead = await died(one.auto_assign(owner("pod-1"), PoolRequest(count=6)), calls)
        have = await one.addresses(HANDLE)
        await one.release_handle(HANDLE)
        await sound(store)
        found = await one.auto_assign(owner("pod-1"), PoolRequest(count=6))
        assert len(found) == 6 and len(have) in (0, 4, 6)
        await sound(store, HANDLE)
        if not dead:
            break
    assert calls > 15


@pytest.mark.parametrize("before", [True, False])
async def test_a_delete_that_dies_anywhere_is_completed_by_the_next(before):
    for calls in range(1, 100):
        store, one, two = await world(before)
        await one.auto_assign(owner("pod-1"), PoolRequest(count=6))
        dead = await died(two.release_handle(HANDLE), calls)
        await two.release_handle(HANDLE)
        await sound(store)
        assert (await read_snapshot(store)).handles == {}
        if not dead:
            break
    assert calls > 8


@pytest.mark.parametrize("before", [True, False])
async def test_a_reclaim_that_dies_anywhere_leaves_a_block_that_somebody_can_use(before):
    for calls in range(1, 100):
        store, one, two = await world(before)
        await one.auto_assign(owner("pod-1"), PoolRequest(count=8))
        await one.release_handle(HANDLE)
        await asyncio.sleep(61)
        dead = await died(two.auto_assign(owner("pod-2", "node-2"), PoolRequest(count=1)), calls)
        user = one if calls % 2 else two
        await user.release_handle("k8s-pod-network.pod-2")
        assert len(await user.auto_assign(owner("pod-3", user.host), PoolRequest(count=8))) == 8
        await sound(store, "k8s-pod-network.pod-3")
        if not dead:
            break
    assert calls > 18


class Turns:
    """Store calls of two tasks, one at a time: `"ABBA"` says whose turn it is; what is left over goes on."""

    def __init__(self, order: str) -> None:
        self._times = {name: [i for i, turn in enumerate(order) if turn == name] for name in "AB"}

    def random(self) -> float:
        return 1.0

    def choice(self, _) -> float:
        task = asyncio.current_task()
        times = self._times.get(task.get_name(), [])
        return times.pop(0) - asyncio.get_running_loop().time() if times else 0.0


@pytest.mark.parametrize("places", list(combinations(range(9), 4)), ids=lambda it: "".join(map(str, it)))
@pytest.mark.parametrize("releaser", ["node-1", "node-2"])
async def test_a_claim_and_a_release_of_one_block_fit_together_in_any_order(places, releaser):
    """The store looks after each write: a block with a node has that node's affinity."""
    store, clock, cidr = (
        WatchedStore(Turns("")),
        noon_clock(),
        next(iter(POOL.spec.cidr.subnets(new_prefix=30))),
    )
    await put_resources(store, POOL)
    if releaser == "node-2":
        await claim(store, releaser, cidr, clock)
    store._rng = Turns("".join("B" if place in places else "A" for place in range(9)))
    claiming = asyncio.create_task(claim(store, "node-1", cidr, clock), name="A")
    releasing = asyncio.create_task(release_host(store, releaser), name="B")
    found = await asyncio.gather(claiming, releasing, return_exceptions=True)
    assert not [one for one in found if isinstance(one, AssertionError)]
    await sound(store)


@pytest.mark.parametrize("before", [True, False])
async def test_a_release_that_dies_anywhere_is_completed_by_the_next(before):
    for calls in range(1, 100):
        store, one, two = await world(before)
        await one.auto_assign(owner("pod-1"), PoolRequest(count=3))
        dead = await died(two.release_host("node-1"), calls)
        await two.release_host("node-1")
        snapshot = await read_snapshot(store)
        assert not snapshot.affinities and {b.affinity for b in snapshot.blocks.values()} == {None}
        await Collector(store, noon_clock(), grace_seconds=0).collect(frozenset(), frozenset())
        assert not (await read_snapshot(store)).blocks
        if not dead:
            break
    assert calls > 5
