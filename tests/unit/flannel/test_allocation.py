"""Who gets which subnet, and what happens when another node is faster."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from support.flannel_cluster import conf_of, config, vxlan_lease

from fabric.errors import FabricError
from fabric.store.memory import MemoryStore
from fabric.store.port import Put
from flannel.allocation import OutOfSubnets, acquire, free_subnets, renew
from flannel.leases import SUBNETS

CONF = conf_of(config())
ME = replace(vxlan_lease(1), subnets=())


def net(number):
    return ip_network(f"10.244.{number}.0/24")


async def take(store, lease):
    await store.txn([], [Put(lease.key, lease.value)])


async def test_the_choice_is_random_among_the_first_hundred_free_subnets():
    seen = {free_subnets(CONF, [vxlan_lease(1)], (), random.Random(seed))[0] for seed in range(300)}
    assert len(seen) > 80 and seen <= {net(number) for number in range(2, 102)}


async def test_the_lease_with_my_address_is_mine_again():
    store = MemoryStore()
    await take(store, vxlan_lease(77, "192.168.0.11", mac="02:00:00:00:00:55"))
    held = await acquire(store, CONF, ME, (net(5),), random.Random(1))
    assert held.lease.subnets == (net(77),) and held.lease.data == ME.data


async def test_a_lease_of_mine_that_no_longer_fits_is_deleted_first():
    store = MemoryStore()
    await take(store, replace(vxlan_lease(1), subnets=(ip_network("10.99.0.0/24"),)))
    held = await acquire(store, CONF, ME, (net(5),), random.Random(1))
    assert (
        [kv.key for kv in (await store.range(SUBNETS)).kvs] == [held.lease.key] == [f"{SUBNETS}10.244.5.0-24"]
    )


async def test_the_previous_subnet_is_taken_when_it_is_free():
    assert free_subnets(CONF, [vxlan_lease(2)], (net(200),), random.Random(1)) == (net(200),)


@pytest.mark.parametrize(
    "previous", [net(2), ip_network("10.245.1.0/24"), ip_network("10.244.64.0/20"), net(0)]
)
def test_a_previous_subnet_that_is_taken_or_not_allowed_is_forgotten(previous):
    assert free_subnets(CONF, [vxlan_lease(2)], (previous,), random.Random(1)) != (previous,)


def test_no_subnet_is_given_that_overlaps_a_lease_of_another_size():
    wide = replace(vxlan_lease(2), subnets=(ip_network("10.244.0.0/17"),))
    for seed in range(20):
        (subnet,) = free_subnets(CONF, [wide], (), random.Random(seed))
        assert not subnet.overlaps(wide.subnets[0])


async def test_running_out_says_how_many_there_are_and_what_helps():
    small = conf_of(config(cidrs="10.244.0.0/22"))
    leases = [vxlan_lease(number) for number in (1, 2, 3)]
    with pytest.raises(OutOfSubnets, match=r"all 3 from 10.244.1.0/24 to 10.244.3.0/24 .* larger podCIDR"):
        free_subnets(small, leases, (), random.Random(1))


class _Thief(MemoryStore):
    """Somebody takes the wanted subnet just before each of the first `faster` transactions."""

    def __init__(self, faster):
        super().__init__()
        self.faster = faster
        self.thefts = 0
        self.revoked = 0

    async def txn(self, compares, success):
        if self.thefts < self.faster:
            self.thefts += 1
            other = vxlan_lease(100 + self.thefts).value
            await super().txn([], [Put(compares[0].key, other)])
        return await super().txn(compares, success)

    async def revoke(self, lease):
        self.revoked += 1
        await super().revoke(lease)


async def test_a_lost_race_is_run_again_and_its_store_lease_given_back():
    store = _Thief(faster=3)
    held = await acquire(store, CONF, ME, (net(5),), random.Random(1))
    keys = [kv.key for kv in (await store.range(SUBNETS)).kvs]
    assert store.revoked == 3 and len(keys) == 4 and held.lease.key in keys
    assert held.lease.subnets != (net(5),)


async def test_ten_lost_races_are_the_world_saying_no():
    with pytest.raises(FabricError, match="no subnet after 10 tries"):
        await acquire(_Thief(faster=99), CONF, ME, (), random.Random(1))


async def test_a_renewal_never_takes_back_what_became_anothers():
    store = MemoryStore()
    held = await acquire(store, CONF, ME, (), random.Random(1))
    await store.txn([], [Put(held.lease.key, vxlan_lease(9).value)])
    assert await renew(store, held) is None
    assert (await store.get(held.lease.key)).value == vxlan_lease(9).value


async def test_two_families_are_taken_together():
    conf = conf_of(config(cidrs="10.244.0.0/16 fd00:10:244::/48"))
    held = await acquire(MemoryStore(), conf, replace(ME, data=()), (), random.Random(1))
    assert [subnet.prefixlen for subnet in held.lease.subnets] == [24, 64]


TWO = conf_of(config(cidrs="10.244.0.0/16 fd00:10:244::/59"))


def of_node(number):
    return replace(ME, data=(), public_ips=(ip_address(f"192.168.0.{10 + number}"),))


async def test_twenty_draws_at_once_never_share_a_subnet_of_either_family():
    store = MemoryStore()
    draws = (acquire(store, TWO, of_node(number), (), random.Random(number)) for number in range(20))
    held = await asyncio.gather(*draws)
    assert [len({it.lease.subnet(family) for it in held}) for family in (4, 6)] == [20, 20]


async def test_a_reservation_by_hand_between_list_and_write_is_seen():
    class Operator(MemoryStore):
        async def range(self, *args, **kwargs):
            found = await super().range(*args, **kwargs)
            await take(self, reserved)
            return found

    subnets = (net(200), ip_network("fd00:10:244:5::/64"))
    reserved = replace(vxlan_lease(9), subnets=subnets, data=())
    store = Operator()
    with suppress(FabricError):
        held = await acquire(store, TWO, of_node(1), (net(5), subnets[1]), random.Random(1))
        assert held.lease.subnet(6) != subnets[1]
    assert len([kv for kv in (await MemoryStore.range(store, SUBNETS)).kvs if "244:5::" in kv.key]) == 1


async def test_of_two_leases_with_one_subnet_the_younger_is_drawn_anew():
    store = MemoryStore()
    shared = ip_network("fd00:10:244:5::/64")
    older, mine = (replace(vxlan_lease(n), subnets=(net(n), shared), data=()) for n in (2, 1))
    await take(store, older)
    await take(store, mine)
    held = await acquire(store, TWO, of_node(1), (), random.Random(1))
    assert held.lease.subnet(6) != shared and await store.get(older.key) and not await store.get(mine.key)
