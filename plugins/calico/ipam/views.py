"""The IPAM as resources: each affinity as the BlockAffinity that calicoctl and kubectl show."""

from __future__ import annotations

from calico.ipam.keys import AffinityName
from calico.ipam.snapshot import Snapshot
from calico.resources.allocation import BlockAffinity


def block_affinities(snapshot: Snapshot) -> tuple[BlockAffinity, ...]:
    """All affinities, in the order of hosts and blocks as text."""
    return tuple(block_affinity(name, state) for name, state in snapshot.affinities.items())


def block_affinity(name: AffinityName, state: str) -> BlockAffinity:
    """One affinity as a resource."""
    return BlockAffinity.named(affinity_name(name), state=state, node=name.host, cidr=name.cidr)


def affinity_name(name: AffinityName) -> str:
    """`node-1-10-244-1-0-26`: the resource's name."""
    cidr = str(name.cidr)
    for sign in "./:":
        cidr = cidr.replace(sign, "-")
    return f"{name.host}-{cidr}"
