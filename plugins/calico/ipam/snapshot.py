"""A snapshot is the whole IPAM at one revision of the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from calico.ipam import keys
from calico.ipam.affinities import from_json
from calico.ipam.blocks import Block
from calico.ipam.handles import Handle
from calico.ipam.keys import AffinityName
from calico.ipam.records import decoded
from calico.resources.allocation import BlockAffinity
from fabric.netstate.objects import IPNetwork
from fabric.store.port import KeyValue, Store


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Blocks, affinities and handles as they stood together."""

    blocks: Mapping[IPNetwork, Block]
    affinities: Mapping[AffinityName, str]
    handles: Mapping[str, Handle]


async def read_snapshot(store: Store) -> Snapshot:
    """Read everything in one range; Unreadable names a key that cannot be read."""
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


def block_affinities(snapshot: Snapshot) -> tuple[BlockAffinity, ...]:
    """All affinities, in the order of hosts and blocks as text."""
    return tuple(block_affinity(name, state) for name, state in snapshot.affinities.items())


def block_affinity(name: AffinityName, state: str) -> BlockAffinity:
    """An affinity as a resource."""
    return BlockAffinity.named(affinity_name(name), state=state, node=name.host, cidr=name.cidr)


def affinity_name(name: AffinityName) -> str:
    """`node-1-10-244-1-0-26`: the resource's name."""
    cidr = str(name.cidr)
    for sign in "./:":
        cidr = cidr.replace(sign, "-")
    return f"{name.host}-{cidr}"
