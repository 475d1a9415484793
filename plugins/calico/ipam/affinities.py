"""Affinities: the records of which block belongs to which node, claimed and released step by step.

    claim    affinity pending → block, created with the node's name → affinity confirmed
    release  affinity pendingDeletion → block deleted (or, in use, disowned) → affinity deleted

Every step compares the affinity as well as the block, so that whoever comes second finds his step refused:
at any revision a confirmed affinity has its block, and a node's block that node's affinity. A claim or
release that was cut anywhere is finished by the next claim or release of that block.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from calico.ipam import keys
from calico.ipam.blocks import Block
from calico.ipam.candidates import pool_of, selects
from calico.ipam.records import TRIES_MAX, Record, TooBusy, read, read_block
from calico.resources.datastore import get, listed
from calico.resources.nodes import Node
from calico.resources.pools import IPPool
from fabric.control.clock import Clock
from fabric.errors import FabricError
from fabric.netstate.objects import IPNetwork
from fabric.store.port import Delete, ModRevision, Put, Store

PENDING, CONFIRMED, PENDING_DELETION = "pending", "confirmed", "pendingDeletion"


class BlockTaken(FabricError):
    """The block belongs to another node, or to none any more."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A block of ours: what it was, and the revisions of it and of its confirmed affinity."""

    block: Block
    revision: int
    affinity_revision: int


async def claim(store: Store, host: str, cidr: IPNetwork, clock: Clock) -> Claim:
    """Make the block the host's, or find that it is; BlockTaken when it is another's."""
    for _ in range(TRIES_MAX):
        found = await _try_claim(store, host, cidr, clock)
        if found is not None:
            return found
    raise TooBusy(f"block {cidr}: {TRIES_MAX} attempts of {host} to claim it met others; trying again")


async def release(
    store: Store,
    host: str,
    cidr: IPNetwork,
    *,
    only_empty: bool = False,
    revision: int | None = None,
) -> bool:
    """Release by one attempt; True when the host has no affinity to the block any more.

    `only_empty` leaves a block in use alone, `revision` one that changed since it was read.
    """
    affinity = await read_affinity(store, host, cidr)
    block = await read_block(store, cidr)
    unchanged = [ModRevision(keys.block(cidr), block.revision)]
    if block.value is not None and block.value.host == host:
        changed = revision is not None and block.revision != revision
        if changed or (only_empty and not block.value.is_empty):
            return False
        marked = await _mark(store, host, cidr, PENDING_DELETION, affinity, block)
        if marked is None or not await _drop(store, host, block.value, marked, block.revision):
            return False
        affinity, unchanged = marked, []
    if not affinity.revision:
        return True
    key = keys.affinity(host, cidr)
    return (await store.txn([ModRevision(key, affinity.revision), *unchanged], [Delete(key)])).succeeded


async def release_host(store: Store, host: str) -> None:
    """Release every affinity of a host that is gone; blocks in use stay, without a node."""
    for _ in range(TRIES_MAX):
        names = [keys.parse_affinity(kv.key) for kv in (await store.range(keys.affinities(host))).kvs]
        cidrs = [name.cidr for name in names if name is not None]
        if not cidrs:
            return
        for cidr in cidrs:
            await release(store, host, cidr)
    raise TooBusy(f"{host} claims blocks as fast as they are released: stop it first")


async def release_pool(store: Store, pool: IPNetwork) -> None:
    """Release every affinity to a block of a pool that goes; disable the pool first, or nodes claim again."""
    for _ in range(TRIES_MAX):
        names = [keys.parse_affinity(kv.key) for kv in (await store.range(keys.HOSTS)).kvs]
        inside = [name for name in names if name is not None and _lies_in(pool, name.cidr)]
        if not inside:
            return
        for name in inside:
            await release(store, name.host, name.cidr)
    raise TooBusy(f"nodes claim blocks of {pool} as fast as they are released: disable the pool first")


async def release_unselected(store: Store, host: str, cidr: IPNetwork) -> None:
    """Release an empty block whose pool is enabled and no longer selects the host; one attempt."""
    pool = pool_of(await listed(store, IPPool), cidr.network_address)
    node = await get(store, Node, host) if pool is not None else None
    if pool is not None and node is not None and not selects(pool, node.labels):
        await release(store, host, cidr, only_empty=True)


async def blocks_of(store: Store, host: str) -> tuple[IPNetwork, ...]:
    """The blocks that a host has an affinity to, in whatever state."""
    names = [keys.parse_affinity(kv.key) for kv in (await store.range(keys.affinities(host))).kvs]
    return tuple(name.cidr for name in names if name is not None)


async def read_affinity(store: Store, host: str, cidr: IPNetwork) -> Record[str | None]:
    return await read(store, keys.affinity(host, cidr), from_json)


def to_json(state: str) -> bytes:
    return json.dumps({"state": state, "deleted": False}, separators=(",", ":")).encode()


def from_json(value: bytes) -> str:
    """The state; ValueError when it is none."""
    doc = json.loads(value)
    state = doc.get("state") if isinstance(doc, dict) else None
    if state not in (PENDING, CONFIRMED, PENDING_DELETION):
        raise ValueError(f"{state!r} is not the state of an affinity")
    return str(state)


async def _try_claim(store: Store, host: str, cidr: IPNetwork, clock: Clock) -> Claim | None:
    affinity = await read_affinity(store, host, cidr)
    block = await read_block(store, cidr)
    if block.value is not None and block.value.host != host:
        await _give_up(store, host, cidr, affinity, block)
    if affinity.value == CONFIRMED and block.value is not None:
        return Claim(block.value, block.revision, affinity.revision)
    pending = await _mark(store, host, cidr, PENDING, affinity, block)
    if pending is None:
        return None
    if block.value is None:
        made = await _create(store, host, Block.claimed(cidr, host, clock.now()), pending)
        if made is None:
            return None
        block = made
    confirmed = await _mark(store, host, cidr, CONFIRMED, pending, block)
    if confirmed is None or block.value is None:
        return None
    return Claim(block.value, block.revision, confirmed.revision)


async def _give_up(
    store: Store, host: str, cidr: IPNetwork, affinity: Record[str | None], block: Record[Block | None]
) -> None:
    key = keys.affinity(host, cidr)
    if affinity.revision:
        unchanged = [ModRevision(key, affinity.revision), ModRevision(keys.block(cidr), block.revision)]
        await store.txn(unchanged, [Delete(key)])
    raise BlockTaken(f"block {cidr} does not belong to {host}")


async def _mark(
    store: Store,
    host: str,
    cidr: IPNetwork,
    state: str,
    over: Record[str | None],
    block: Record[Block | None],
) -> Record[str | None] | None:
    """Write the state if neither affinity nor block changed since they were read; None when one did."""
    key = keys.affinity(host, cidr)
    unchanged = [ModRevision(key, over.revision), ModRevision(keys.block(cidr), block.revision)]
    result = await store.txn(unchanged, [Put(key, to_json(state))])
    return Record(state, result.revision) if result.succeeded else None


async def _create(
    store: Store, host: str, block: Block, affinity: Record[str | None]
) -> Record[Block | None] | None:
    key = keys.block(block.cidr)
    unchanged = [ModRevision(key, 0), ModRevision(keys.affinity(host, block.cidr), affinity.revision)]
    result = await store.txn(unchanged, [Put(key, block.to_json())])
    return Record(block, result.revision) if result.succeeded else None


async def _drop(store: Store, host: str, block: Block, affinity: Record[str | None], revision: int) -> bool:
    """Delete the block, or take the host's name off it while addresses of it are in use."""
    key = keys.block(block.cidr)
    unchanged = [ModRevision(key, revision), ModRevision(keys.affinity(host, block.cidr), affinity.revision)]
    change = Delete(key) if block.is_empty else Put(key, block.disowned().written().to_json())
    return (await store.txn(unchanged, [change])).succeeded


def _lies_in(pool: IPNetwork, cidr: IPNetwork) -> bool:
    return pool.version == cidr.version and pool.overlaps(cidr)
