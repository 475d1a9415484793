"""The syncer keeps a snapshot of Calico's datastore, resources and blocks at one revision, for all agents.

It reads what the process' reflector tells it of. A `Snapshot` is replaced and never changed. A map or an
object in it that did not change is the same as before, also after the store was listed anew: an identity test
says what may be skipped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeVar, cast

from calico import workloads
from calico.ipam import keys
from calico.ipam.blocks import Block
from calico.ipam.records import decoded
from calico.places import Place, vteps
from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.bgp_filters import BGPFilter
from calico.resources.bgp_peers import BGPPeer
from calico.resources.datastore import Unreadable, decode
from calico.resources.endpoints import ClusterInformation
from calico.resources.envelope import Resource
from calico.resources.felix import FelixConfiguration
from calico.resources.nodes import Node
from calico.resources.pools import IPPool
from calico.resources.table import RESOURCE_TYPES, parse_key
from fabric.netstate.objects import IPNetwork
from fabric.plugin.reflector import Reflector, ReflectorView
from fabric.store.port import KeyValue

PREFIX = "/calico/"

R = TypeVar("R", bound=Resource)
Row = type[Resource] | type[Place]
"""A table of a snapshot is named by what it holds."""
_NONE: Mapping[str, Resource] = MappingProxyType({})
"""One object, so that no resource of a kind is the same as before."""
_NOBODY: Mapping[IPNetwork, Place] = MappingProxyType({})

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Calico's datastore at one revision."""

    revision: int = 0
    """All changes up to it are in here; 0: nothing was read yet."""
    resources: Mapping[type[Resource], Mapping[str, Resource]] = field(default_factory=dict)
    """By kind and name; of the kinds in `FOLLOWED` only."""
    blocks: Mapping[IPNetwork, Place] = field(default_factory=dict)
    workloads: Mapping[IPNetwork, Place] = field(default_factory=lambda: _NOBODY)
    """Addresses of pods and VTEPs, while a FelixConfiguration says that routes follow pods (routeSource)."""

    @property
    def nodes(self) -> Mapping[str, Node]:
        return self.of(Node)

    @property
    def pools(self) -> Mapping[str, IPPool]:
        return self.of(IPPool)

    @property
    def peers(self) -> Mapping[str, BGPPeer]:
        return self.of(BGPPeer)

    @property
    def filters(self) -> Mapping[str, BGPFilter]:
        return self.of(BGPFilter)

    @property
    def bgp_configurations(self) -> Mapping[str, BGPConfiguration]:
        return self.of(BGPConfiguration)

    @property
    def felix_configurations(self) -> Mapping[str, FelixConfiguration]:
        return self.of(FelixConfiguration)

    def of(self, resource_type: type[R]) -> Mapping[str, R]:
        """All of a kind, by name."""
        return cast(Mapping[str, R], self.resources.get(resource_type, _NONE))


FOLLOWED: frozenset[type[Resource]] = frozenset(
    {Node, IPPool, BGPPeer, BGPFilter, BGPConfiguration, FelixConfiguration, ClusterInformation}
)
"""Kinds that agents compute from; endpoints are each node's own business."""


def changed(snapshot: Snapshot, revision: int, entries: Iterable[tuple[str, KeyValue | None]]) -> Snapshot:
    """Return the snapshot after these keys got a value, or were deleted (None)."""
    tables: dict[Row, dict[Any, Any]] = {}
    for key, kv in entries:
        if (place := _place_of(key)) is not None:
            row, name = place
            if row not in tables:
                tables[row] = dict(_table(snapshot, row))
            _enter(tables[row], name, _read(row, kv) if kv is not None else None)
    return _replaced(snapshot, revision, tables)


def _place_of(key: str) -> tuple[Row, Hashable] | None:
    """The table and the name under which a key of the store is known here; None for one that is not."""
    if key.startswith(keys.BLOCKS):
        cidr = keys.parse_block(key)
        return (Place, cidr) if cidr else None
    found = parse_key(key)
    resource_type = RESOURCE_TYPES[found[0].kind] if found else None
    return (resource_type, found[1].name) if found and resource_type in FOLLOWED else None


def _table(snapshot: Snapshot, row: Row) -> Mapping[Any, Any]:
    return snapshot.of(row) if issubclass(row, Resource) else snapshot.blocks


def _enter(table: dict[Any, Any], key: Hashable, value: Resource | Place | None) -> None:
    """Put the value there, if it is another than the one that is there; None takes it away."""
    if value is None:
        table.pop(key, None)
    elif table.get(key) != value:
        table[key] = value


def _replaced(snapshot: Snapshot, revision: int, tables: Mapping[Row, Mapping[Any, Any]]) -> Snapshot:
    """The snapshot with these tables in place of its own, as far as they differ."""
    news = {row: table for row, table in tables.items() if not _is_same(table, _table(snapshot, row))}
    blocks = news.pop(Place, snapshot.blocks)
    resources = {**snapshot.resources, **cast(Any, news)} if news else snapshot.resources
    return Snapshot(revision, resources, blocks, snapshot.workloads)


def _is_same(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> bool:
    return len(one) == len(other) and all(other.get(key) is value for key, value in one.items())


def _read(row: Row, kv: KeyValue) -> Resource | Place | None:
    """The key's value; one that cannot be read is logged and left out: it must not stop the others."""
    try:
        if issubclass(row, Resource):
            return decode(row, kv)
        place = Place.of(decoded(kv, Block.from_json))
        if place.cidr != keys.parse_block(kv.key):
            raise Unreadable(f"{kv.key} holds block {place.cidr}; repair or delete the key")
        return place
    except Unreadable as error:
        log.warning("left out: %s", error)
        return None


class Syncer(ReflectorView):
    """The newest snapshot, kept up to date by a reflector; tells its followers of each change."""

    def __init__(self, reflector: Reflector) -> None:
        super().__init__(reflector)
        self.snapshot = Snapshot()
        self._workloads: dict[str, tuple[Place, ...]] | None = None
        """By the key of the endpoint; None while nobody's routes follow pods."""
        self._awaited: list[tuple[int, asyncio.Future[None]]] = []
        reflector.follow(self, self._on_change)

    async def until(self, revision: int) -> None:
        """Wait until the snapshot has all changes up to that revision, and its followers were told."""
        if self.snapshot.revision < revision:
            reached = asyncio.get_running_loop().create_future()
            self._awaited.append((revision, reached))
            await reached

    def _on_change(self, keys: Collection[str]) -> None:
        before, kvs = self.snapshot, self._reflector.kvs
        self.snapshot = changed(before, self._reflector.revision, ((key, kvs.get(key)) for key in keys))
        self._read_workloads(keys)
        now = self.snapshot
        is_same = now.blocks is before.blocks and now.resources is before.resources
        if not is_same or now.workloads is not before.workloads or not before.revision:
            self.tell()
        if self._awaited:
            self._tell_of_revision()

    def _read_workloads(self, keys: Collection[str]) -> None:
        """Bring the pods' addresses up to date, where routes follow them; else forget them."""
        felix = self.snapshot.felix_configurations.values()
        if not any((it.spec.route_source or "").lower() == "workloadips" for it in felix):
            if self._workloads is not None:
                self._workloads, self.snapshot = None, replace(self.snapshot, workloads=_NOBODY)
            return
        kvs = self._reflector.kvs
        if self._workloads is None:
            self._workloads, keys = {}, kvs.keys()
        for key in keys:
            if key.startswith(workloads.ROOT):
                self._workloads[key] = workloads.places(kvs[key]) if key in kvs else ()
        before, nodes = self.snapshot.workloads, self.snapshot.nodes.values()
        own = [place for places in (*self._workloads.values(), *map(vteps, nodes)) for place in places]
        found = {it.cidr: it if before.get(it.cidr) != it else before[it.cidr] for it in own}
        if not _is_same(found, before):
            self.snapshot = replace(self.snapshot, workloads=found)

    def _tell_of_revision(self) -> None:
        awaited, self._awaited = self._awaited, []
        for revision, reached in awaited:
            if revision > self.snapshot.revision:
                self._awaited.append((revision, reached))
            elif not reached.done():
                reached.set_result(None)
