"""A node's bird.cfg is rendered from a snapshot of the datastore.

Most of the file follows from resources, which seldom change and are the same for all nodes: a `Renderer`,
which the nodes of a process share, keeps that. A node adds its own blocks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from operator import is_
from typing import Any, Generic, TypeVar, TypeVarTuple

from calico.bgp.peers import SecretRef
from calico.bgp.renderer import Renderer
from calico.places import Place
from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.bgp_filters import BGPFilter
from calico.resources.bgp_peers import BGPPeer
from calico.resources.felix import FelixConfiguration
from calico.resources.nodes import Node
from calico.resources.pools import IPPool
from calico.syncer import Snapshot
from fabric.bird.config import Config
from fabric.netstate.objects import IPNetwork

Secrets = Mapping[SecretRef, str]
Ts = TypeVarTuple("Ts")
R = TypeVar("R")

KEPT = 4
"""Snapshots that are in use at once: the newest, and one or two that agents still compute from."""


class KeptByIdentity(Generic[*Ts, R]):
    """A function of immutable arguments that remembers its last results by the identity of these.

    A snapshot's maps are replaced and never changed: the same object means the same content, and all nodes of
    a process share what one of them had computed.
    """

    def __init__(self, compute: Callable[[*Ts], R]) -> None:
        self._compute = compute
        self._kept: deque[tuple[tuple[object, ...], R]] = deque(maxlen=KEPT)

    def __call__(self, *args: *Ts) -> R:
        for known, result in self._kept:
            if all(map(is_, known, args)):
                return result
        result = self._compute(*args)
        self._kept.appendleft((args, result))
        return result


def bird_config(snapshot: Snapshot, node: str, secrets: Secrets) -> Config | None:
    """Return the configuration of the node's BIRD; None where the node runs none.

    A session whose password is not among the secrets, or that bird.cfg has no words for, is left out, and a
    comment in its place says why.
    """
    own_blocks = _blocks_by_host(snapshot.blocks).get(node, ())
    return _renderer(snapshot).config(node, own_blocks, secrets)


def wanted_secrets(snapshot: Snapshot) -> frozenset[SecretRef]:
    """The passwords that some session of the cluster has."""
    return _renderer(snapshot).secrets


def _renderer(snapshot: Snapshot) -> Renderer:
    resources = snapshot.resources
    types = (Node, IPPool, BGPPeer, BGPFilter, BGPConfiguration, FelixConfiguration)
    return _renderer_of(*(resources.get(resource_type) for resource_type in types))


def _new_renderer(
    nodes: Any, pools: Any, peers: Any, filters: Any, configurations: Any, felix: Any
) -> Renderer:
    return Renderer(nodes or {}, pools or {}, peers or {}, filters or {}, configurations or {}, felix or {})


_renderer_of = KeptByIdentity(_new_renderer)


def _sorted_by_host(blocks: Mapping[IPNetwork, Place]) -> Mapping[str, tuple[IPNetwork, ...]]:
    found: dict[str, tuple[IPNetwork, ...]] = {}
    for cidr, place in blocks.items():
        found[place.host] = (*found.get(place.host, ()), cidr)
    return found


_blocks_by_host = KeptByIdentity(_sorted_by_host)
