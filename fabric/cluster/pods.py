"""Finding a pod of a running cluster: its object, its node, its containers, its logs."""

from __future__ import annotations

import difflib
from pathlib import Path

from fabric.api import kinds
from fabric.api.objects import Object, key_of, uid_of
from fabric.cluster import question
from fabric.cluster import spec as specs
from fabric.cluster.hosts import wanted_hosts
from fabric.cluster.places import Places
from fabric.cluster.spec import ClusterSpec
from fabric.errors import BadInput, FabricError, NotFound, Problem


def need_spec(places: Places) -> ClusterSpec:
    """The cluster's spec; FabricError when nothing but ruins is left of it."""
    spec = specs.read(places.spec)
    if spec is None:
        raise FabricError(
            f"cluster {places.cluster} is not running; remove what is left: fabric down {places.cluster}"
        )
    return spec


def worker_of(places: Places, host: str, *, at: str = "--node") -> int:
    """The worker whose runtime runs that node (or the switch, …).

    BadInput names those there are, and the argument `at` which this one was given.
    """
    hosts = wanted_hosts(need_spec(places))
    if host not in hosts:
        raise BadInput(Problem(at, f"no node {host!r}; there: {', '.join(sorted(hosts))}"))
    return hosts[host]


def need_pod(places: Places, name: str, namespace: str) -> Object:
    """The pod; FabricError names pods with a similar name."""
    try:
        return question.get(places, kinds.POD, name, namespace)
    except NotFound:
        there = [key_of(pod) for pod in question.every(places, kinds.POD)]
        here = [key.name for key in there if key.namespace == namespace]
        elsewhere = [str(key) for key in there if key.name == name]
        close = elsewhere or difflib.get_close_matches(name, here, 3, 0.4)
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        raise FabricError(f"no pod {name!r} in namespace {namespace!r}{hint}") from None


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


def log_folder(places: Places, pod: Object, container: str) -> Path:
    """Where the logs of a container lie, one file a start."""
    if not pod["spec"].get("nodeName"):
        raise FabricError(f"pod {pod['metadata']['name']} is not scheduled yet: it has no logs")
    key = key_of(pod)
    logs = places.node(pod["spec"]["nodeName"]) / "var/log/pods"
    return logs / f"{key.namespace}_{key.name}_{uid_of(pod)}" / container
