"""How large a cluster is, in what Linux limits: neighbours, ports, namespaces. Arithmetic only."""

from __future__ import annotations

from dataclasses import dataclass

from fabric.topology.addressing import routed
from fabric.topology.segments import Segment, segments
from fabric.topology.underlay import CONTROL_PLANE
from fabric.topology.wiring import Wiring

BRIDGE_PORTS_MAX = 1024
"""BR_MAX_PORTS of the kernel."""
NEIGHBORS_PER_POD_MIN, NEIGHBORS_PER_POD = 2, 4
"""A pod and its node know each other; pods on a bridge know those that they talk to, too."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a cluster takes."""

    hosts: int
    """Namespaces besides those of pods."""
    pods: int
    ports: int
    """Of the bridge that has the most."""
    mesh: int
    """ARP entries of nodes and routers for each other, when all of them talk."""
    neighbors: int
    """ARP entries that there may be at once: a mesh of each segment's nodes, and each pod with those it talks
    to. The entries that Flannel writes for its VTEPs are permanent, and Linux does not count them."""

    @classmethod
    def flat(cls, nodes: int, pods: int) -> Size:
        """A cluster whose nodes are all on one switch."""
        ports = max(nodes + 1, _most_pods(nodes, pods))
        mesh = nodes * (nodes - 1)
        return cls(nodes + 2, pods, ports, mesh, mesh + NEIGHBORS_PER_POD * pods)

    def neighbors_min(self, network: int) -> int:
        """ARP entries without which it cannot work, `network` of them the pod network's own."""
        return max(network, self.mesh) + NEIGHBORS_PER_POD_MIN * self.pods

    @classmethod
    def of(cls, wiring: Wiring, pods: int) -> Size:
        """A cluster on that graph."""
        nodes = len(wiring.of_role("host")) - 1
        mesh = sum(map(_mesh, segments(wiring))) + 2 * len(list(routed(wiring)))
        bridges = [_bridged(wiring, it.name) for it in wiring.of_role("switch", "router")]
        return cls(
            hosts=len(wiring.devices),
            pods=pods,
            ports=max(*bridges, _most_pods(nodes, pods)),
            mesh=mesh,
            neighbors=mesh + NEIGHBORS_PER_POD * pods,
        )


def _mesh(segment: Segment) -> int:
    """Entries of nodes for each other, and between them and their routers."""
    nodes = len([host for host in segment.hosts if host != CONTROL_PLANE])
    return nodes * (nodes - 1) + 2 * nodes * len(segment.routers)


def _bridged(wiring: Wiring, name: str) -> int:
    is_switch = wiring.device(name).role == "switch"
    return len(wiring.links_of(name)) if is_switch else len(wiring.neighbors(name, "host"))


def _most_pods(nodes: int, pods: int) -> int:
    return -(-pods // nodes) if nodes else 0
