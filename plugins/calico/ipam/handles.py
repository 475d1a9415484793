"""A handle: how many addresses of which blocks one owner has, so that all can be released without a search.

A handle counts at least what its blocks hold, at any revision: it is counted up before a block is written and
down after. The write of a block compares the handle too, so that nobody can count it down in between. What
a cut operation left too high, `settle` makes exact.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network

from calico.ipam import keys
from calico.ipam.records import TRIES_MAX, Record, TooBusy, read, read_block
from fabric.netstate.objects import IPNetwork
from fabric.store.port import Delete, ModRevision, Put, Store


@dataclass(frozen=True, slots=True)
class Handle:
    """Addresses per block; a block that is not named has none."""

    counts: Mapping[IPNetwork, int] = field(default_factory=dict)

    def counting(self, cidr: IPNetwork, count: int) -> Handle:
        """The handle with that many addresses in that block."""
        others = {block: number for block, number in self.counts.items() if block != cidr}
        return Handle({**others, cidr: count} if count > 0 else others)

    def to_json(self) -> bytes:
        counts = {str(block): count for block, count in self.counts.items()}
        return json.dumps(
            {"block": dict(sorted(counts.items())), "deleted": False}, separators=(",", ":")
        ).encode()

    @classmethod
    def from_json(cls, value: bytes) -> Handle:
        """ValueError when it is none."""
        doc = json.loads(value)
        counts = doc.get("block") if isinstance(doc, dict) else None
        if not isinstance(counts, dict):
            raise ValueError("not a handle")
        return cls({ip_network(block): int(count) for block, count in counts.items()})


NONE = Handle()


async def read_handle(store: Store, handle_id: str) -> Record[Handle | None]:
    return await read(store, keys.handle(handle_id), Handle.from_json)


async def count_up(store: Store, handle_id: str, cidr: IPNetwork, count: int) -> int:
    """Count more addresses in a block; returns the revision that the block's write must find unchanged.

    Most handles are new, so that this is tried before the handle is read.
    """
    key = keys.handle(handle_id)
    handle, revision = NONE, 0
    for _ in range(TRIES_MAX):
        more = handle.counting(cidr, handle.counts.get(cidr, 0) + count)
        result = await store.txn([ModRevision(key, revision)], [Put(key, more.to_json())])
        if result.succeeded:
            return result.revision
        record = await read_handle(store, handle_id)
        handle, revision = record.value or NONE, record.revision
    raise TooBusy(f"handle {handle_id}: {TRIES_MAX} attempts to count it up met others; trying again")


async def settle(store: Store, handle_id: str, cidr: IPNetwork) -> None:
    """Make the handle count what the block holds for it; a handle without addresses is deleted."""
    key, block_key = keys.handle(handle_id), keys.block(cidr)
    for _ in range(TRIES_MAX):
        record = await read_handle(store, handle_id)
        if record.value is None:
            return
        block = await read_block(store, cidr)
        held = len(block.value.ordinals_of(handle_id)) if block.value else 0
        exact = record.value.counting(cidr, held)
        if exact == record.value and exact.counts:
            return
        unchanged = [ModRevision(key, record.revision), ModRevision(block_key, block.revision)]
        change = Put(key, exact.to_json()) if exact.counts else Delete(key)
        if (await store.txn(unchanged, [change])).succeeded:
            return
    raise TooBusy(f"handle {handle_id}: {TRIES_MAX} attempts to count it down met others; trying again")
