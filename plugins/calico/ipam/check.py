"""`calicoctl ipam check`: what does not fit between the IPAM, the pools and who really uses addresses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from calico.ipam.affinities import CONFIRMED
from calico.ipam.snapshot import Snapshot
from calico.resources.pools import IPPool
from fabric.netstate.objects import IPAddress

LEAKED = "allocated but not in use"
NOT_ALLOCATED = "in use but not allocated"
OUTSIDE_POOLS = "in use but not in an active IP pool"
SEVERAL_OWNERS = "used by several owners"
EMPTY_HANDLE = "handle without addresses"
MISSING_HANDLE = "address without its handle"
BAD_AFFINITY = "block with an invalid affinity"


@dataclass(frozen=True, slots=True)
class Use:
    """Somebody who really has an address."""

    address: IPAddress
    owner: str
    """As people call it: `Workload endpoint default/pod-1`, `Node node-1 IPIP tunnel`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem: a fact of the IPAM that contradicts another."""

    category: str
    subject: str
    """An address, a handle or a block."""
    detail: str

    def __str__(self) -> str:
        return f"{self.subject} is {self.category}: {self.detail}"


def check(
    snapshot: Snapshot, pools: Sequence[IPPool], uses: Iterable[Use], nodes: frozenset[str]
) -> tuple[Finding, ...]:
    """All findings; empty when everything fits."""
    owners: dict[IPAddress, list[str]] = defaultdict(list)
    for use in uses:
        owners[use.address].append(use.owner)
    return (
        *_allocations(snapshot, owners),
        *_uses(pools, owners),
        *_handles(snapshot),
        *_affinities(snapshot, nodes),
    )


def _allocations(snapshot: Snapshot, owners: dict[IPAddress, list[str]]) -> Iterator[Finding]:
    allocated = {
        block.address(ordinal): owner
        for block in snapshot.blocks.values()
        for ordinal, owner in block.allocated()
    }
    for address, owner in allocated.items():
        if address not in owners:
            yield Finding(LEAKED, str(address), f"handle {owner.handle}, attributes {dict(owner.attributes)}")
    for address, users in owners.items():
        if address not in allocated:
            yield Finding(NOT_ALLOCATED, str(address), ", ".join(users))


def _uses(pools: Sequence[IPPool], owners: dict[IPAddress, list[str]]) -> Iterator[Finding]:
    active = [pool.spec.cidr for pool in pools if not pool.spec.disabled]
    for address, users in owners.items():
        if not any(address in cidr for cidr in active):
            yield Finding(OUTSIDE_POOLS, str(address), ", ".join(users))
        if len(users) > 1:
            yield Finding(SEVERAL_OWNERS, str(address), ", ".join(users))


def _handles(snapshot: Snapshot) -> Iterator[Finding]:
    for handle_id, handle in snapshot.handles.items():
        for cidr in handle.counts:
            block = snapshot.blocks.get(cidr)
            if block is None or not block.ordinals_of(handle_id):
                yield Finding(EMPTY_HANDLE, handle_id, f"counts addresses in {cidr}, which has none of it")
    for block in snapshot.blocks.values():
        for ordinal, owner in block.allocated():
            counted = snapshot.handles.get(owner.handle or "")
            if owner.handle is not None and (counted is None or block.cidr not in counted.counts):
                yield Finding(MISSING_HANDLE, str(block.address(ordinal)), owner.handle)


def _affinities(snapshot: Snapshot, nodes: frozenset[str]) -> Iterator[Finding]:
    for cidr, block in snapshot.blocks.items():
        if block.host and block.host not in nodes:
            yield Finding(BAD_AFFINITY, str(cidr), f"node {block.host} does not exist")
    for name, state in snapshot.affinities.items():
        found = snapshot.blocks.get(name.cidr)
        if state == CONFIRMED and (found is None or found.host != name.host):
            whose = f"it belongs to {found.host or 'no node'}" if found else "there is no such block"
            yield Finding(BAD_AFFINITY, str(name.cidr), f"confirmed for {name.host}, but {whose}")
