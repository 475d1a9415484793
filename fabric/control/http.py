"""The client over HTTP: one connection pool for requests, one for watches.

On a unix socket it speaks plain HTTP to a server that trusts whoever may open the socket; over TCP it
speaks TLS with a token or a client certificate. A server that cannot be reached, or that goes
away in the middle of an answer, is `ServerUnavailable`; every other refusal is the `ApiError` that its
Status names. A request that was cut off may have been carried out: the caller reads again.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import orjson
from yarl import URL

from fabric.api.kinds import Kind
from fabric.api.objects import Object, key_of
from fabric.control.client import MERGE, Client, ObjectList, PatchType, WatchEvent, delete_options
from fabric.control.jsonlines import json_lines
from fabric.control.refusals import refusal, refusal_of_answer
from fabric.errors import ServerUnavailable

REQUESTS_MAX = 32
"""Requests under way at once; more wait for a connection."""
WATCHES_MAX = 1024
REQUEST_SECONDS_MAX = 30.0
CONNECT_SECONDS_MAX = 5.0
WATCH_SECONDS = 600
"""The server is asked to end a watch after this time, and one that is silent for longer is cut."""
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}

_Connect = Callable[[int], aiohttp.BaseConnector]
OpenSocket = Callable[[int, int], socket.socket]
"""Opens a socket of an address family and a kind; OSError when that cannot be now."""
KEPT_SECONDS = 60.0
"""How long a connection is kept that nothing is asked through: longer than kubelets' heartbeats are apart."""


class HttpClient(Client):
    """The client of one API server; make it with `unix` or `tls`, use it in one event loop, close it."""

    def __init__(
        self, base: str, connect: _Connect, *, token: str = "", seconds_max: float = REQUEST_SECONDS_MAX
    ) -> None:
        self._base = base
        self._connect = connect
        self._seconds_max = seconds_max
        self._headers = _HEADERS | ({"Authorization": f"Bearer {token}"} if token else {})
        self._requests: aiohttp.ClientSession | None = None
        self._watches: aiohttp.ClientSession | None = None

    @classmethod
    def unix(cls, path: Path | str) -> HttpClient:
        """A client of the server that listens on the unix socket `path`."""
        return cls("http://fabric", lambda limit: aiohttp.UnixConnector(str(path), limit=limit))

    @classmethod
    def through(
        cls, url: str, context: ssl.SSLContext, open_socket: OpenSocket, seconds_max: float
    ) -> HttpClient:
        """A client over TLS whose sockets are opened by `open_socket`, in a namespace of its choice.

        A request that is not answered within `seconds_max` has failed.
        """

        def connector(limit: int) -> aiohttp.BaseConnector:
            return aiohttp.TCPConnector(
                ssl=context,
                limit=limit,
                keepalive_timeout=KEPT_SECONDS,
                socket_factory=lambda address: open_socket(int(address[0]), int(address[1])),
            )

        return cls(url.rstrip("/"), connector, seconds_max=seconds_max)

    @classmethod
    def tls(
        cls, url: str, *, ca: Path | str, cert: tuple[Path | str, Path | str] | None = None, token: str = ""
    ) -> HttpClient:
        """A client of `https://host:port` that trusts only `ca`; `cert` is a certificate and its key."""
        context = ssl.create_default_context(cafile=str(ca))
        if cert is not None:
            context.load_cert_chain(*map(str, cert))
        return cls(url.rstrip("/"), lambda limit: aiohttp.TCPConnector(ssl=context, limit=limit), token=token)

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Object:
        return await self._object("GET", kind.path(namespace, quote(name)))

    async def list(
        self, kind: Kind, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> ObjectList:
        query = _query(labelSelector=label_selector, fieldSelector=field_selector)
        listed = await self._object("GET", kind.path(namespace) + query)
        items = tuple(listed.get("items") or ())
        for item in items:
            item.setdefault("apiVersion", kind.api_version)
            item.setdefault("kind", kind.kind)
        return ObjectList(items, str(listed["metadata"].get("resourceVersion", "")))

    async def create(self, kind: Kind, obj: Object, *, namespace: str = "", subresource: str = "") -> Object:
        meta = obj["metadata"]
        name = quote(meta["name"]) if subresource else None
        path = kind.path(namespace or meta.get("namespace"), name, subresource)
        return await self._object("POST", path, obj)

    async def update(self, kind: Kind, obj: Object, *, subresource: str = "") -> Object:
        namespace, name = key_of(obj)
        return await self._object("PUT", kind.path(namespace, quote(name), subresource), obj)

    async def patch(
        self,
        kind: Kind,
        name: str,
        patch: Any,
        *,
        namespace: str = "",
        subresource: str = "",
        patch_type: PatchType = MERGE,
        field_manager: str = "fabric",
    ) -> Object:
        path = kind.path(namespace, quote(name), subresource) + _query(fieldManager=field_manager)
        return await self._object("PATCH", path, patch, patch_type)

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str = "",
        *,
        grace_period_seconds: int | None = None,
        propagation: str = "Background",
        uid: str = "",
    ) -> None:
        options = delete_options(grace_period_seconds, propagation, uid)
        await self._object("DELETE", kind.path(namespace, quote(name)), options)

    async def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent]:
        if self._watches is None:
            self._watches = self._session(WATCHES_MAX, silence=WATCH_SECONDS * 1.1)
        path = kind.path(namespace) + _query(
            watch="true",
            allowWatchBookmarks="true",
            timeoutSeconds=str(WATCH_SECONDS),
            resourceVersion=resource_version,
            labelSelector=label_selector,
            fieldSelector=field_selector,
        )
        with _losses("watch", path):
            async with self._watches.get(URL(self._base + path, encoded=True)) as answer:
                if answer.status >= 400:
                    raise refusal_of_answer(answer.status, await answer.read())
                async for event in json_lines(answer.content.iter_any()):
                    if event["type"] == "ERROR":
                        raise refusal(event["object"])
                    yield WatchEvent(event["type"], event["object"])

    async def close(self) -> None:
        """Close all connections; a later call opens new ones."""
        for session in (self._requests, self._watches):
            if session is not None:
                await session.close()
        self._requests = self._watches = None

    async def _object(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Object:
        if self._requests is None:
            self._requests = self._session(REQUESTS_MAX, total=self._seconds_max)
        data = None if body is None else orjson.dumps(body)
        headers = {} if data is None else {"Content-Type": content_type}
        url = URL(self._base + path, encoded=True)
        with _losses(method, path):
            async with self._requests.request(method, url, data=data, headers=headers) as answer:
                text = await answer.read()
                if answer.status >= 400:
                    raise refusal_of_answer(answer.status, text)
                obj: Object = orjson.loads(text)
                return obj

    def _session(
        self, limit: int, *, total: float | None = None, silence: float | None = None
    ) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=self._connect(limit),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total, sock_connect=CONNECT_SECONDS_MAX, sock_read=silence),
            cookie_jar=aiohttp.DummyCookieJar(),
        )


@contextmanager
def _losses(method: str, path: str) -> Iterator[None]:
    """Turn what the network does to a request into ServerUnavailable."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ServerUnavailable(f"{method} {path}: {type(error).__name__}: {error}") from error
    except orjson.JSONDecodeError as error:
        raise ServerUnavailable(f"{method} {path}: the answer is not JSON: {error}") from error


def _query(**parameters: str) -> str:
    given = {name: value for name, value in parameters.items() if value}
    return f"?{urlencode(given)}" if given else ""
