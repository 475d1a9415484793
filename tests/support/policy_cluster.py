"""A real cluster of namespaces x, y, z with pods a, b, c, as cyclonus has it, on which policies are tried.

Each pod serves ports 80 and 81 of TCP and UDP under names such as serve-80-tcp. Changes are followed by
`settle`: when a fence tells that they are in force, all pods ask all pods by all ports, and what arrives must
be what the oracles say of the objects as they were written.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calico.policy.evaluator import CalicoEvaluator
from fabric.api.objects import key_of, uid_of
from fabric.cluster.lookup import need_spec
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.runtimes import host_pids, sandbox_pids
from fabric.kernel.namespaces import inside
from fabric.plugin.policies import Endpoint, World, group_of
from fabric.policy import worlds
from fabric.policy.kubernetes import KubernetesEvaluator
from fabric.policy.predicted import flow_to
from fabric.verify.matrix import Port
from fabric.verify.probes import Job
from support import policy_fence
from support.clusters import Cluster
from support.policy_fence import PolicyFence
from support.policy_objects import PODS, PORTS, SPACES, Object, filled, namespace, path_of, serving
from support.policy_probes import PolicyProbes
from support.unix_api import UnixApi

SECONDS_MAX = 60.0
_KINDS = {"v1": ["Namespace", "Pod", "ServiceAccount"], "projectcalico.org/v3": ["Tier", "IPPool"]}
_GIVEN = tuple((version, kind) for version, given in _KINDS.items() for kind in given)
"""Kinds of which objects are there before a test writes any."""
TRIES_MORE = 2
"""How often cells are asked again that are not as expected."""
LONE_TRIES = 10
"""How often a probe is sent before it counts as denied, where nothing else tells how slow the machine is."""
_CALICO = ("NetworkPolicy", "GlobalNetworkPolicy", "HostEndpoint")
"""Kinds by which packets go otherwise than Kubernetes' policies say."""
_Place = tuple[Endpoint, Endpoint, Port]
_Way = tuple[str, str, Port]


class PolicyCluster:
    """The cluster, the objects as a test wrote them, and what its last `settle` found."""

    def __init__(self, cluster: Cluster, flavour: str) -> None:
        self.cluster, self.flavour = cluster, flavour
        """Of the nodes' iptables: `nft` or `legacy`."""
        self.paths = ClusterPaths(cluster.name)
        self.api, self.probes = UnixApi(self.paths.api_socket), PolicyProbes()
        self.arrived: set[_Way] = set()
        """What arrived when all pods asked all, by source, destination and port."""
        self._fence = PolicyFence(self.api, self.probes, self._tcp)
        self._has_labelled = False
        """True when labels were changed since the last settling: the fence then changes some too."""
        self._nodes = self._listed("v1", "Node")
        self._objects = {path_of(it): it for given in _GIVEN for it in self._listed(*given)}
        self._look_for_sources()
        self._at_first = dict(self._objects)

    @classmethod
    @contextmanager
    def running(cls, folder: Path, network: Object, flavour: str = "nft") -> Iterator[PolicyCluster]:
        """A cluster of two nodes with that `network` section, up while the body runs."""
        fence = [
            serving(name, f"node-{number}", labels={}) for number, name in enumerate(policy_fence.PODS, 1)
        ]
        manifests = [*map(namespace, (*SPACES, "fence")), *map(serving, PODS), *fence]
        cluster = Cluster(folder, network=network, pods=manifests)
        try:
            cluster.up(environment={"FABRIC_IPTABLES": flavour})
            found = cls(cluster, flavour)
            try:
                yield found
            finally:
                found.probes.close()
                found.api.close()
        finally:
            cluster.close()
        assert cluster.leftovers() == []

    def put(self, *objects: Object) -> None:
        """Create each object, or replace the one of its name; texts as `{x/a}/24` are filled in."""
        for given in objects:
            obj = filled(given, self.address)
            path, metadata = path_of(obj), obj["metadata"]
            if path in self._objects:
                version = self.api.ask("GET", path)["metadata"]["resourceVersion"]
                self.api.ask("PUT", path, {**obj, "metadata": {**metadata, "resourceVersion": version}})
            else:
                self.api.ask("POST", path_of(obj, name=False), obj)
            self._objects[path] = obj

    def delete(self, *objects: Object) -> None:
        for obj in objects:
            self.api.ask("DELETE", path_of(obj))
            del self._objects[path_of(obj)]

    def label(self, name: str, labels: Mapping[str, str | None]) -> None:
        """Set labels of the pod `x/a` or of the namespace `x`; None takes one away."""
        path = _path(name)
        found = self.api.ask("PATCH", path, {"metadata": {"labels": labels}})
        self._has_labelled = True
        kind = "Pod" if "/" in name else "Namespace"
        self._objects[path] = {**found, "apiVersion": "v1", "kind": kind}

    def add_pod(self, name: str, **options: Any) -> None:
        """Run a pod with these options of `serving`, and return when it runs."""
        made = serving(name, **options)
        path = path_of(made)
        self.api.ask("POST", path_of(made, name=False), made)

        def running() -> Object | None:
            found: Object = self.api.ask("GET", path)
            return found if (found.get("status") or {}).get("phase") == "Running" else None

        found = awaited(running, f"pod {name} does not run")
        self._objects[path] = {**found, "apiVersion": "v1", "kind": "Pod"}
        self._look_for_sources()

    def delete_pod(self, name: str) -> None:
        """Delete a pod, and return when it is gone."""
        path = _path(name)
        self.api.ask("DELETE", path, {"gracePeriodSeconds": 0})
        del self._objects[path]
        awaited(lambda: path not in map(path_of, self._listed("v1", "Pod")), f"pod {name} does not go")

    def await_completion(self, name: str) -> None:
        """Return when a pod has completed: its object stays, and it is no endpoint any more."""

        def completed() -> bool:
            found = self.api.ask("GET", _path(name))
            self._objects[_path(name)] = {**found, "apiVersion": "v1", "kind": "Pod"}
            return name not in self.pods

        awaited(completed, f"pod {name} does not complete")

    def reset(self) -> None:
        """Take back all that was written since the beginning."""
        for path, obj in reversed(list(self._objects.items())):
            before = self._at_first.get(path)
            if before is None:
                self.delete_pod(_name(obj)) if obj["kind"] == "Pod" else self.delete(obj)
            elif before is not obj:
                labels = before["metadata"].get("labels", {})
                gone = dict.fromkeys(obj["metadata"].get("labels", {}).keys() - labels.keys())
                self.label(_name(obj), {**gone, **labels})
                self._objects[path] = before
        for path, before in list(self._at_first.items()):
            if path not in self._objects:
                self.add_pod(_name(before))
                self._at_first[path] = self._objects[path]

    @property
    def pods(self) -> tuple[str, ...]:
        """Pods of the namespaces x, y and z, whatever a test made of them."""
        return tuple(name for it in self.world().pods if (name := str(it)) not in policy_fence.PODS)

    def address(self, name: str) -> str:
        """The address of a pod, or of `node/node-1`."""
        return self._addresses[name]

    def node_of(self, name: str) -> str:
        """The node that a pod runs on."""
        return next(it.node for it in self.world().pods if str(it) == name)

    def pid(self, name: str) -> int:
        """A process in the namespace of a pod, or of `node/node-1`."""
        return self.probes.pids[self._sources[name]]

    def source(self, name: str) -> str:
        """The name by which probes from a pod, or from `node/node-1`, are asked for."""
        return self._sources[name]

    def source_address(self, source: str, target: str) -> str:
        """The address from which one of these sends to another."""
        with inside(self.pid(source)), socket.socket(type=socket.SOCK_DGRAM) as opened:
            opened.connect((self.address(target), 80))
            return str(opened.getsockname()[0])

    def world(self) -> World:
        """The world as a test wrote it: nothing of it was read back from the cluster but addresses."""
        return worlds.of_cluster([*self._nodes, *self._objects.values()])

    def settle(self) -> None:
        """Wait until all that was written is in force; what then arrives must be what the oracles say."""
        fence = self._fence.change(labels=self._has_labelled)
        self._has_labelled = False
        world = self.world()
        ends = [it for it in world.pods if it.namespace in SPACES]
        places = [(source, target, port) for source in ends for target in ends for port in PORTS]
        allowed = _allowed(world, places)
        awaited(lambda: self._fence.is_in_force(fence), "the fence policy is not in force")
        self.arrived = self._confirmed({self._job(*it): it for it in places}, allowed)

    def arrives(self, source: str, target: str, port: Port = PORTS[0]) -> bool:
        """Whether a packet from a pod, or `node/node-1`, arrives at another of these or at an address."""
        return bool(self.arriving([(source, target, port)]))

    def arriving(self, ways: Iterable[_Way]) -> list[_Way]:
        """The ways of a source, a target and a port that `arrives` is true of, asked at once."""
        jobs = {
            Job(self._sources[source], self._addresses.get(target, target), port.protocol, port.number): way
            for way in ways
            for source, target, port in [way]
        }
        found: set[Job] = set()
        for _ in range(LONE_TRIES):
            found |= self.probes.arrived(jobs.keys() - found)
        return [way for job, way in jobs.items() if job in found]

    def sources(self, target: str, number: int = 80, protocol: str = "tcp") -> str:
        """The pods but itself that reached the target when all asked all, by their names."""
        found = {it[0] for it in self.arrived if it[1:] == (target, Port(protocol, number))}
        return " ".join(sorted(found - {target}))

    def targets(self, source: str, number: int = 80, protocol: str = "tcp") -> str:
        """The pods but itself that the source reached when all asked all, by their names."""
        found = {it[1] for it in self.arrived if (it[0], it[2]) == (source, Port(protocol, number))}
        return " ".join(sorted(found - {source}))

    def _confirmed(self, jobs: Mapping[Job, _Place], allowed: AbstractSet[_Place]) -> set[_Way]:
        """Ask all, and again where packets do not do as expected; AssertionError tells all that differ."""
        expected = {job for job, place in jobs.items() if place in allowed}
        arrived = self.probes.arrived(jobs, expected)
        for _ in range(TRIES_MORE):
            if wrong := arrived ^ expected:
                arrived = (arrived - wrong) | self.probes.arrived(wrong, wrong & expected)
        ways = {False: "does not arrive", True: "arrives"}
        told = sorted(f"{_way(jobs[it])} {ways[it in arrived]}" for it in arrived ^ expected)
        assert not told, f"{len(told)} of {len(jobs)} are not as the oracle says:\n" + "\n".join(told)
        return {(str(source), str(target), port) for source, target, port in (jobs[it] for it in arrived)}

    def _job(self, source: Endpoint, target: Endpoint, port: Port) -> Job:
        return Job(self._sources[str(source)], str(target.addresses[0]), port.protocol, port.number)

    def _tcp(self, source: str, target: str, number: int) -> Job:
        return Job(self._sources[source], self.address(target), "tcp", number)

    def _listed(self, version: str, kind: str) -> list[Object]:
        path = path_of({"apiVersion": version, "kind": kind, "metadata": {"name": ""}}, name=False)
        return [{**it, "apiVersion": version, "kind": kind} for it in self.api.ask("GET", path)["items"]]

    def _look_for_sources(self) -> None:
        """Find the namespaces of pods and nodes: a pod that comes again under its name is another source."""

        async def pids() -> dict[str, int]:
            workers = need_spec(self.paths).workers
            return await host_pids(self.paths, workers) | await sandbox_pids(self.paths, workers)

        self.probes.pids.update(asyncio.run(pids()))
        self._sources = {str(key_of(it)): uid_of(it) for it in self._objects.values() if it["kind"] == "Pod"}
        self._sources |= {f"node/{(name := it['metadata']['name'])}": name for it in self._nodes}
        world = self.world()
        self._addresses = {str(it): str(it.addresses[0]) for it in world.endpoints}


def awaited(condition: Callable[[], Any], otherwise: str, seconds_max: float = SECONDS_MAX) -> Any:
    """Return the first true value of a condition; after a time AssertionError says `otherwise`."""
    deadline = time.monotonic() + seconds_max
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{otherwise} after {seconds_max:g} s"
        time.sleep(0.005)
    return found


def _path(name: str) -> str:
    """The place in the API of the pod `x/a`, or of the namespace `x`."""
    space, slash, short = name.partition("/")
    return f"/api/v1/namespaces/{space}" + f"/pods/{short}" * bool(slash)


def _name(obj: Object) -> str:
    """The name of a pod or namespace: `x/a`, `x`."""
    return "/".join(filter(None, (obj["metadata"].get("namespace"), obj["metadata"]["name"])))


def _way(place: _Place) -> str:
    return "{} -> {} {}".format(*place)


def _allowed(world: World, places: Iterable[_Place]) -> set[_Place]:
    """The places that policies allow: as both oracles say, where only Kubernetes' policies are there."""
    wanted = list(places)
    calico = CalicoEvaluator(world)
    found = {it for it in wanted if calico.judge(flow_to(*it)).allowed}
    if not any(it["kind"] in _CALICO for it in world.objects if group_of(it) == "projectcalico.org"):
        kubernetes = KubernetesEvaluator(world)
        differ = found ^ {it for it in wanted if kubernetes.judge(flow_to(*it)).allowed}
        assert not differ, f"the oracles differ: {', '.join(map(_way, differ))}"
    return found
