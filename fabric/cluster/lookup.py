"""Commands look up a cluster's spec, a pod, its node, containers and logs, and objects of the API.

The API server's unix socket speaks plain HTTP, so the standard library is enough: a command that asks once
does not wait for an HTTP library to be imported.
"""

from __future__ import annotations

import difflib
import http.client
import socket
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

import orjson

from fabric.api import kinds
from fabric.api.kinds import Kind
from fabric.api.objects import Object, key_of, uid_of
from fabric.cluster import spec as specs
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.spec import ClusterSpec
from fabric.cluster.underlay.hosts import wanted_hosts
from fabric.errors import ApiError, BadInput, FabricError, NotFound, Problem, ServerUnavailable
from fabric.topology.wiring import natural


def need_spec(paths: ClusterPaths) -> ClusterSpec:
    """The cluster's spec; FabricError when nothing but ruins is left of it."""
    spec = specs.read(paths.spec)
    if spec is None:
        raise FabricError(
            f"cluster {paths.cluster} is not running; remove what is left: fabric down {paths.cluster}"
        )
    return spec


def worker_of(paths: ClusterPaths, host: str, *, at: str = "--node") -> int:
    """The worker whose runtime runs that node (or the switch, …).

    BadInput names those there are, and the argument `at` which this one was given.
    """
    hosts = wanted_hosts(need_spec(paths))
    if host not in hosts:
        raise BadInput(Problem(at, f"no node {host!r}; there: {', '.join(sorted(hosts))}"))
    return hosts[host]


def need_pod(paths: ClusterPaths, name: str, namespace: str) -> Object:
    """The pod; FabricError names pods with a similar name."""
    try:
        return get(paths, kinds.POD, name, namespace)
    except NotFound:
        there = [key_of(pod) for pod in every(paths, kinds.POD)]
        here = [key.name for key in there if key.namespace == namespace]
        elsewhere = [str(key) for key in there if key.name == name]
        close = elsewhere or _closest(name, here)
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        if name in _hosts(paths):
            hint = f"; {name} is no pod but a machine of the underlay: fabric exec --node {name} -- COMMAND"
        raise FabricError(f"no pod {name!r} in namespace {namespace!r}{hint}") from None


def _closest(name: str, names: Iterable[str]) -> list[str]:
    """Names that are like it, three at most: the likest first, and equally like ones in natural order."""
    rated = [(difflib.SequenceMatcher(None, it, name).ratio(), it) for it in names]
    rated.sort(key=lambda it: (-it[0], natural(it[1])))
    return [it for likeness, it in rated if likeness >= LIKENESS_MIN][:3]


def _hosts(paths: ClusterPaths) -> Container[str]:
    spec = specs.read(paths.spec)
    return () if spec is None else wanted_hosts(spec)


def container_name(pod: Object, wanted: str | None) -> str:
    """The container that is meant: the named one, or the first; BadInput names those there are."""
    names = [c["name"] for part in ("containers", "initContainers") for c in pod["spec"].get(part) or ()]
    if wanted is None:
        return str(names[0])
    if wanted not in names:
        what = f"no container {wanted!r} in pod {pod['metadata']['name']}; containers: {', '.join(names)}"
        raise BadInput(Problem("--container", what))
    return wanted


def container_id(pod: Object, name: str) -> str:
    """Id of the running container; FabricError when it does not run."""
    status = pod.get("status") or {}
    for part in ("containerStatuses", "initContainerStatuses"):
        for container in status.get(part) or ():
            if container["name"] == name and container.get("state", {}).get("running"):
                return str(container["containerID"]).partition("://")[2]
    raise FabricError(f"container {name} of pod {pod['metadata']['name']} does not run; see fabric status")


def log_folder(paths: ClusterPaths, pod: Object, container: str) -> Path:
    """Return the folder with a container's logs, one file a start."""
    if not pod["spec"].get("nodeName"):
        raise FabricError(f"pod {pod['metadata']['name']} is not scheduled yet: it has no logs")
    key = key_of(pod)
    logs = paths.node(pod["spec"]["nodeName"]) / "var/log/pods"
    return logs / f"{key.namespace}_{key.name}_{uid_of(pod)}" / container


SECONDS_MAX = 10.0
LIKENESS_MIN = 0.4
"""Of names that are suggested for one that is not there: difflib's ratio."""


class NoApiServer(ServerUnavailable):
    """The API server does not answer; `why` says what came instead."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the API server does not answer: {why}; see fabric status")
        self.why = why


def get(paths: ClusterPaths, kind: Kind, name: str, namespace: str = "") -> Object:
    """Get an object; NotFound when there is none, ServerUnavailable when the API server does not answer."""
    found: Object = _ask(paths, kind.path(namespace, name))
    return found


def every(paths: ClusterPaths, kind: Kind) -> list[Object]:
    """All objects of a kind, in all namespaces."""
    found: list[Object] = _ask(paths, kind.path())["items"]
    return found


class _UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to the API server's socket."""

    def __init__(self, path: str) -> None:
        super().__init__("fabric", timeout=SECONDS_MAX)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS_MAX)
        self.sock.connect(self._path)


def _ask(paths: ClusterPaths, path: str) -> Any:
    connection = _UnixConnection(str(paths.api_socket))
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        value = orjson.loads(answer.read())
    except (OSError, http.client.HTTPException, orjson.JSONDecodeError) as error:
        raise NoApiServer(_why_silent(error)) from None
    finally:
        connection.close()
    if answer.status == NotFound.code:
        raise NotFound(value.get("message", path))
    if answer.status != http.client.OK:
        raise _refused(value)
    return value


def _why_silent(error: Exception) -> str:
    match error:
        case FileNotFoundError():
            return "its socket is not there"
        case ConnectionRefusedError():
            return "nobody listens on its socket"
        case TimeoutError():
            return f"nothing came within {SECONDS_MAX:g} s"
        case OSError(strerror=str(text)):
            return text
    return str(error) or type(error).__name__


def _refused(status: Any) -> FabricError:
    return ApiError(str(status.get("message", "the API server refuses")))
