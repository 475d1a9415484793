"""The allocation of subnets to nodes, decided from all leases at one revision of the store.

In this order a node gets the subnet that the store already holds for its public address; the one that it had
before (subnet.env); one at random of the first hundred free ones, so that nodes that start together seldom
want the same. The write needs the key to be absent and no lease to be newer than that revision: two keys can
differ and yet share the subnet of one family.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from fabric.errors import FabricError
from fabric.netstate.objects import IPAddress, IPNetwork
from fabric.store.port import Compare, Delete, KeyValue, ModRevision, NoneNewer, Put, Store
from flannel.leases import SUBNETS, Lease, parse_lease
from flannel.net_conf import NetConf, Range

CANDIDATES_MAX = 100
TRIES_MAX = 10
"""Subnets that others took first."""
LISTS_MAX = 1000
"""Times that the leases are listed again because others' have changed meanwhile."""
TTL_SECONDS = 86_400


class OutOfSubnets(FabricError):
    """Every subnet between SubnetMin and SubnetMax has an owner."""


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that the store confirmed to be ours."""

    lease: Lease
    revision: int
    """Mod revision of its key: whoever changes the key after us changes this."""
    reserved: bool = False
    """The key has no TTL (somebody wrote it by hand for this node): it stays so and needs no renewal."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A lease as it stands in the store."""

    lease: Lease
    kv: KeyValue


def entries(kvs: Iterable[KeyValue]) -> tuple[Entry, ...]:
    """The leases among the keys below `subnets/`."""
    found = ((parse_lease(kv.key, kv.value), kv) for kv in kvs)
    return tuple(Entry(lease, kv) for lease, kv in found if lease is not None)


async def acquire(
    store: Store, conf: NetConf, wanted: Lease, previous: Sequence[IPNetwork], rng: random.Random
) -> Held:
    """Return this node's lease, with the attributes of `wanted` (whose subnets say nothing).

    OutOfSubnets when none is free; FabricError when others were faster ten times in a row.
    """
    lost = 0
    for _ in range(LISTS_MAX):
        found = await store.range(SUBNETS)
        listed = entries(found.kvs)
        mine = next((entry for entry in listed if _is_of(entry.lease, wanted.public_ips[0])), None)
        if mine is not None and not (_compatible(mine.lease, conf) and _is_oldest(mine, listed)):
            await store.txn([ModRevision(mine.kv.key, mine.kv.mod_revision)], [Delete(mine.kv.key)])
            continue
        if mine is not None:
            lease, over = replace(wanted, subnets=mine.lease.subnets), mine.kv
            held = await put(store, lease, over)
        else:
            subnets = free_subnets(conf, [entry.lease for entry in listed], previous, rng)
            lease, over = replace(wanted, subnets=subnets), None
            held = await put(store, lease, over, NoneNewer(SUBNETS, found.revision))
        if held is not None:
            return held
        lost += await _is_taken(store, lease.key, over)
        if lost >= TRIES_MAX:
            break
    raise FabricError(f"no subnet after {TRIES_MAX} tries: other nodes took each one first; trying again")


async def own_lease(store: Store, public_ip: IPAddress) -> Lease | None:
    """The lease that the store holds for the node with this address, compatible or not."""
    listed = entries((await store.range(SUBNETS)).kvs)
    return next((entry.lease for entry in listed if _is_of(entry.lease, public_ip)), None)


async def put(store: Store, lease: Lease, over: KeyValue | None, *guards: Compare) -> Held | None:
    """Write the lease with 24 h to live over the key as we read it (None: absent), if the guards hold.

    None when the key changed, or a guard does not hold.
    """
    reserved = over is not None and not over.lease
    granted = 0 if reserved else await store.grant(TTL_SECONDS)
    unchanged = ModRevision(lease.key, over.mod_revision if over else 0)
    result = await store.txn([unchanged, *guards], [Put(lease.key, lease.value, granted)])
    if result.succeeded:
        return Held(lease, result.revision, reserved)
    if granted:
        await store.revoke(granted)
    return None


async def renew(store: Store, held: Held) -> Held | None:
    """Put the key again with a new store lease of 24 h; None when the key is no longer as we wrote it."""
    kv = await store.get(held.lease.key)
    if kv is None or kv.mod_revision != held.revision:
        return None
    return await put(store, held.lease, kv)


def free_subnets(
    conf: NetConf, leases: Sequence[Lease], previous: Sequence[IPNetwork], rng: random.Random
) -> tuple[IPNetwork, ...]:
    """Return a free subnet of each family: the previous ones if all are free, else chosen at random."""
    taken = [subnet for lease in leases for subnet in lease.subnets]
    again = [_previous(range_, previous, taken) for range_ in conf.ranges]
    kept = tuple(subnet for subnet in again if subnet is not None)
    if len(kept) == len(conf.ranges):
        return kept
    return tuple(_choose(range_, taken, rng) for range_ in conf.ranges)


def _previous(range_: Range, previous: Sequence[IPNetwork], taken: Sequence[IPNetwork]) -> IPNetwork | None:
    fit = (subnet for subnet in previous if range_.allows(subnet))
    return next((subnet for subnet in fit if not any(map(subnet.overlaps, taken))), None)


def _choose(range_: Range, taken: Sequence[IPNetwork], rng: random.Random) -> IPNetwork:
    start, step = int(range_.first.network_address), range_.first.num_addresses
    same_family = [net for net in taken if net.version == range_.network.version]
    exact = {
        (int(net.network_address) - start) // step
        for net in same_family
        if net.prefixlen == range_.subnet_len
    }
    odd = [
        (int(net.network_address) - start, int(net.broadcast_address) - start)
        for net in same_family
        if net.prefixlen != range_.subnet_len
    ]
    # Numbers: of a hundred networks each node of a new cluster would make anew after each draw that it lost.
    free = (
        number
        for number in range(range_.size)
        if number not in exact
        and not any(low < (number + 1) * step and number * step <= high for low, high in odd)
    )
    candidates = list(islice(free, CANDIDATES_MAX))
    if not candidates:
        every = f"all {range_.size} from {range_.first} to {range_.last}"
        raise OutOfSubnets(f"out of subnets: {every} are leased; use a larger podCIDR")
    return range_.subnet(rng.choice(candidates))


async def _is_taken(store: Store, key: str, over: KeyValue | None) -> bool:
    """True when the key is not as it was read; else only other keys have changed."""
    kv = await store.get(key)
    return (kv.mod_revision if kv else 0) != (over.mod_revision if over else 0)


def _is_oldest(mine: Entry, listed: Iterable[Entry]) -> bool:
    """True unless an older lease has a subnet of this one too; a subnet with two owners is the older's."""
    older = (it.lease for it in listed if it.kv.create_revision < mine.kv.create_revision)
    taken = [subnet for lease in older for subnet in lease.subnets]
    return not any(subnet.overlaps(other) for subnet in mine.lease.subnets for other in taken)


def _is_of(lease: Lease, public_ip: IPAddress) -> bool:
    return lease.public_ips[:1] == (public_ip,)


def _compatible(lease: Lease, conf: NetConf) -> bool:
    if len(lease.subnets) != len(conf.ranges):
        return False
    return all(any(range_.allows(subnet) for range_ in conf.ranges) for subnet in lease.subnets)
