"""The placement of a pod: of the nodes that no filter refuses, the best by weighted score. Pure.

The tables below are kube-scheduler's default plugins, in its order and with its weights. Of
equal nodes the one with the fewest pods is taken, then the first that came: the same state gives the
same answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fabric.scheduler import interpod, nodefit, spread
from fabric.scheduler.framework import ClusterState, Filter, NodeInfo, PreFilter, Reasons, Score
from fabric.scheduler.podinfo import PodInfo

FILTERS: tuple[PreFilter, ...] = (
    nodefit.node_unschedulable,
    nodefit.node_name,
    nodefit.taint_toleration,
    nodefit.node_affinity,
    nodefit.node_ports,
    nodefit.node_resources,
    spread.topology_spread,
    interpod.inter_pod_affinity,
)
SCORES: tuple[tuple[Score, float], ...] = (
    (nodefit.preferred_taints, 3.0),
    (nodefit.preferred_nodes, 2.0),
    (nodefit.least_allocated, 1.0),
    (nodefit.balanced_allocation, 1.0),
    (spread.preferred_spread, 2.0),
    (interpod.preferred_pods, 2.0),
)


@dataclass(frozen=True, slots=True)
class Placement:
    """The node's name, or (empty) a message that says why there is none."""

    node: str
    message: str = ""


def place(pod: PodInfo, cluster: ClusterState) -> Placement:
    """Choose the pod's node."""
    if pod.problem:
        return Placement("", pod.problem)
    nodes = cluster.nodes()
    if not nodes:
        return Placement("", "no nodes available to schedule pods")
    filters = _filters(pod, cluster)
    fitting: list[NodeInfo] = []
    reasons: Counter[str] = Counter()
    for node in nodes:
        why = _first_reasons(filters, node)
        if why:
            reasons.update(why)
        else:
            fitting.append(node)
    if not fitting:
        return Placement("", _refusal(len(nodes), reasons))
    return Placement(_best(pod, cluster, fitting).name)


def feasible(pod: PodInfo, node: NodeInfo, cluster: ClusterState) -> Reasons:
    """Why the pod may not go to the node; empty when it may."""
    return _first_reasons(_filters(pod, cluster), node)


def scores(pod: PodInfo, cluster: ClusterState, nodes: Sequence[NodeInfo]) -> list[float]:
    """The weighted sum of all scores for each node; more is better."""
    totals = [0.0] * len(nodes)
    for score, weight in SCORES:
        values = score(pod, cluster, nodes)
        if values is not None:
            totals = [total + weight * value for total, value in zip(totals, values, strict=True)]
    return totals


def _filters(pod: PodInfo, cluster: ClusterState) -> list[Filter]:
    return [found for plugin in FILTERS if (found := plugin(pod, cluster))]


def _first_reasons(filters: Sequence[Filter], node: NodeInfo) -> Reasons:
    for filter_node in filters:
        why = filter_node(node)
        if why:
            return why
    return ()


def _best(pod: PodInfo, cluster: ClusterState, nodes: Sequence[NodeInfo]) -> NodeInfo:
    if len(nodes) == 1:
        return nodes[0]
    totals = scores(pod, cluster, nodes)
    return nodes[max(range(len(nodes)), key=lambda i: (round(totals[i], 6), -len(nodes[i].pods), -i))]


def _refusal(nodes: int, reasons: Counter[str]) -> str:
    parts = sorted(f"{count} {reason}" for reason, count in reasons.items())
    return f"0/{nodes} nodes are available: {', '.join(parts)}."
