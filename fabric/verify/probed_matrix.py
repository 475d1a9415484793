"""A matrix is probed on a running cluster: pods, nodes, the control plane ask each other, and addresses."""

from __future__ import annotations

import asyncio
import difflib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from fabric.api import kinds
from fabric.api.objects import Object, key_of, uid_of
from fabric.cluster import lookup
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.runtimes import host_pids, sandbox_pids
from fabric.cluster.spec import ClusterSpec
from fabric.errors import BadInput, Problem
from fabric.topology.underlay import CONTROL_PLANE
from fabric.topology.wiring import natural
from fabric.verify import birds
from fabric.verify.matrix import Cell, Matrix, Place, Port
from fabric.verify.probes import PATIENCE, Answer, Job, Patience
from fabric.verify.probing import ask_all

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A pod, a node or the control plane, as rows and columns of a matrix name it."""

    name: str
    pid: int
    """A process in its network namespace."""
    addresses: tuple[str, ...]
    """One of each family at most is asked: the first."""

    def address(self, version: int) -> str | None:
        return next((it for it in self.addresses if (6 if ":" in it else 4) == version), None)


async def endpoints(paths: ClusterPaths, spec: ClusterSpec) -> tuple[Endpoint, ...]:
    """Return all that run: pods first, then nodes, then the control plane, each in natural order.

    A pod of the host's network is asked from, and at, its node's namespace and address.
    """
    sandboxes, hosts = await sandbox_pids(paths, spec.workers), await host_pids(paths, spec.workers)
    pods, nodes = await asyncio.gather(
        asyncio.to_thread(lookup.every, paths, kinds.POD), asyncio.to_thread(lookup.every, paths, kinds.NODE)
    )
    found = [_pod(it, sandboxes) for it in pods if _has_address(it) and uid_of(it) in sandboxes]
    found.sort(key=lambda it: natural(it.name))
    machines = [_node(it, hosts) for it in nodes if it["metadata"]["name"] in hosts]
    found += sorted(machines, key=lambda it: natural(it.name))
    own = [str(it) for it, host in birds.hosts_by_address(spec).items() if host == CONTROL_PLANE]
    if CONTROL_PLANE in hosts:
        found.append(Endpoint(CONTROL_PLANE, hosts[CONTROL_PLANE], tuple(own)))
    return tuple(found)


async def probe_matrix(
    known: Sequence[Endpoint],
    sources: Sequence[str],
    destinations: Sequence[str],
    ports: Sequence[Port],
    *,
    patience: Patience = PATIENCE,
    progress: Progress = lambda done, total: None,
) -> Matrix:
    """Ask every source for every destination by every port; BadInput names what is not known and no address.

    A destination that has no address of a port's family is not asked by it.
    """
    by_name = {it.name: it for it in known}
    pids = {name: _need(by_name, name, "source").pid for name in sources}
    places: list[Place] = []
    jobs: list[Job] = []
    for destination in destinations:
        for port in ports:
            address = _address(by_name, destination, port.version)
            for source in sources if address is not None else ():
                places.append((source, destination, port))
                jobs.append(Job(source, address or "", port.protocol, port.number))
    answers = await _asked(pids, jobs, patience, lambda done: progress(done, len(jobs)))
    cells = {place: Cell.of(job, answer) for place, job, answer in zip(places, jobs, answers, strict=True)}
    return Matrix(tuple(sources), tuple(destinations), tuple(ports), cells)


async def _asked(
    pids: Mapping[str, int], jobs: Iterable[Job], patience: Patience, progress: Callable[[int], None]
) -> list[Answer]:
    """Ask in a thread, which ends before this does, also when it is cancelled."""
    stopped = threading.Event()
    asking = asyncio.ensure_future(
        asyncio.to_thread(ask_all, pids, jobs, patience, progress=progress, is_stopped=stopped.is_set)
    )
    try:
        return await asyncio.shield(asking)
    finally:
        stopped.set()
        await asyncio.wait([asking])


def _has_address(pod: Object) -> bool:
    status = pod.get("status") or {}
    return status.get("phase") == "Running" and bool(status.get("podIP"))


def _pod(pod: Object, pids: Mapping[str, int]) -> Endpoint:
    status = pod["status"]
    addresses = [it["ip"] for it in status.get("podIPs") or ({"ip": status["podIP"]},)]
    return Endpoint(str(key_of(pod)), pids[uid_of(pod)], tuple(addresses))


def _node(node: Object, pids: Mapping[str, int]) -> Endpoint:
    name = node["metadata"]["name"]
    told = (node.get("status") or {}).get("addresses") or ()
    return Endpoint(
        f"node/{name}", pids[name], tuple(it["address"] for it in told if it["type"] == "InternalIP")
    )


def _need(known: Mapping[str, Endpoint], name: str, at: str) -> Endpoint:
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, 3)
    hint = f"did you mean {', '.join(close)}?" if close else f"there: {', '.join(known) or 'none'}"
    raise BadInput(Problem(at, f"no pod, node or control plane {name!r} runs; {hint}"))


def _address(known: Mapping[str, Endpoint], name: str, version: int) -> str | None:
    try:
        given = ip_address(name)
    except ValueError:
        return _need(known, name, "destination").address(version)
    return str(given) if given.version == version else None
