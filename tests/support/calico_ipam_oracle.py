"""An oracle of Calico's IPAM: its decisions for one request after another, written from the specification.

It keeps blocks as plain lists and knows nothing of the store, of affinities' states, or of the code that it
judges; only the place where a node begins its walk (Go's generator) is taken from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network

from calico.ipam.walk import first_index
from calico.selector import Selector

BLOCKS_PER_HOST = 20
RECLAIM_SECONDS = 60.0


class Refused(Exception):
    """A request that gets no address; the argument names the rule."""


@dataclass(frozen=True)
class Pool:
    """An IPPool, as far as the IPAM looks at it."""

    name: str
    cidr: IPv4Network
    block_size: int
    disabled: bool = False
    node_selector: str = "all()"
    namespace_selector: str = ""
    uses: tuple[str, ...] = ("Workload", "Tunnel")
    mode: str = "Automatic"

    def selects(self, labels: Mapping[str, str]) -> bool:
        return Selector.parse(self.node_selector).matches(labels)

    def wants(self, labels: Mapping[str, str]) -> bool:
        return not self.namespace_selector or Selector.parse(self.namespace_selector).matches(labels)


@dataclass
class Slots:
    """A block: its node ("" for none), when it was claimed, who has which address, and the free ones."""

    host: str
    claimed_at: float
    holders: list[str | None]
    queue: list[int]

    @property
    def is_empty(self) -> bool:
        return not any(self.holders)


@dataclass
class Oracle:
    """The IPAM of a cluster; pools are in the order of their names."""

    pools: dict[str, Pool]
    labels: dict[str, dict[str, str]]
    strict: bool = False
    automatic: bool = True
    limit: int = 0
    reserved: IPv4Network | None = None
    blocks: dict[IPv4Network, Slots] = field(default_factory=dict)

    def auto(
        self, host: str, handle: str, asked: tuple[str, ...], team: Mapping[str, str], now: float, use: str
    ) -> IPv4Address:
        """An address from own blocks, else a new block, else an empty one of others, else borrowed."""
        pools = self._candidates(host, asked, team, use)
        self._leave_unselected(host, pools)
        own = [cidr for cidr in self._named(host) if any(cidr.subnet_of(pool.cidr) for pool in pools)]
        for cidr in own:
            if self._free(cidr):
                return self._take(cidr, handle)
        if len(own) >= (self.limit or BLOCKS_PER_HOST):
            raise Refused("limit")
        if not self.automatic:
            raise Refused("not automatic")
        if (cidr := self._new(host, pools, now)) is not None:
            return self._take(cidr, handle)
        if self.strict:
            raise Refused("strict")
        for cidr in self._walk(host, pools):
            if cidr in self.blocks and self._free(cidr):
                return self._take(cidr, handle)
        raise Refused("exhausted")

    def fixed(self, host: str, address: IPv4Address, handle: str, now: float) -> IPv4Address:
        """This very address, whatever limits, selectors and reservations say."""
        pool = next((it for it in self._enabled() if address in it.cidr), None)
        if pool is None:
            raise Refused("no pool")
        cidr = IPv4Network((address, pool.block_size), strict=False)
        block = self.blocks.get(cidr) or self._claim(cidr, host, now)
        ordinal = int(address) - int(cidr.network_address)
        if block.holders[ordinal] is not None or (self.strict and block.host != host):
            raise Refused("taken")
        block.queue.remove(ordinal)
        block.holders[ordinal] = handle
        return address

    def release(self, handle: str) -> None:
        """Give back what the handle has; an empty block of no node, or of a pool that left it, goes."""
        for cidr, block in list(self.blocks.items()):
            gone = [ordinal for ordinal, holder in enumerate(block.holders) if holder == handle]
            for ordinal in gone:
                block.holders[ordinal] = None
                block.queue.append(ordinal)
            if gone and block.is_empty and (not block.host or self._is_left(cidr, block.host)):
                del self.blocks[cidr]

    def delete_pool(self, name: str) -> None:
        """Nodes lose their affinities; what is in use stays."""
        pool = self.pools.pop(name)
        for cidr, block in list(self.blocks.items()):
            if cidr.subnet_of(pool.cidr) and block.host:
                block.host = ""
                if block.is_empty:
                    del self.blocks[cidr]

    def edit_pool(self, name: str, **changes) -> None:
        self.pools[name] = replace(self.pools[name], **changes)

    def holders(self) -> dict[IPv4Address, str]:
        """Who has which address."""
        return {
            cidr[ordinal]: holder
            for cidr, block in self.blocks.items()
            for ordinal, holder in enumerate(block.holders)
            if holder is not None
        }

    def _enabled(self) -> list[Pool]:
        return [self.pools[name] for name in sorted(self.pools) if not self.pools[name].disabled]

    def _candidates(self, host: str, asked: tuple[str, ...], team: Mapping[str, str], use: str) -> list[Pool]:
        enabled = {pool.name: pool for pool in self._enabled()}
        if not set(asked) <= enabled.keys():
            raise Refused("no pool")
        found = [enabled[name] for name in asked] or [
            pool
            for pool in enabled.values()
            if pool.mode == "Automatic" and pool.selects(self.labels[host]) and pool.wants(team)
        ]
        allowed = [pool for pool in found if use in pool.uses]
        if not allowed:
            raise Refused("no pool")
        return allowed

    def _leave_unselected(self, host: str, pools: list[Pool]) -> None:
        """The node's empty blocks go where an enabled pool, not asked for, does not select the node."""
        for cidr in self._named(host):
            if any(cidr.subnet_of(pool.cidr) for pool in pools):
                continue
            if self._is_left(cidr, host) and self.blocks[cidr].is_empty:
                del self.blocks[cidr]

    def _is_left(self, cidr: IPv4Network, host: str) -> bool:
        pool = next((it for it in self._enabled() if cidr.subnet_of(it.cidr)), None)
        return pool is not None and not pool.selects(self.labels[host])

    def _named(self, host: str) -> list[IPv4Network]:
        """The node's blocks, in the order of their keys."""
        return sorted((cidr for cidr, block in self.blocks.items() if block.host == host), key=str)

    def _new(self, host: str, pools: list[Pool], now: float) -> IPv4Network | None:
        """The first block on the walk that nobody has, else an empty one claimed a minute ago by another."""
        for cidr in self._walk(host, pools):
            if cidr not in self.blocks:
                self._claim(cidr, host, now)
                return cidr
        for cidr in self._walk(host, pools):
            block = self.blocks[cidr]
            is_old = now - block.claimed_at >= RECLAIM_SECONDS
            if block.is_empty and block.host and is_old and self._free(cidr):
                self._claim(cidr, host, now)
                return cidr
        return None

    def _walk(self, host: str, pools: list[Pool]) -> Iterator[IPv4Network]:
        """Every block that is not wholly reserved: pool by pool, once around from the node's place."""
        for pool in pools:
            every = list(pool.cidr.subnets(new_prefix=pool.block_size))
            start = first_index(host, len(every))
            for cidr in (*every[start:], *every[:start]):
                if self.reserved is None or not cidr.subnet_of(self.reserved):
                    yield cidr

    def _claim(self, cidr: IPv4Network, host: str, now: float) -> Slots:
        count = cidr.num_addresses
        self.blocks[cidr] = Slots(host, now, [None] * count, list(range(count)))
        return self.blocks[cidr]

    def _free(self, cidr: IPv4Network) -> list[int]:
        block = self.blocks[cidr]
        return [it for it in block.queue if self.reserved is None or cidr[it] not in self.reserved]

    def _take(self, cidr: IPv4Network, handle: str) -> IPv4Address:
        block = self.blocks[cidr]
        ordinal = self._free(cidr)[0]
        block.queue.remove(ordinal)
        block.holders[ordinal] = handle
        return cidr[ordinal]
