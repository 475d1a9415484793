"""The syncer keeps a snapshot of Calico's datastore, resources and blocks at one revision, for all agents.

It lists first and then watches from the next revision on; when the store has forgotten that revision, it
lists again. A `Snapshot` is replaced and never changed. A map or an object in it that did not change is the
same object as before, also after a new list: an identity test says what may be skipped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar, cast

from calico.ipam import keys
from calico.ipam.blocks import Block
from calico.ipam.records import decoded
from calico.places import Place
from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.bgp_filters import BGPFilter
from calico.resources.bgp_peers import BGPPeer
from calico.resources.datastore import Unreadable, decode
from calico.resources.endpoints import ClusterInformation
from calico.resources.envelope import Resource
from calico.resources.felix import FelixConfiguration
from calico.resources.nodes import Node
from calico.resources.pools import IPPool
from calico.resources.table import NOUNS, parse_key
from fabric.errors import Compacted, FabricError
from fabric.netstate.objects import IPNetwork
from fabric.store.port import KeyValue, RangeResult, Store

PREFIX = "/calico/"
RETRY_SECONDS, RETRY_SECONDS_MAX = 0.1, 5.0

R = TypeVar("R", bound=Resource)
Row = type[Resource] | type[Place]
"""A table of a snapshot is named by what it holds."""
_NONE: Mapping[str, Resource] = MappingProxyType({})
"""One object, so that no resource of a kind is the same as before."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Calico's datastore at one revision."""

    revision: int = 0
    """All changes up to it are in here; 0: nothing was read yet."""
    resources: Mapping[type[Resource], Mapping[str, Resource]] = field(default_factory=dict)
    """By kind and name; of the kinds in `FOLLOWED` only."""
    blocks: Mapping[IPNetwork, Place] = field(default_factory=dict)

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

    def of(self, noun: type[R]) -> Mapping[str, R]:
        """All of a kind, by name."""
        return cast(Mapping[str, R], self.resources.get(noun, _NONE))


FOLLOWED: frozenset[type[Resource]] = frozenset(
    {Node, IPPool, BGPPeer, BGPFilter, BGPConfiguration, FelixConfiguration, ClusterInformation}
)
"""Kinds that agents compute from; endpoints are each node's own business."""


def changed(snapshot: Snapshot, revision: int, entries: Iterable[tuple[KeyValue, bool]]) -> Snapshot:
    """Return the snapshot after these keys were put (True) or deleted."""
    tables: dict[Row, dict[Any, Any]] = {}
    for kv, is_put in entries:
        if (place := _place_of(kv.key)) is not None:
            row, key = place
            if row not in tables:
                tables[row] = dict(_table(snapshot, row))
            _enter(tables[row], key, _read(row, kv) if is_put else None)
    return _replaced(snapshot, revision, tables)


def relisted(snapshot: Snapshot, found: RangeResult) -> Snapshot:
    """Return the snapshot of a new list; what is equal in both is the old snapshot's."""
    tables: dict[Row, dict[Any, Any]] = {row: {} for row in (*FOLLOWED, Place)}
    for kv in found.kvs:
        if (place := _place_of(kv.key)) is not None:
            row, key = place
            value, before = _read(row, kv), _table(snapshot, row).get(key)
            _enter(tables[row], key, before if before == value else value)
    return _replaced(snapshot, found.revision, tables)


def _place_of(key: str) -> tuple[Row, Hashable] | None:
    """The table and the name under which a key of the store is known here; None for one that is not."""
    if key.startswith(keys.BLOCKS):
        cidr = keys.parse_block(key)
        return (Place, cidr) if cidr else None
    found = parse_key(key)
    noun = NOUNS[found[0].kind] if found else None
    return (noun, found[1].name) if found and noun in FOLLOWED else None


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
    return Snapshot(
        revision, {**snapshot.resources, **cast(Any, news)} if news else snapshot.resources, blocks
    )


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


class Syncer:
    """The newest snapshot, kept up to date by `run`; tells its followers of each change."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self.last_error = ""
        self._followers: dict[object, Callable[[], None]] = {}

    def follow(self, who: object, on_change: Callable[[], None]) -> None:
        """Call `on_change` after each change of the snapshot, until `leave(who)`."""
        self._followers[who] = on_change

    def leave(self, who: object) -> None:
        self._followers.pop(who, None)

    async def run(self, store: Store) -> None:
        """Follow the store for ever; in an outage the snapshot stays. It retries after 100 ms to 5 s."""
        delay = RETRY_SECONDS
        relist = True
        while True:
            try:
                if relist:
                    result = await store.range(PREFIX)
                    self._turn(relisted(self.snapshot, result))
                    relist = False
                else:
                    await store.revision()
                self.last_error, delay = "", RETRY_SECONDS
                await self._watch(store)
            except Compacted:
                relist = True
            except FabricError as error:
                if self.last_error != str(error):
                    log.info("datastore: %s", error)
                self.last_error = str(error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, RETRY_SECONDS_MAX)

    async def _watch(self, store: Store) -> None:
        async for batch in store.watch(PREFIX, from_revision=self.snapshot.revision + 1):
            if batch:
                entries = ((event.kv, event.type == "put") for event in batch)
                self._turn(changed(self.snapshot, batch[-1].kv.mod_revision, entries))

    def _turn(self, snapshot: Snapshot) -> None:
        same = snapshot.blocks is self.snapshot.blocks and snapshot.resources is self.snapshot.resources
        self.snapshot = snapshot
        if not same:
            for on_change in list(self._followers.values()):
                on_change()
