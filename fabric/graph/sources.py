"""An underlay as a picture: of a file, as it would be; of a running cluster, with pods and sessions.

A session is what the BIRDs of its two ends say of it: it is up when every end that knows it says so. Over
each of two parallel links goes a session of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fabric.api import kinds
from fabric.api.objects import Object, annotations_of, key_of
from fabric.bird.client import BirdClient
from fabric.bird.protocols import Protocol
from fabric.bird.reasons import reason
from fabric.cluster import lookup
from fabric.cluster import spec as specs
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.spec import ClusterSpec
from fabric.cluster.underlay.hosts import wanted_hosts
from fabric.cluster.underlay.state import Underlay
from fabric.errors import FabricError
from fabric.graph.picture import Peering, Picture
from fabric.kubelet.noderegistration import DETAILS
from fabric.plugin import registry
from fabric.topology.addressing import port_name
from fabric.topology.model import Topology
from fabric.topology.wiring import Wiring, natural

AT_ONCE = 16
CLUSTER_ID = f"{DETAILS}route-reflector"
"""The annotation by which a node's agent tells that it is a route reflector."""


@dataclass(frozen=True, slots=True)
class View:
    """The state of a BGP session at one daemon."""

    here: str
    there: str
    link: int = 0
    """Of parallel links, the number of the one it goes over; 0 where there is one way."""
    up: bool = True
    why: str = ""


def of_file(topology: Topology) -> Picture:
    """Return what a file asks for: without pods, with the sessions of its routers and nodes."""
    spec = specs.choose(topology, None, api_port=0, workers=1)
    underlay = Underlay.of(spec)
    ports = _parallel(underlay.wiring)
    views = [
        View(name, it.name, ports.get((name, it.device), 0))
        for name, speaker in underlay.speakers.items()
        for it in speaker.neighbors
    ]
    names = owners(underlay)
    speakers = registry.load(spec.network.plugin).bgp_speakers(spec.network.config(), spec.all_facts())
    views += [
        View(name, *names.get(str(peer), (str(peer), 0)))
        for name, speaker in speakers.items()
        for peer in speaker.peers
    ]
    reflectors = {name: it.cluster_id for name, it in speakers.items() if it.cluster_id}
    return _picture(spec, underlay, {}, views, reflectors)


async def of_cluster(paths: ClusterPaths, spec: ClusterSpec) -> Picture:
    """Return a running cluster: pods as the API has them, sessions as the BIRDs say."""
    underlay = Underlay.of(spec)
    pods: dict[str, list[str]] = defaultdict(list)
    for pod in lookup.every(paths, kinds.POD):
        if node := pod["spec"].get("nodeName"):
            pods[node].append(_called(pod))
    told = {key_of(it).name: annotations_of(it).get(CLUSTER_ID) for it in lookup.every(paths, kinds.NODE)}
    reflectors = {name: cluster_id for name, cluster_id in told.items() if cluster_id}
    return _picture(spec, underlay, pods, await sessions(paths, spec, underlay), reflectors)


async def sessions(paths: ClusterPaths, spec: ClusterSpec, underlay: Underlay) -> list[View]:
    """Ask every BIRD of the cluster; one that does not answer has no view."""
    names = owners(underlay)
    turns = asyncio.Semaphore(AT_ONCE)

    async def ask(host: str, client: BirdClient) -> list[View]:
        async with turns:
            try:
                return list(_views(host, await client.protocols(), names))
            except FabricError:
                return []

    asked = [
        ask(host, BirdClient(socket, name=host))
        for host in wanted_hosts(spec)
        for socket in paths.node(host).glob("run/*/bird.ctl")
    ]
    return [view for views in await asyncio.gather(*asked) for view in views]


def owners(underlay: Underlay) -> dict[str, tuple[str, int]]:
    """Return the device that has each address of the underlay, and the number of its link, as in `View`."""
    given, links = underlay.addresses, _parallel(underlay.wiring)
    found = {str(it.ip): (name, 0) for name, it in (*given.hosts.items(), *given.loopbacks.items())}
    return found | {
        str(it.ip): (name, links.get((name, port), 0)) for (name, port), it in given.ports.items()
    }


def _parallel(wiring: Wiring) -> dict[tuple[str, str], int]:
    """Return the number of the link at each port (device, name), where it has others beside it."""
    pairs = Counter(frozenset((it.a, it.b)) for it in wiring.links)
    beside = [it for it in wiring.links if pairs[frozenset((it.a, it.b))] > 1]
    return {(name, port_name(wiring, it, name)): it.number for it in beside for name in (it.a, it.b)}


def _views(host: str, protocols: Sequence[Protocol], names: Mapping[str, tuple[str, int]]) -> Iterator[View]:
    for protocol in protocols:
        if protocol.bgp is not None and (address := protocol.bgp.neighbor_address):
            plain = address.partition("%")[0]
            there, link = names.get(plain, (plain, 0))
            yield View(host, there, link, protocol.bgp.is_established, reason(protocol))


def _picture(
    spec: ClusterSpec,
    underlay: Underlay,
    pods: Mapping[str, Sequence[str]],
    views: Iterable[View],
    reflectors: Mapping[str, str],
) -> Picture:
    given = underlay.addresses
    loopbacks = {name: str(it.ip) for name, it in given.loopbacks.items()}
    labels = loopbacks | {name: str(it) for name, it in given.hosts.items()}
    return Picture(underlay.wiring, pods, peerings(views), labels, spec.underlay.mtu, reflectors)


def peerings(views: Iterable[View]) -> list[Peering]:
    """Return one peering for each pair and link, in natural order."""
    found: dict[tuple[str, str, int], list[View]] = defaultdict(list)
    for view in views:
        a, b = sorted((view.here, view.there), key=natural)
        found[a, b, view.link].append(view)
    order = sorted(found.items(), key=lambda it: (natural(it[0][0]), natural(it[0][1]), it[0][2]))
    return [Peering(a, b, all(it.up for it in seen), _why(seen)) for (a, b, _), seen in order]


def _why(seen: Sequence[View]) -> str:
    ends = {it.why: it.here for it in seen if it.why}
    why = "; ".join(f"{here}: {why}" for why, here in ends.items()) if len(ends) > 1 else "".join(ends)
    return f"link {seen[0].link}: {why}" if why and seen[0].link else why


def _called(pod: Object) -> str:
    key = key_of(pod)
    return key.name if key.namespace == "default" else str(key)
