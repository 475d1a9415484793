"""What a process knows of Calico's datastore: resources and blocks as of one revision, and how it keeps up.

A snapshot first, then each change from the next revision on; when the store has forgotten that revision, a
new snapshot. A `View` is replaced and never changed, so whoever reads one sees one moment; maps that a change
does not touch are the same object as before, so that an identity test says what may be skipped. One `Book`
serves all agents of a process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from calico.ipam import keys
from calico.ipam.blocks import Block
from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.bgp_filters import BGPFilter
from calico.resources.bgp_peers import BGPPeer
from calico.resources.datastore import decode
from calico.resources.envelope import Resource
from calico.resources.felix import FelixConfiguration
from calico.resources.nodes import Node
from calico.resources.pools import IPPool
from calico.resources.table import NOUNS, parse_key
from fabric.errors import Compacted, FabricError
from fabric.netstate.objects import IPNetwork
from fabric.store.port import KeyValue, Store

PREFIX = "/calico/"
RETRY_SECONDS, RETRY_SECONDS_MAX = 0.1, 5.0

R = TypeVar("R", bound=Resource)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class View:
    """One moment of the datastore."""

    revision: int = 0
    """All changes up to it are in here; 0: nothing was read yet."""
    resources: Mapping[type[Resource], Mapping[str, Resource]] = field(default_factory=dict)
    """By kind and name; of the kinds in `FOLLOWED` only."""
    blocks: Mapping[IPNetwork, Block] = field(default_factory=dict)

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
        return cast(Mapping[str, R], self.resources.get(noun, {}))


FOLLOWED: frozenset[type[Resource]] = frozenset(
    {Node, IPPool, BGPPeer, BGPFilter, BGPConfiguration, FelixConfiguration}
)
"""Kinds that agents compute from; endpoints are each node's own business."""


def changed(view: View, revision: int, entries: Iterable[tuple[KeyValue, bool]]) -> View:
    """Return the view after these keys were put (True) or deleted."""
    resources = dict(view.resources)
    blocks = view.blocks
    fresh: set[type[Resource]] = set()
    for kv, is_put in entries:
        if kv.key.startswith(keys.BLOCKS):
            cidr = keys.parse_block(kv.key)
            if cidr is not None:
                blocks = dict(blocks) if blocks is view.blocks else blocks
                _enter(cast(dict[Any, Any], blocks), cidr, _block(kv) if is_put else None)
        elif (found := parse_key(kv.key)) and (noun := NOUNS[found[0].kind]) in FOLLOWED:
            if noun not in fresh:
                resources[noun] = dict(resources.get(noun, {}))
                fresh.add(noun)
            _enter(cast(dict[Any, Any], resources[noun]), found[1].name, _read(noun, kv) if is_put else None)
    return View(revision, resources if fresh else view.resources, blocks)


class Book:
    """The newest view, kept up to date by `run`; tells its followers of each change."""

    def __init__(self) -> None:
        self.view = View()
        self.last_error = ""
        self._followers: dict[object, Callable[[], None]] = {}

    def follow(self, who: object, on_change: Callable[[], None]) -> None:
        """Call `on_change` after each change of the view, until `leave(who)`."""
        self._followers[who] = on_change

    def leave(self, who: object) -> None:
        self._followers.pop(who, None)

    async def run(self, store: Store) -> None:
        """Follow the store for ever; an outage keeps the view as it is, and is retried from 100 ms to 5 s."""
        delay = RETRY_SECONDS
        relist = True
        while True:
            before = self.view.revision
            try:
                if relist:
                    result = await store.range(PREFIX)
                    self._turn(changed(View(), result.revision, ((kv, True) for kv in result.kvs)))
                    relist = False
                await self._watch(store)
            except Compacted:
                relist = True
            except FabricError as error:
                if self.last_error != str(error):
                    log.info("datastore: %s", error)
                self.last_error = str(error)
            delay = RETRY_SECONDS if self.view.revision > before else min(delay * 2, RETRY_SECONDS_MAX)
            await asyncio.sleep(delay)

    async def _watch(self, store: Store) -> None:
        async for batch in store.watch(PREFIX, from_revision=self.view.revision + 1):
            self.last_error = ""
            if batch:
                entries = ((event.kv, event.type == "put") for event in batch)
                self._turn(changed(self.view, batch[-1].kv.mod_revision, entries))

    def _turn(self, view: View) -> None:
        same = view.blocks is self.view.blocks and view.resources is self.view.resources
        self.view = view
        if not same:
            for on_change in list(self._followers.values()):
                on_change()


def _enter(table: dict[Any, Any], key: object, value: object) -> None:
    table.pop(key, None)
    if value is not None:
        table[key] = value


def _read(noun: type[Resource], kv: KeyValue) -> Resource | None:
    """What the key holds; one that cannot be read is told and left out: it must not stop the others."""
    try:
        return decode(noun, kv)
    except (FabricError, ValueError, AttributeError) as error:
        log.warning("%s cannot be read and is left out: %s", kv.key, error)
        return None


def _block(kv: KeyValue) -> Block | None:
    try:
        return Block.from_json(kv.value)
    except ValueError as error:
        log.warning("%s cannot be read and is left out: %s", kv.key, error)
        return None
