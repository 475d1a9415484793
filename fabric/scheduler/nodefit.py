"""Filters and scores of a node by itself: its name, cordon, taints, labels, free ports and free resources."""

from __future__ import annotations

from collections.abc import Sequence

from fabric.api.resources import CPU, MEMORY
from fabric.api.taints import PREFERRING, UNSCHEDULABLE, first_untolerated
from fabric.scheduler.framework import (
    SCORE_MAX,
    ClusterState,
    Filter,
    NodeInfo,
    Reasons,
    least_is_best,
    most_is_best,
)
from fabric.scheduler.podinfo import PodInfo

OTHER_NODE = ("node(s) didn't match the requested node name",)
CORDONED = ("node(s) were unschedulable",)
NO_AFFINITY = ("node(s) didn't match Pod's node affinity/selector",)
NO_PORTS = ("node(s) didn't have free ports for the requested pod ports",)
TOO_MANY_PODS = "Too many pods"


def node_unschedulable(pod: PodInfo, cluster: ClusterState) -> Filter | None:
    if first_untolerated((UNSCHEDULABLE,), pod.tolerations) is None:
        return None
    return lambda node: CORDONED if node.unschedulable else ()


def node_name(pod: PodInfo, cluster: ClusterState) -> Filter | None:
    return (lambda node: () if node.name == pod.node else OTHER_NODE) if pod.node else None


def taint_toleration(pod: PodInfo, cluster: ClusterState) -> Filter | None:
    def filter_node(node: NodeInfo) -> Reasons:
        taint = first_untolerated(node.taints, pod.tolerations)
        return (f"node(s) had untolerated taint {taint}",) if taint else ()

    return filter_node


def node_affinity(pod: PodInfo, cluster: ClusterState) -> Filter | None:
    if pod.nodes.is_open:
        return None
    return lambda node: () if pod.nodes.matches(node.name, node.labels) else NO_AFFINITY


def node_ports(pod: PodInfo, cluster: ClusterState) -> Filter | None:
    if not pod.ports:
        return None

    def filter_node(node: NodeInfo) -> Reasons:
        taken = [port for other in node.pods.values() for port in other.ports]
        return NO_PORTS if any(want.conflicts(port) for want in pod.ports for port in taken) else ()

    return filter_node


def node_resources(pod: PodInfo, cluster: ClusterState) -> Filter | None:
    wanted = [(name, amount) for name, amount in pod.requests.items() if amount]

    def filter_node(node: NodeInfo) -> Reasons:
        full = (TOO_MANY_PODS,) if node.room_for_pods < 1 else ()
        has, used = node.allocatable, node.requested
        short = [f"Insufficient {n}" for n, amount in wanted if has.get(n, 0) - used.get(n, 0) < amount]
        return (*full, *short) if short else full

    return filter_node


def least_allocated(pod: PodInfo, cluster: ClusterState, nodes: Sequence[NodeInfo]) -> Sequence[float]:
    """The share of CPU and memory that would stay free, averaged."""
    return [SCORE_MAX * (1 - sum(_shares(pod, node)) / 2) for node in nodes]


def balanced_allocation(pod: PodInfo, cluster: ClusterState, nodes: Sequence[NodeInfo]) -> Sequence[float]:
    """Nodes whose used shares of CPU and of memory would be near to each other are better."""
    pairs = (_shares(pod, node) for node in nodes)
    return [SCORE_MAX * (1 - abs(cpu - memory) / 2) for cpu, memory in pairs]


def preferred_taints(
    pod: PodInfo, cluster: ClusterState, nodes: Sequence[NodeInfo]
) -> Sequence[float] | None:
    """Fewer untolerated PreferNoSchedule taints are better."""
    if not any(node.taints for node in nodes):
        return None
    return least_is_best([_untolerated_preferences(pod, node) for node in nodes])


def preferred_nodes(pod: PodInfo, cluster: ClusterState, nodes: Sequence[NodeInfo]) -> Sequence[float] | None:
    """The weights of preferred node affinity."""
    if not pod.nodes.preferred:
        return None
    return most_is_best([float(pod.nodes.preference(node.name, node.labels)) for node in nodes])


def _shares(pod: PodInfo, node: NodeInfo) -> tuple[float, float]:
    return _share(pod, node, CPU), _share(pod, node, MEMORY)


def _share(pod: PodInfo, node: NodeInfo, name: str) -> float:
    """The share of the node's resource that is used with the pod on it, at most 1."""
    has = node.allocatable.get(name, 0)
    return min(1.0, (node.scored.get(name, 0) + pod.scored_requests.get(name, 0)) / has) if has else 1.0


def _untolerated_preferences(pod: PodInfo, node: NodeInfo) -> float:
    one = ((taint,) for taint in node.taints)
    return float(sum(first_untolerated(taint, pod.tolerations, (PREFERRING,)) is not None for taint in one))
