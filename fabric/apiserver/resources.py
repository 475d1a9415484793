"""The resource handler serves all kinds: a path, a method and a body become a call to the registry.

Reads are answered as the client negotiated; writes run to their end even when the client hangs up, so
that a write is never half done in this process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from aiohttp import web

from fabric.api.kinds import Kind
from fabric.api.objects import Object, is_deleting
from fabric.apiserver import bodies, negotiation, patches, queries, representation, status
from fabric.apiserver.deletion import is_held
from fabric.apiserver.eventstream import serve_watch
from fabric.apiserver.negotiation import MediaType
from fabric.apiserver.options import ListPage
from fabric.apiserver.registry import Registry
from fabric.apiserver.routes import Target
from fabric.apiserver.subresources import verbs_of
from fabric.control.clock import Clock
from fabric.errors import FabricError, MethodNotAllowed

WARNINGS_SIZE_MAX = 4096
"""Characters of the warnings of one answer, as upstream: clients read a bounded number of headers."""
Handler = Callable[[web.BaseRequest, Target], Awaitable[web.StreamResponse]]


class Resources:
    """The handler of requests for objects; `writes` owns the writes in flight."""

    def __init__(self, registry: Registry, clock: Clock, writes: asyncio.TaskGroup) -> None:
        self._registry = registry
        self._clock = clock
        self._writes = writes
        self._on_collection: dict[str, tuple[str, Handler]] = {
            "GET": ("list", self._list),
            "HEAD": ("list", self._list),
            "POST": ("create", self._create),
            "DELETE": ("deletecollection", self._delete_collection),
        }
        self._on_object: dict[str, tuple[str, Handler]] = {
            "GET": ("get", self._get),
            "HEAD": ("get", self._get),
            "POST": ("create", self._create),
            "PUT": ("update", self._update),
            "PATCH": ("patch", self._patch),
            "DELETE": ("delete", self._delete),
        }

    async def answer(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        """Do what the request asks for; ApiError when it is refused."""
        if target.is_watch:
            return await self._watch(request, target)
        table = self._on_collection if target.is_collection else self._on_object
        verb, handler = table.get(request.method, ("", None))
        if request.method == "OPTIONS":
            return web.Response(headers={"Allow": _methods(table, target)})
        if handler is None or verb not in verbs_of(target):
            raise _not_allowed()
        return await handler(request, target)

    async def _get(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        found = await self._registry.get(
            target.kind,
            target.namespace,
            target.name,
            subresource=target.subresource,
            resource_version=request.query.get("resourceVersion", "") if request.query_string else "",
        )
        return self._object(request, target.kind, found)

    async def _list(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        query = request.query
        if request.method == "GET" and queries.truth(query, "watch"):
            return await self._watch(request, target)
        page = await self._registry.list(target.kind, target.namespace, queries.list_options(query))
        return self._page(request, target.kind, page)

    async def _watch(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        if request.method == "OPTIONS":
            return web.Response(headers={"Allow": "GET, OPTIONS"})
        if request.method != "GET" or "watch" not in target.kind.verbs:
            raise _not_allowed()
        return await serve_watch(request, target, self._registry, self._clock)

    async def _create(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        warnings: list[str] = []
        options = queries.write_options(request.query, warnings.append)
        obj = await bodies.read_object(request, options)
        created = await self._write(
            request,
            self._registry.create(
                target.kind,
                target.namespace,
                obj,
                options,
                name=target.name,
                subresource=target.subresource,
            ),
        )
        return _warned(self._object(request, target.kind, created, code=201), warnings)

    async def _update(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        warnings: list[str] = []
        options = queries.write_options(request.query, warnings.append)
        obj = await bodies.read_object(request, options)
        updated, is_new = await self._write(
            request,
            self._registry.update(
                target.kind,
                target.namespace,
                target.name,
                obj,
                options,
                subresource=target.subresource,
            ),
        )
        code = 201 if is_new else 200
        return _warned(self._object(request, target.kind, updated, code=code), warnings)

    async def _patch(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        patch_type = negotiation.media_name(bodies.content_type(request))
        patches.check_type(patch_type)
        warnings: list[str] = []
        options = queries.write_options(request.query, warnings.append)
        patch = await bodies.read_patch(request, patch_type, options)
        patched = await self._write(
            request,
            self._registry.patch(
                target.kind,
                target.namespace,
                target.name,
                patch,
                patch_type,
                options,
                subresource=target.subresource,
            ),
        )
        return _warned(self._object(request, target.kind, patched), warnings)

    async def _delete(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        options = queries.delete_options(request.query, await bodies.read_optional(request))
        last = await self._write(
            request, self._registry.delete(target.kind, target.namespace, target.name, options)
        )
        if not (is_deleting(last) and is_held(target.kind, last)):
            last = status.deleted(target.kind, target.name, last["metadata"].get("uid", ""))
        return self._object(request, target.kind, last)

    async def _delete_collection(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        options = queries.delete_options(request.query, await bodies.read_optional(request))
        page = await self._write(
            request,
            self._registry.delete_collection(
                target.kind, target.namespace, queries.list_options(request.query), options
            ),
        )
        return self._page(request, target.kind, page)

    async def _write(self, request: web.BaseRequest, write: Coroutine[Any, Any, Any]) -> Any:
        """Run a write that outlives its client."""
        what = f"{request.method} {request.path}"
        outcome = await asyncio.shield(self._writes.create_task(status.outcome_of(what, write)))
        if isinstance(outcome, FabricError):
            raise outcome
        return outcome

    def _object(self, request: web.BaseRequest, kind: Kind, obj: Object, code: int = 200) -> web.Response:
        media = _accepted(request, kind)
        if media.as_:
            obj = representation.of_object(kind, obj, media, _include(request), self._clock.now())
        return _response(request, obj, media, code)

    def _page(self, request: web.BaseRequest, kind: Kind, page: ListPage) -> web.Response:
        media = _accepted(request, kind)
        body = representation.of_page(kind, page, media, _include(request), self._clock.now())
        return _response(request, body, media, 200)


def _not_allowed() -> MethodNotAllowed:
    return MethodNotAllowed("the server does not allow this method on the requested resource")


def _methods(table: dict[str, tuple[str, Handler]], target: Target) -> str:
    verbs = verbs_of(target)
    return ", ".join(sorted({"OPTIONS", *(method for method, (verb, _) in table.items() if verb in verbs)}))


def _accepted(request: web.BaseRequest, kind: Kind) -> MediaType:
    return negotiation.choose(request.headers.get("Accept", ""), negotiation.offers_of(kind))


def _include(request: web.BaseRequest) -> str:
    return request.query.get("includeObject", "Metadata") if request.query_string else "Metadata"


def _response(request: web.BaseRequest, obj: Object, media: MediaType, code: int) -> web.Response:
    pretty = bool(request.query_string) and queries.truth(request.query, "pretty")
    body = negotiation.encode(obj, media, pretty=pretty)
    # Transformed objects say so in their kind, and clients expect the bare type, as upstream answers.
    return web.Response(body=body, status=code, headers={"Content-Type": media.name})


def _warned(response: web.Response, warnings: Sequence[str]) -> web.Response:
    """Clients print each `Warning` header; 299 is "miscellaneous, persistent"."""
    size = 0
    for warning in dict.fromkeys(warnings):
        size += len(warning)
        if size > WARNINGS_SIZE_MAX:
            break
        printable = "".join(char if char.isprintable() else " " for char in warning)
        quoted = printable.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{quoted}"')
    return response
