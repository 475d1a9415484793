"""One question to the API server, for commands that ask one and end.

The API server's unix socket speaks plain HTTP, so the standard library is enough: such a command does not
wait for an HTTP library to be imported.
"""

from __future__ import annotations

import http.client
import socket
from typing import Any

import orjson

from fabric.api.kinds import Kind
from fabric.api.objects import Object
from fabric.cluster.places import Places
from fabric.errors import ApiError, FabricError, NotFound, ServerUnavailable

SECONDS_MAX = 10.0


def get(places: Places, kind: Kind, name: str, namespace: str = "") -> Object:
    """One object; NotFound when there is none, ServerUnavailable when the API server does not answer."""
    found: Object = _ask(places, kind.path(namespace, name))
    return found


def every(places: Places, kind: Kind) -> list[Object]:
    """All objects of a kind, in all namespaces."""
    found: list[Object] = _ask(places, kind.path())["items"]
    return found


class _UnixConnection(http.client.HTTPConnection):
    """HTTP on the API server's socket."""

    def __init__(self, path: str) -> None:
        super().__init__("fabric", timeout=SECONDS_MAX)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS_MAX)
        self.sock.connect(self._path)


def _ask(places: Places, path: str) -> Any:
    connection = _UnixConnection(str(places.api_socket))
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        value = orjson.loads(answer.read())
    except (OSError, http.client.HTTPException, orjson.JSONDecodeError) as error:
        raise ServerUnavailable(f"the API server does not answer ({error}); see fabric status") from None
    finally:
        connection.close()
    if answer.status == NotFound.code:
        raise NotFound(value.get("message", path))
    if answer.status != http.client.OK:
        raise _refused(value)
    return value


def _refused(status: Any) -> FabricError:
    return ApiError(str(status.get("message", "the API server refuses")))
