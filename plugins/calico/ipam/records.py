"""A record is what a read of the store found: a value with the mod revision over which it may be written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from calico.ipam import keys
from calico.ipam.blocks import Block
from calico.resources.datastore import Unreadable
from fabric.errors import FabricError
from fabric.netstate.objects import Family, IPNetwork
from fabric.store.port import KeyValue, Store

T = TypeVar("T")
TRIES_MAX = 100
"""Attempts of a read-change-write, as Calico's."""
NONSENSE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What reading the wrong JSON may raise."""


class TooBusy(FabricError):
    """Others were faster each time: try again later."""


@dataclass(frozen=True, slots=True)
class Record(Generic[T]):
    """A value and its mod revision; absent is None at revision 0."""

    value: T
    revision: int


async def read(store: Store, key: str, decode: Callable[[bytes], T]) -> Record[T | None]:
    """The key now; Unreadable when `decode` raises ValueError."""
    kv = await store.get(key)
    return Record(None, 0) if kv is None else Record(decoded(kv, decode), kv.mod_revision)


async def read_block(store: Store, cidr: IPNetwork) -> Record[Block | None]:
    return await read(store, keys.block(cidr), Block.from_json)


async def read_blocks(store: Store, family: Family) -> dict[IPNetwork, Record[Block]]:
    """All blocks of a family that can be read, by CIDR."""
    found: dict[IPNetwork, Record[Block]] = {}
    for kv in (await store.range(keys.blocks(family))).kvs:
        with suppress(Unreadable):
            block = decoded(kv, Block.from_json)
            found[block.cidr] = Record(block, kv.mod_revision)
    return found


async def block_cidrs(store: Store, family: Family) -> tuple[IPNetwork, ...]:
    """The CIDRs of all blocks of a family, read off their keys alone."""
    kvs = (await store.range(keys.blocks(family))).kvs
    return tuple(cidr for kv in kvs if (cidr := keys.parse_block(kv.key)) is not None)


def decoded(kv: KeyValue, decode: Callable[[bytes], T]) -> T:
    """The decoded value; Unreadable when `decode` cannot read it."""
    try:
        return decode(kv.value)
    except NONSENSE as error:
        raise Unreadable(f"{kv.key}: {error}; repair or delete the key") from error
