"""The numbers of `calicoctl ipam show`: how full pools and blocks are, and which addresses are borrowed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from calico.ipam.snapshot import Snapshot
from calico.ipam.walk import blocks_in
from calico.resources.pools import IPPool
from fabric.netstate.objects import IPAddress, IPNetwork


@dataclass(frozen=True, slots=True)
class Usage:
    """The numbers of one pool or block."""

    cidr: IPNetwork
    total: int
    in_use: int
    blocks: tuple[Usage, ...] = ()

    @property
    def free(self) -> int:
        return self.total - self.in_use

    def share(self, count: int) -> str:
        """`3 (0%)`, as calicoctl prints it."""
        return f"{count:.5g} ({100 * count / self.total:.0f}%)"


@dataclass(frozen=True, slots=True)
class Borrowed:
    """An address of one node's block that another node uses."""

    address: IPAddress
    borrower: str
    block: IPNetwork
    block_owner: str
    """A node, or nothing when the block belongs to none."""
    type: str
    """`pod`, or the attribute: ipipTunnelAddress …"""
    allocated_to: str
    """The pod; nothing for a tunnel, which is the borrowing node's."""


def usage(snapshot: Snapshot, pools: Iterable[IPPool]) -> tuple[Usage, ...]:
    """Each pool's numbers with those of its blocks, in the order of the pools."""
    return tuple(_pool_usage(snapshot, pool) for pool in pools)


def orphans(snapshot: Snapshot, pools: Iterable[IPPool]) -> tuple[Usage, ...]:
    """The numbers of blocks that lie in no pool: their pool was deleted while pods had addresses there."""
    inside = frozenset(blocks_in([pool.spec for pool in pools], snapshot.blocks))
    return tuple(_block_usage(snapshot, cidr) for cidr in snapshot.blocks if cidr not in inside)


def borrowed(snapshot: Snapshot) -> Iterator[Borrowed]:
    """All borrowed addresses, block by block."""
    for cidr, block in snapshot.blocks.items():
        for ordinal, owner in block.allocated():
            node = owner.attributes.get("node", "")
            if node and node != block.host:
                is_pod = "pod" in owner.attributes
                pod = "/".join(owner.attributes.get(key, "") for key in ("namespace", "pod"))
                type_ = "pod" if is_pod else owner.attributes.get("type", "")
                yield Borrowed(block.address(ordinal), node, cidr, block.host, type_, pod if is_pod else "")


def unclassified(snapshot: Snapshot) -> int:
    """The number of addresses whose owner names no node, so that nobody can say whether they are borrowed."""
    return sum(
        "node" not in owner.attributes for it in snapshot.blocks.values() for _, owner in it.allocated()
    )


def _pool_usage(snapshot: Snapshot, pool: IPPool) -> Usage:
    cidr = pool.spec.cidr
    blocks = tuple(_block_usage(snapshot, net) for net in blocks_in([pool.spec], snapshot.blocks))
    return Usage(cidr, cidr.num_addresses, sum(block.in_use for block in blocks), blocks)


def _block_usage(snapshot: Snapshot, cidr: IPNetwork) -> Usage:
    in_use = sum(1 for _ in snapshot.blocks[cidr].allocated())
    return Usage(cidr, cidr.num_addresses, in_use)
