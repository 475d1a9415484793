"""The order in which a node looks through a pool's blocks: once around, from a place that its name decides.

The place is Calico's own: Go's math/rand, seeded with the 32-bit FNV-1 hash of the node's name, so that a
node has the same first block in every cluster. Nodes that start together thus seldom want the same block, and
a node that lost its memory finds its own again. In a pool of single addresses it is drawn anew each time.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import collapse_addresses, ip_network
from typing import Any

from calico.ipam.gorand import GoRand
from calico.resources.pools import IPPoolSpec
from fabric.netstate.objects import IPAddress, IPNetwork

_FNV_OFFSET, _FNV_PRIME = 0x811C9DC5, 0x01000193


@dataclass(frozen=True, slots=True)
class Reserved:
    """Addresses that are never given out by themselves (IPReservation)."""

    networks: tuple[IPNetwork, ...] = ()
    """Neither overlapping nor adjacent."""

    @classmethod
    def of(cls, networks: Iterable[IPNetwork]) -> Reserved:
        found = list(networks)
        families: list[Any] = [[net for net in found if net.version == version] for version in (4, 6)]
        return cls(tuple(net for family in families for net in collapse_addresses(family)))

    def __call__(self, address: IPAddress) -> bool:
        return any(address in network for network in self.networks)

    def covering(self, cidr: IPNetwork) -> IPNetwork | None:
        """The reservation that holds the whole of it, or None."""
        return next((net for net in self.networks if _holds(net, cidr)), None)


NOTHING_RESERVED = Reserved()


class Walk:
    """The order in which a node looks through a pool."""

    def __init__(self, pool: IPPoolSpec, host: str, rng: random.Random) -> None:
        self._pool = pool
        self._base = int(pool.cidr.network_address)
        self._step = 1 << (pool.cidr.max_prefixlen - pool.block_size)
        self.size = max(pool.cidr.num_addresses // self._step, 0)
        """Blocks in the pool."""
        single = pool.block_size == pool.cidr.max_prefixlen
        self._start = rng.randrange(self.size or 1) if single else first_index(host, self.size)

    def first_free(self, existing: Iterable[IPNetwork], reserved: Reserved) -> IPNetwork | None:
        """The first block on the way that no existing block overlaps and that is not wholly reserved."""
        obstacles = [*(net for net in existing if net.overlaps(self._pool.cidr)), *reserved.networks]
        spans = sorted(span for net in obstacles if (span := self._span(net, net in reserved.networks)))
        for first, last in ((self._start, self.size), (0, self._start)):
            index = first
            for low, high in spans:
                if low > index:
                    break
                index = max(index, high + 1)
            if index < last:
                return self._block(index)
        return None

    def ordered(self, blocks: Iterable[IPNetwork]) -> list[IPNetwork]:
        """These blocks of the pool, in the order in which the walk meets them."""
        inside = (net for net in blocks if _holds(self._pool.cidr, net))
        return sorted(
            inside, key=lambda net: (self._index(int(net.network_address)) - self._start) % self.size
        )

    def _span(self, net: IPNetwork, wholly: bool) -> tuple[int, int] | None:
        """The first and last index that `net` touches, or (wholly) holds whole; None when there is none."""
        if net.version != self._pool.cidr.version or not net.overlaps(self._pool.cidr):
            return None
        first, last = int(net.network_address), int(net.broadcast_address)
        low, high = self._index(first), self._index(last)
        if wholly:
            low = -((self._base - first) // self._step)
            high = self._index(last + 1) - 1
        return (max(low, 0), min(high, self.size - 1)) if low <= high else None

    def _index(self, address: int) -> int:
        return (address - self._base) // self._step

    def _block(self, index: int) -> IPNetwork:
        return ip_network((self._pool.cidr.network_address + index * self._step, self._pool.block_size))


def block_of(pool: IPPoolSpec, address: IPAddress) -> IPNetwork:
    """The block of the pool in which an address lies."""
    return ip_network((address, pool.block_size), strict=False)


@lru_cache(maxsize=4096)
def first_index(host: str, blocks: int) -> int:
    """The block of a pool, by its number, at which a node begins."""
    return GoRand(fnv32(host.encode())).below(blocks)


def fnv32(data: bytes) -> int:
    """The 32-bit FNV-1 hash."""
    value = _FNV_OFFSET
    for byte in data:
        value = (value * _FNV_PRIME & 0xFFFFFFFF) ^ byte
    return value


def _holds(outer: IPNetwork, inner: IPNetwork) -> bool:
    same = outer.version == inner.version
    return same and outer.prefixlen <= inner.prefixlen and outer.overlaps(inner)


def blocks_in(pools: Iterable[IPPoolSpec], blocks: Iterable[IPNetwork]) -> Iterator[IPNetwork]:
    """The blocks among these that lie in a pool."""
    cidrs = [pool.cidr for pool in pools]
    return (block for block in blocks if any(_holds(cidr, block) for cidr in cidrs))
