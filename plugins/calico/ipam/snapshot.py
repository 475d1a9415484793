"""The whole IPAM at one revision of the store, for those who judge it and those who show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from calico.ipam import keys
from calico.ipam.affinities import from_json
from calico.ipam.blocks import Block
from calico.ipam.handles import Handle
from calico.ipam.keys import AffinityName
from calico.ipam.records import decoded
from fabric.netstate.objects import IPNetwork
from fabric.store.port import KeyValue, Store


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Blocks, affinities and handles as they stood together."""

    blocks: Mapping[IPNetwork, Block]
    affinities: Mapping[AffinityName, str]
    handles: Mapping[str, Handle]


async def read_snapshot(store: Store) -> Snapshot:
    """One range over everything; Unreadable names a key that cannot be read."""
    return snapshot_of((await store.range(keys.ROOT)).kvs)


def snapshot_of(kvs: tuple[KeyValue, ...]) -> Snapshot:
    """The keys below `/calico/ipam/v2/` as objects; other keys are passed over."""
    blocks: dict[IPNetwork, Block] = {}
    affinities: dict[AffinityName, str] = {}
    handles: dict[str, Handle] = {}
    for kv in kvs:
        if kv.key.startswith(keys.BLOCKS) and (cidr := keys.parse_block(kv.key)):
            blocks[cidr] = decoded(kv, Block.from_json)
        elif kv.key.startswith(keys.HOSTS) and (name := keys.parse_affinity(kv.key)):
            affinities[name] = decoded(kv, from_json)
        elif kv.key.startswith(keys.HANDLES):
            handles[kv.key.removeprefix(keys.HANDLES)] = decoded(kv, Handle.from_json)
    return Snapshot(blocks, affinities, handles)
