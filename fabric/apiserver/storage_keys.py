"""The store's keys of objects: Kubernetes' kinds are below `/registry`, a plugin's where it keeps them.

Keys below `/registry` are those of a real cluster's etcd: the resource without its group
(`/registry/leases/kube-node-lease/node-1`), and a few under older names (`/registry/minions/node-1`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from os.path import commonpath
from typing import NamedTuple

from fabric.api.kinds import Kind, KindTable
from fabric.plugin.served import JsonCodec, ServedKind, StorageCodec

ROOT = "/registry/"
_OLDER_NAMES = {
    "nodes": "minions",
    "replicationcontrollers": "controllers",
    "services": "services/specs",
    "endpoints": "services/endpoints",
    "ingresses": "ingress",
}
"""SpecialDefaultResourcePrefixes of k8s.io/kubernetes/pkg/kubeapiserver."""


class StorageKey(NamedTuple):
    """An object's key, taken apart."""

    codec: StorageCodec
    tail: str
    """The rest of the key behind the codec's prefix."""
    name: str
    """`namespace/name`, or the name alone: the key within the kind's watch cache."""


def codec_of(kind: Kind) -> StorageCodec:
    """The codec of a kind's objects, the same for all versions of its group."""
    if isinstance(kind, ServedKind):
        return kind.codec
    return _registry(_path_of(kind))


def _path_of(kind: Kind) -> str:
    return _OLDER_NAMES.get(kind.plural, kind.plural)


@cache
def _registry(path: str) -> StorageCodec:
    return JsonCodec(f"{ROOT}{path}/")


def prefix_of(kind: Kind) -> str:
    """The prefix of the keys of all objects of a kind."""
    return codec_of(kind).prefix


def object_key(kind: Kind, namespace: str, name: str) -> str:
    """The key within the kind's watch cache."""
    return f"{namespace}/{name}" if kind.namespaced else name


def store_key(kind: Kind, key: str) -> str:
    """The store's key of the object with this key in the kind's watch cache."""
    codec = codec_of(kind)
    return codec.prefix + codec.tail(key)


class StorageKeys:
    """The storage codecs of a table of kinds, by which a key of the store is taken apart."""

    def __init__(self, kinds: KindTable) -> None:
        served = (kind.codec for kind in kinds if isinstance(kind, ServedKind))
        self._plugins: Mapping[str, StorageCodec] = {codec.prefix: codec for codec in served}
        self._paths = frozenset(_path_of(kind) for kind in kinds if not isinstance(kind, ServedKind))

    @property
    def roots(self) -> Iterable[str]:
        """Prefixes that have every object below them, and none below two."""
        return (ROOT, *self._plugins)

    @property
    def watched(self) -> str:
        """The one prefix of all: a single watch keeps everything at one revision."""
        return commonpath(list(self.roots)).rstrip("/") + "/"

    def place(self, key: str) -> StorageKey | None:
        """The key taken apart; None for a key of no kind of the table."""
        if key.startswith(ROOT):
            return self._registry_place(key[len(ROOT) :])
        for prefix, codec in self._plugins.items():
            if key.startswith(prefix):
                tail = key[len(prefix) :]
                name = codec.name(tail)
                return StorageKey(codec, tail, name) if name is not None else None
        return None

    def _registry_place(self, path: str) -> StorageKey | None:
        """Most resources are one step of the path, services and endpoints two."""
        first, _, rest = path.partition("/")
        second, _, tail = rest.partition("/")
        for prefix, name in ((first, rest), (f"{first}/{second}", tail)):
            if prefix in self._paths:
                return StorageKey(_registry(prefix), name, name) if name else None
        return None
