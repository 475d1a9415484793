"""Components' requests are verbs on kinds that came in a frame; here they become calls to the registry.

The same checks as for a request over HTTP: the size and depth of a body, the verbs that a resource has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

import orjson

from fabric.api.objects import Object
from fabric.apiserver import bodies, negotiation, patches, queries
from fabric.apiserver.options import WriteOptions
from fabric.apiserver.registry import Registry
from fabric.apiserver.routes import Target, unknown_path
from fabric.apiserver.subresources import verbs_of
from fabric.control import wire
from fabric.control.client import WatchEvent
from fabric.errors import MethodNotAllowed

PART_BYTES = 1 << 20
"""How much of a list goes into one frame."""


class ComponentRequests:
    """The registry, as components ask it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def answer(self, request: wire.Get | wire.Write) -> bytes:
        """Do what is asked for: the object as it is now, and nothing for a deletion. ApiError if refused."""
        registry = self._registry
        match request:
            case wire.Get():
                at = self._object(request, "get", "")
                return orjson.dumps(await registry.get(at.kind, at.namespace, at.name))
            case wire.Create():
                return orjson.dumps(await self._create(request))
            case wire.Update():
                at = self._object(request, "update", request.subresource)
                obj = _object_in(request.body)
                rest = at.namespace, at.name, obj, WriteOptions()
                return orjson.dumps((await registry.update(at.kind, *rest, subresource=at.subresource))[0])
            case wire.Patch():
                return orjson.dumps(await self._patch(request))
            case wire.Delete():
                at = self._object(request, "delete", "")
                bodies.check_size(request.body)
                options = queries.delete_options({}, negotiation.decode_object(request.body, ""))
                await registry.delete(at.kind, at.namespace, at.name, options)
                return b""

    async def list(self, request: wire.List) -> Iterator[tuple[bytes, bool]]:
        """The parts of a list, each with True if it is the last: JSON lists, then the resource version."""
        at = self._target(request, "list")
        options = queries.list_options(_selectors(request))
        page = await self._registry.list(at.kind, at.namespace, options)
        return _parts(page.items, page.resource_version)

    def watch(self, request: wire.Watch) -> AsyncIterator[tuple[WatchEvent, bytes]]:
        """The events of a watch, for ever, each with its object's JSON."""
        at = self._target(request, "")
        if "watch" not in at.kind.verbs:
            raise _no_such_verb()
        selectors = _selectors(request)
        return self._registry.watch(
            at.kind,
            at.namespace,
            resource_version=request.resource_version,
            label_selector=queries.label_selector(selectors),
            field_selector=queries.field_selector(selectors),
            bookmarks=True,
        )

    async def _create(self, request: wire.Create) -> Object:
        if request.subresource:
            at = self._object(request, "create", request.subresource)
        else:
            at = self._target(request, "create")
        obj = _object_in(request.body)
        return await self._registry.create(
            at.kind, at.namespace, obj, WriteOptions(), name=at.name, subresource=at.subresource
        )

    async def _patch(self, request: wire.Patch) -> Object:
        at = self._object(request, "patch", request.subresource)
        patches.check_type(request.patch_type)
        bodies.check_size(request.body)
        return await self._registry.patch(
            at.kind,
            at.namespace,
            at.name,
            negotiation.decode(request.body, request.patch_type),
            request.patch_type,
            WriteOptions(field_manager=request.field_manager),
            subresource=at.subresource,
        )

    def _object(
        self, request: wire.Get | wire.Create | wire.Update | wire.Patch | wire.Delete, verb: str, sub: str
    ) -> Target:
        """The one object that the request is about, which has a name and, in its kind, a namespace."""
        if not request.name:
            raise unknown_path()
        return self._target(request, verb, request.name, sub)

    def _target(self, request: wire.OnKind, verb: str, name: str = "", subresource: str = "") -> Target:
        kind = self._registry.kinds.by_resource(*request.resource)
        if kind is None or (subresource and subresource not in kind.subresources):
            raise unknown_path()
        namespace = request.namespace if kind.namespaced else ""
        if name and kind.namespaced and not namespace:
            raise unknown_path()
        target = Target(kind, namespace, name, subresource)
        if verb and verb not in verbs_of(target):
            raise _no_such_verb()
        return target


def _no_such_verb() -> MethodNotAllowed:
    return MethodNotAllowed("the server does not allow this method on the requested resource")


def _object_in(body: bytes) -> Object:
    bodies.check_size(body)
    return bodies.object_in(body, negotiation.JSON)


def _selectors(request: wire.List | wire.Watch) -> dict[str, str]:
    given = {"labelSelector": request.label_selector, "fieldSelector": request.field_selector}
    return {name: value for name, value in given.items() if value}


def _parts(items: Sequence[Object], resource_version: str) -> Iterator[tuple[bytes, bool]]:
    part: list[bytes] = []
    size = 0
    for item in items:
        part.append(orjson.dumps(item))
        size += len(part[-1])
        if size >= PART_BYTES:
            yield b"[%b]" % b",".join(part), False
            part, size = [], 0
    yield b"[%b]" % b",".join(part), False
    yield orjson.dumps({"resourceVersion": resource_version}), True
