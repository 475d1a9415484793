"""The garbage collector deletes objects whose owners are gone: a loop around the graph of owners.

The graph follows the informers of all kinds. Before anything is deleted the object is read from the
server itself: an owner may have been given to it since, and its name may be another object's.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

from fabric.api.kinds import EVENT, Kind, KindTable
from fabric.api.objects import Key, Object, resource_version_of, uid_of
from fabric.control.client import MERGE, Client
from fabric.control.controller import Controller
from fabric.control.events import Events
from fabric.control.informers import Informers
from fabric.controllers import parked
from fabric.controllers.gc_actions import (
    Action,
    Delete,
    LookUp,
    OrphanDependents,
    Release,
    Unfinalize,
    next_action,
)
from fabric.controllers.owner_graph import (
    Coordinates,
    OwnerGraph,
    OwnerRef,
    Vertex,
    owner_refs,
    same_for_owners,
    vertex_of,
)
from fabric.errors import Conflict, NotFound

ABSENT_MAX = 1024
UNSEEN_SECONDS = 5.0
"""After this time an owner that the server has and the informers do not show is looked up again."""
WORKERS = 16

log = logging.getLogger(__name__)


class GarbageCollector:
    """A controller keyed by uid. Events are left out: nobody owns one, and they end by themselves."""

    def __init__(self, client: Client, informers: Informers, recorder: Events, kinds: KindTable) -> None:
        self._client = client
        self._recorder = recorder
        self._kinds = kinds
        self._graph = OwnerGraph()
        self._absent: OrderedDict[Coordinates, None] = OrderedDict()
        """Owners that the server does not have; they never come back."""
        self._controller: Controller[str] = Controller(
            "garbage", self.reconcile, workers=WORKERS, on_park=self._tell_parked
        )
        for kind in kinds:
            if kind != EVENT and {"list", "watch", "delete"} <= set(kind.verbs):
                informers.of(kind).on_change(partial(self._note, kind))

    async def run(self) -> None:
        await self._controller.run()

    async def reconcile(self, uid: str) -> None:
        vertex = self._graph.get(uid)
        if vertex is None:
            return
        absent = {
            coordinates for ref in vertex.owners if (coordinates := ref.coordinates(vertex)) in self._absent
        }
        found = next_action(self._graph, vertex, absent)
        if isinstance(found, LookUp):
            present: set[Coordinates] = set()
            for ref in found.owners:
                (absent if await self._is_absent(ref, vertex) else present).add(ref.coordinates(vertex))
            if present:
                # It may be gone before the informers see it, and then nobody would tell of its end.
                self._controller.queue.add_after(uid, UNSEEN_SECONDS)
            found = next_action(self._graph, vertex, absent, present)
        await self._carry_out(found, vertex)

    def _tell_parked(self, uid: str, bug: Exception) -> None:
        vertex = self._graph.get(uid)
        if vertex is not None:
            meta = {"namespace": vertex.key.namespace, "name": vertex.key.name, "uid": uid}
            identity = {"apiVersion": vertex.kind.api_version, "kind": vertex.kind.kind}
            parked.say(self._recorder, {**identity, "metadata": meta}, bug)

    def _note(self, kind: Kind, key: Key, old: Object | None, new: Object | None) -> None:
        if old is not None and new is not None and same_for_owners(old, new):
            return
        if new is not None:
            touched = self._graph.put(vertex_of(kind, new))
        else:
            touched = self._graph.remove(uid_of(old or {}))
        for uid in touched:
            self._controller.queue.add(uid)

    async def _carry_out(self, found: Action, vertex: Vertex) -> None:
        match found:
            case Delete(propagation):
                if await self._with_these_owners(vertex) is not None:
                    await self._delete(vertex, propagation)
            case Release(uids):
                if (live := await self._with_these_owners(vertex)) is not None:
                    await self._release(vertex, live, uids)
            case OrphanDependents(dependents):
                for dependent in filter(None, map(self._graph.get, dependents)):
                    if (live := await self._live(dependent)) is not None:
                        await self._release(dependent, live, frozenset({vertex.uid}))
            case Unfinalize(finalizer):
                if (live := await self._live(vertex)) is not None:
                    await self._change(vertex, live, "finalizers", lambda name: bool(name != finalizer))

    async def _is_absent(self, ref: OwnerRef, dependent: Vertex) -> bool:
        """Ask the server. An owner of a kind that it does not serve, or out of reach, counts as there."""
        kind = self._kinds.by_kind(ref.api_version, ref.kind)
        if kind is None or (kind.namespaced and not dependent.key.namespace):
            log.warning("%s: its owner %s %s cannot be looked up", dependent, ref.kind, ref.name)
            return False
        namespace = dependent.key.namespace if kind.namespaced else ""
        try:
            found = await self._client.get(kind, ref.name, namespace)
        except NotFound:
            found = None
        if found is not None and uid_of(found) == ref.uid:
            return False
        self._absent[ref.coordinates(dependent)] = None
        if len(self._absent) > ABSENT_MAX:
            self._absent.popitem(last=False)
        return True

    async def _delete(self, vertex: Vertex, propagation: str) -> None:
        log.info("%s is garbage: its owners are gone", vertex)
        try:
            await self._client.delete(
                vertex.kind, vertex.key.name, vertex.key.namespace, propagation=propagation, uid=vertex.uid
            )
        except (NotFound, Conflict):
            return

    async def _release(self, vertex: Vertex, live: Object, uids: frozenset[str]) -> None:
        await self._change(vertex, live, "ownerReferences", lambda ref: ref.get("uid") not in uids)

    async def _change(self, vertex: Vertex, live: Object, field: str, keeps: Callable[[Any], bool]) -> None:
        """Drop entries of a list in the metadata; Conflict when somebody else wrote meanwhile."""
        old = live["metadata"].get(field) or []
        new = [entry for entry in old if keeps(entry)]
        if new == old:
            return
        meta = {"resourceVersion": resource_version_of(live), field: new or None}
        namespace, name = vertex.key
        try:
            await self._client.patch(
                vertex.kind, name, {"metadata": meta}, namespace=namespace, patch_type=MERGE
            )
        except NotFound:
            return

    async def _with_these_owners(self, vertex: Vertex) -> Object | None:
        """Return the object, or None when its owners are others now: the informer is about to tell."""
        live = await self._live(vertex)
        return live if live is not None and owner_refs(live) == vertex.owners else None

    async def _live(self, vertex: Vertex) -> Object | None:
        try:
            live = await self._client.get(vertex.kind, vertex.key.name, vertex.key.namespace)
        except NotFound:
            return None
        return live if uid_of(live) == vertex.uid else None
