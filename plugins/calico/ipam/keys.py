"""The layout of the IPAM in the store; the slash of a CIDR is a dash.

/calico/ipam/v2/assignment/ipv4/block/10.244.1.0-26      a block: who has each of its addresses
/calico/ipam/v2/host/node-1/ipv4/block/10.244.1.0-26     node-1's affinity to it
/calico/ipam/v2/handle/k8s-pod-network.<container id>    how many addresses a handle has in which blocks
/calico/ipam/v2/config                                   strict affinity, limits
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import NamedTuple

from fabric.netstate.objects import Family, IPNetwork

ROOT = "/calico/ipam/v2/"
CONFIG = f"{ROOT}config"
BLOCKS = f"{ROOT}assignment/"
HOSTS = f"{ROOT}host/"
HANDLES = f"{ROOT}handle/"


class AffinityName(NamedTuple):
    """The name of an affinity: a node and a block."""

    host: str
    cidr: IPNetwork


def block(cidr: IPNetwork) -> str:
    return f"{blocks(4 if cidr.version == 4 else 6)}{_dashed(cidr)}"


def blocks(family: Family) -> str:
    """The prefix of all blocks of a family."""
    return f"{BLOCKS}ipv{family}/block/"


def affinity(host: str, cidr: IPNetwork) -> str:
    return f"{HOSTS}{host}/ipv{cidr.version}/block/{_dashed(cidr)}"


def affinities(host: str) -> str:
    """The prefix of all affinities of a host."""
    return f"{HOSTS}{host}/"


def handle(handle_id: str) -> str:
    return HANDLES + handle_id


def parse_block(key: str) -> IPNetwork | None:
    """The block that a key below `BLOCKS` names, or None."""
    parts = key.removeprefix(BLOCKS).split("/")
    return _undashed(parts[2]) if len(parts) == 3 and parts[1] == "block" else None


def parse_affinity(key: str) -> AffinityName | None:
    """The host and block that a key below `HOSTS` names, or None."""
    parts = key.removeprefix(HOSTS).split("/")
    cidr = _undashed(parts[3]) if len(parts) == 4 and parts[2] == "block" else None
    return AffinityName(parts[0], cidr) if cidr else None


def _dashed(cidr: IPNetwork) -> str:
    return f"{cidr.network_address}-{cidr.prefixlen}"


def _undashed(text: str) -> IPNetwork | None:
    try:
        return ip_network(text.replace("-", "/"))
    except ValueError:
        return None
