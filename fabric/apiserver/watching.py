"""Watches are positions in a watch cache's ring of changes, seen through selectors.

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
from fabric.apiserver.cacher import Cacher
from fabric.apiserver.listing import selects
from fabric.apiserver.options import ListOptions
from fabric.apiserver.refusals import forbidden_field, invalid_options, not_supported, too_old
from fabric.apiserver.watch_cache import CacheWatcher, Change, Item, WatchCache
from fabric.control.client import WatchEvent

BOOKMARK_SECONDS = 60.0
INITIAL_EVENTS_END = "k8s.io/initial-events-end"

Sent = tuple[WatchEvent, bytes]


@dataclass(frozen=True, slots=True)
class WatchFilter:
    """The filter of a watch: the objects of a watch cache that it shows."""

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


def check_options(options: ListOptions) -> None:
    """Invalid for a watch whose resourceVersionMatch and sendInitialEvents do not go together."""
    match, path = options.resource_version_match, "resourceVersionMatch"
    is_initial = options.send_initial_events is not None
    causes = []
    if is_initial and match != "NotOlderThan":
        causes.append(forbidden_field(path, f"sendInitialEvents requires setting {path} to NotOlderThan"))
    if match and not is_initial:
        causes.append(
            forbidden_field(path, f"{path} is forbidden for watch unless sendInitialEvents is provided")
        )
    if match not in ("", "NotOlderThan"):
        causes.append(not_supported(path, match, ("NotOlderThan",)))
    if match and options.continue_:
        causes.append(forbidden_field(path, f"{path} is forbidden when continue is provided"))
    if causes:
        raise invalid_options("ListOptions", causes)


async def follow(
    cacher: Cacher, filter_: WatchFilter, after: int, *, bookmarks: bool, initial: bool, end_of_initial: bool
) -> AsyncIterator[Sent]:
    """Yield what happens after revision `after`, for ever; `initial` sends the present first, as ADDED."""
    if initial:
        await cacher.fresh(after)
    watch_cache = cacher.of(filter_.kind)
    present = _present(watch_cache, filter_) if initial else ()
    watcher = CacheWatcher(
        lambda change: filter_.shows(change.new) or filter_.shows(change.old),
        cacher.revision if initial else after,
        lambda: watch_cache.revision,
        filter_.fields.exact("spec.nodeName"),
    )
    watch_cache.attach(watcher)
    try:
        for item in present:
            yield item.event("ADDED")
        if end_of_initial:
            yield bookmark(filter_.kind, watcher.position, initial_events_end=True)
        is_bookmark_due = False
        while True:
            for change in _unseen(watch_cache, watcher):
                watcher.position = change.revision
                if watcher.node is not None and watcher.node not in change.nodes:
                    continue
                sent = filter_.event_of(change)
                if sent is not None:
                    yield sent
            if watch_cache.revision > watcher.position:
                continue
            if is_bookmark_due and cacher.revision >= watcher.position:
                # Nothing is unseen now; what happens while this is sent is looked for afterwards.
                is_bookmark_due = False
                yield bookmark(filter_.kind, cacher.revision)
            else:
                is_bookmark_due = not await watcher.wait(BOOKMARK_SECONDS) and bookmarks
    finally:
        watch_cache.detach(watcher)


def _present(watch_cache: WatchCache, filter_: WatchFilter) -> Sequence[Item]:
    prefix = f"{filter_.namespace}/" if filter_.namespace else ""
    return [item for item in watch_cache.items(prefix) if filter_.shows(item)]


def _unseen(watch_cache: WatchCache, watcher: CacheWatcher) -> list[Change]:
    if watcher.position < watch_cache.oldest:
        raise too_old(watcher.position, watch_cache.oldest)
    return watch_cache.changes_after(watcher.position)


def bookmark(kind: Kind, revision: int, *, initial_events_end: bool = False) -> Sent:
    """An event with nothing but a revision that a later watch may start from."""
    meta: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial_events_end:
        meta["annotations"] = {INITIAL_EVENTS_END: "true"}
    obj: Object = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta}
    return WatchEvent("BOOKMARK", obj), orjson.dumps(obj)
