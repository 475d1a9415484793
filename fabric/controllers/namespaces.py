"""The namespace controller empties a namespace that is being deleted, and only then finalizes it.

The namespace keeps its finalizer until a list of every namespaced kind shows nothing; conditions say
what is still there. What holds on (grace periods, finalizers) is looked at again when the last object of
the namespace goes, and every few seconds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from fabric.api.kinds import NAMESPACE, Kind, KindTable
from fabric.api.objects import (
    Key,
    Object,
    condition,
    is_deleting,
    key_of,
    resource_version_of,
    timestamp,
    uid_of,
)
from fabric.control.client import STRATEGIC, Client
from fabric.control.clock import Clock
from fabric.control.controller import Controller
from fabric.control.events import Events
from fabric.control.informers import Informers
from fabric.controllers import parked
from fabric.errors import Conflict, MethodNotAllowed, NotFound

BY_NAMESPACE = "objects by namespace, for the controllers"
FINALIZER = "kubernetes"
RECHECK_SECONDS = 2.0
DELETES_AT_ONCE = 32

Content = Mapping[Kind, Sequence[Object]]


class NamespaceController:
    """A controller keyed by the namespace's name."""

    def __init__(
        self, client: Client, informers: Informers, recorder: Events, clock: Clock, kinds: KindTable
    ) -> None:
        self._client = client
        self._clock = clock
        self._kinds = [kind for kind in kinds if kind.namespaced and {"list", "delete"} <= set(kind.verbs)]
        self._namespaces = informers.of(NAMESPACE)
        self._controller: Controller[str] = Controller(
            "namespaces", self.reconcile, workers=4, on_park=parked.tell(recorder, self._namespaces)
        )
        self._namespaces.on_change(lambda key, old, new: self._controller.queue.add(key.name))
        self._contents = [informers.of(kind) for kind in self._kinds]
        for informer in self._contents:
            informer.add_index(BY_NAMESPACE, _namespaces)
            informer.on_change(self._note_deletion)

    async def run(self) -> None:
        await self._controller.run()

    async def reconcile(self, name: str) -> None:
        namespace = self._namespaces.get(Key("", name))
        if namespace is None or not is_deleting(namespace):
            return
        finalizers = (namespace.get("spec") or {}).get("finalizers") or []
        if FINALIZER not in finalizers:
            return
        await self._delete_all(await self._content(name))
        content = await self._content(name)
        if any(content.values()):
            await self._report(namespace, content)
            self._controller.queue.add_after(name, RECHECK_SECONDS)
        else:
            rest = [finalizer for finalizer in finalizers if finalizer != FINALIZER]
            await self._finalize(namespace, rest)

    def _note_deletion(self, key: Key, old: Object | None, new: Object | None) -> None:
        """The last object that goes calls for a look; the others are seen at the next one."""
        namespace = self._namespaces.get(Key("", key.namespace)) if new is None else None
        if namespace is None or not is_deleting(namespace):
            return
        if not any(informer.count(BY_NAMESPACE, key.namespace) for informer in self._contents):
            self._controller.queue.add(key.namespace)

    async def _content(self, name: str) -> Content:
        """List the namespace from the server itself: a cache may not have seen the last object yet."""
        return {kind: (await self._client.list(kind, name)).items for kind in self._kinds}

    async def _delete_all(self, content: Content) -> None:
        slots = asyncio.Semaphore(DELETES_AT_ONCE)

        async def delete(kind: Kind, obj: Object) -> None:
            meta = obj["metadata"]
            async with slots:
                try:
                    await self._client.delete(kind, meta["name"], meta["namespace"], uid=uid_of(obj))
                except (NotFound, Conflict, MethodNotAllowed):
                    return  # gone or replaced meanwhile; the list that follows tells

        deletes = [
            delete(kind, obj) for kind, objects in content.items() for obj in objects if not is_deleting(obj)
        ]
        for outcome in await asyncio.gather(*deletes, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _report(self, namespace: Object, content: Content) -> None:
        conditions = [
            changed
            for type_, (reason, message) in remaining_conditions(content).items()
            if (changed := self._changed_condition(namespace, type_, reason, message))
        ]
        if conditions:
            await self._client.patch(
                NAMESPACE,
                namespace["metadata"]["name"],
                {"status": {"conditions": conditions}},
                subresource="status",
                patch_type=STRATEGIC,
            )

    def _changed_condition(self, namespace: Object, type_: str, reason: str, message: str) -> Object | None:
        """The condition to write, or None when it stands there already."""
        status = "True" if message else "False"
        old = condition(namespace, type_)
        if old is None and not message:
            return None
        if old is not None and (old.get("status"), old.get("message", "")) == (status, message):
            return None
        now = timestamp(self._clock.now())
        return {
            "type": type_,
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": now,
        }

    async def _finalize(self, namespace: Object, finalizers: list[str]) -> None:
        body = namespace | {"spec": {**(namespace.get("spec") or {}), "finalizers": finalizers}}
        assert resource_version_of(body)
        try:
            await self._client.update(NAMESPACE, body, subresource="finalize")
        except NotFound:
            return


def _namespaces(obj: Object) -> Iterable[str]:
    """The index function: the object's namespace."""
    return (key_of(obj).namespace,)


def remaining_conditions(content: Content) -> dict[str, tuple[str, str]]:
    """Reason and message, in the words of Kubernetes, of the two conditions that say what remains."""
    resources = [
        f"{kind.group_resource} has {len(objects)} resource instances"
        for kind, objects in content.items()
        if objects
    ]
    finalizers = Counter(
        finalizer
        for objects in content.values()
        for obj in objects
        for finalizer in obj["metadata"].get("finalizers") or ()
    )
    held = [f"{finalizer} in {count} resource instances" for finalizer, count in sorted(finalizers.items())]
    return {
        "NamespaceContentRemaining": (
            "SomeResourcesRemain",
            "Some resources are remaining: " + ", ".join(sorted(resources)) if resources else "",
        ),
        "NamespaceFinalizersRemaining": (
            "SomeFinalizersRemain",
            "Some content in the namespace has finalizers remaining: " + ", ".join(held) if held else "",
        ),
    }
