"""The two writes of a block: they give out addresses and take them back, over what was read.

Given: the handle is counted up, then the block is written, comparing block, handle and (from an own block)
the confirmed affinity. Taken: the block is written, then the handle counted down; an empty block of a pool
that no longer selects its node is given up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from calico.ipam import keys
from calico.ipam.affinities import release_unselected
from calico.ipam.blocks import Block, Owner
from calico.ipam.handles import count_up, settle
from calico.ipam.records import TRIES_MAX, TooBusy, read_block
from fabric.netstate.objects import IPAddress, IPNetwork
from fabric.store.port import Delete, ModRevision, Put, Store


async def give(
    store: Store,
    block: Block,
    revision: int,
    ordinals: Sequence[int],
    owner: Owner,
    unchanged: Sequence[ModRevision] = (),
) -> bool:
    """Give these free ordinals of the block, as read at `revision`, to the owner; False when it changed."""
    guards = [ModRevision(keys.block(block.cidr), revision), *unchanged]
    if owner.handle is not None:
        counted = await count_up(store, owner.handle, block.cidr, len(ordinals))
        guards.append(ModRevision(keys.handle(owner.handle), counted))
    written = block.taken(ordinals, owner).written().to_json()
    if (await store.txn(guards, [Put(keys.block(block.cidr), written)])).succeeded:
        return True
    if owner.handle is not None:
        await settle(store, owner.handle, block.cidr)
    return False


async def take_back(
    store: Store, cidr: IPNetwork, which: Callable[[Block], Sequence[int]]
) -> tuple[IPAddress, ...]:
    """Release the allocated ordinals that `which` picks; the block goes when it is empty and no node's.

    Returns the addresses; their handles count exactly afterwards.
    """
    key = keys.block(cidr)
    for _ in range(TRIES_MAX):
        record = await read_block(store, cidr)
        ordinals = which(record.value) if record.value else ()
        if record.value is None or not ordinals:
            return ()
        left = record.value.released(ordinals)
        gone = left.is_empty and left.affinity is None
        change = Delete(key) if gone else Put(key, left.written().to_json())
        if (await store.txn([ModRevision(key, record.revision)], [change])).succeeded:
            owners = (record.value.owner(ordinal) for ordinal in ordinals)
            handles = {owner.handle for owner in owners if owner and owner.handle is not None}
            for handle in sorted(handles):
                await settle(store, handle, cidr)
            if left.is_empty and left.host:
                await release_unselected(store, left.host, cidr)
            return tuple(record.value.address(ordinal) for ordinal in ordinals)
    raise TooBusy(f"block {cidr}: {TRIES_MAX} attempts to release met others; trying again")
