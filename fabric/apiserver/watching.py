"""Watches: positions in a collection's ring of changes, seen through selectors.

An object that starts to match is ADDED and one that stops to match is DELETED, whatever happened to it.
A watcher that falls out of the ring is told Gone. Bookmarks carry the revision on when nothing else does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import orjson

from fabric.api.kinds import Kind
from fabric.api.objects import Object
from fabric.api.selectors import FieldSelector, LabelSelector
from fabric.apiserver.cache import WatchCache
from fabric.apiserver.collections import Change, Collection, Item, Wakeup
from fabric.apiserver.listing import selects
from fabric.apiserver.refusals import too_old
from fabric.control.client import WatchEvent

BOOKMARK_SECONDS = 60.0
INITIAL_EVENTS_END = "k8s.io/initial-events-end"

Sent = tuple[WatchEvent, bytes]


@dataclass(frozen=True, slots=True)
class View:
    """What a watcher can see of a collection."""

    kind: Kind
    namespace: str
    labels: LabelSelector
    fields: FieldSelector

    def shows(self, item: Item | None) -> bool:
        if item is None:
            return False
        if self.namespace and not item.key.startswith(self.namespace + "/"):
            return False
        return selects(self.labels, self.fields, item.obj)

    def event_of(self, change: Change) -> Sent | None:
        """The change as the watcher sees it, or None when it sees nothing of it."""
        was, now = self.shows(change.old), self.shows(change.new)
        if now and change.new is not None:
            return change.new.event("MODIFIED" if was else "ADDED")
        return change.last.event("DELETED") if was else None


async def follow(
    cache: WatchCache, view: View, after: int, *, bookmarks: bool, initial: bool, end_of_initial: bool
) -> AsyncIterator[Sent]:
    """Yield what happens after revision `after`, for ever; `initial` sends the present first, as ADDED."""
    if initial:
        await cache.fresh(after)
    collection = cache.of(view.kind)
    present = _present(collection, view) if initial else ()
    bell = Wakeup(
        lambda change: view.shows(change.new) or view.shows(change.old), cache.revision if initial else after
    )
    collection.attach(bell)
    try:
        for item in present:
            yield item.event("ADDED")
        if end_of_initial:
            yield bookmark(view.kind, bell.position, initial_events_end=True)
        is_bookmark_due = False
        while True:
            for change in _unseen(collection, bell):
                bell.position = change.revision
                sent = view.event_of(change)
                if sent is not None:
                    yield sent
            if collection.revision > bell.position:
                continue
            if is_bookmark_due and cache.revision >= bell.position:
                # Nothing is unseen now; what happens while this is sent is looked for afterwards.
                is_bookmark_due = False
                yield bookmark(view.kind, cache.revision)
            else:
                is_bookmark_due = not await bell.wait(BOOKMARK_SECONDS) and bookmarks
    finally:
        collection.detach(bell)


def _present(collection: Collection, view: View) -> Sequence[Item]:
    prefix = f"{view.namespace}/" if view.namespace else ""
    return [item for item in collection.items(prefix) if view.shows(item)]


def _unseen(collection: Collection, bell: Wakeup) -> list[Change]:
    if bell.position < collection.oldest:
        raise too_old(bell.position, collection.oldest)
    return collection.changes_after(bell.position)


def bookmark(kind: Kind, revision: int, *, initial_events_end: bool = False) -> Sent:
    """An event with nothing but a revision that a later watch may start from."""
    meta: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial_events_end:
        meta["annotations"] = {INITIAL_EVENTS_END: "true"}
    obj: Object = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta}
    return WatchEvent("BOOKMARK", obj), orjson.dumps(obj)
