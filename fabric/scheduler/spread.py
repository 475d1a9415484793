"""Topology spread: matching pods of a namespace, counted by domain, may differ by `maxSkew`.

DoNotSchedule filters, ScheduleAnyway scores. Domains are those of the nodes that the pod's
node affinity allows; the skew is counted from the one with the fewest (the global minimum).
"""

from __future__ import annotations

from collections.abc import Sequence

from fabric.api.taints import first_untolerated
from fabric.scheduler.framework import ClusterState, Filter, NodeInfo, Reasons, least_is_best
from fabric.scheduler.podinfo import PodInfo
from fabric.scheduler.podterms import SpreadConstraint

SKEWED = ("node(s) didn't match pod topology spread constraints",)
NO_LABEL = ("node(s) didn't match pod topology spread constraints (missing required label)",)


def topology_spread(pod: PodInfo, cluster: ClusterState) -> Filter | None:
    hard = [constraint for constraint in pod.spread if constraint.hard]
    if not hard:
        return None
    limits = [(c, *_counts_and_limit(c, hard, pod, cluster)) for c in hard]

    def filter_node(node: NodeInfo) -> Reasons:
        for constraint, counts, limit in limits:
            domain = node.labels.get(constraint.topology_key)
            if domain is None:
                return NO_LABEL
            if counts.get(domain, 0) > limit:
                return SKEWED
        return ()

    return filter_node


def preferred_spread(
    pod: PodInfo, cluster: ClusterState, nodes: Sequence[NodeInfo]
) -> Sequence[float] | None:
    """Fewer matching pods in the node's domain are better; a node without the label counts as the fullest."""
    soft = [constraint for constraint in pod.spread if not constraint.hard]
    if not soft:
        return None
    raw = [0.0] * len(nodes)
    for constraint in soft:
        counts = _counts(constraint, soft, pod, cluster)
        fullest = max(counts.values(), default=0)
        for i, node in enumerate(nodes):
            raw[i] += counts.get(node.labels.get(constraint.topology_key, ""), fullest)
    emptiest = min(raw)
    return least_is_best([value - emptiest for value in raw])


def _counts_and_limit(
    constraint: SpreadConstraint,
    same_strength: Sequence[SpreadConstraint],
    pod: PodInfo,
    cluster: ClusterState,
) -> tuple[dict[str, int], int]:
    """Pods by domain, and the most that a domain may have for this pod to join it."""
    counts = _counts(constraint, same_strength, pod, cluster)
    least = min(counts.values(), default=0) if len(counts) >= constraint.min_domains else 0
    joins = constraint.selector.matches(pod.labels)  # if so, the pod itself is one more in its domain
    return counts, least + constraint.max_skew - joins


def _counts(
    constraint: SpreadConstraint,
    same_strength: Sequence[SpreadConstraint],
    pod: PodInfo,
    cluster: ClusterState,
) -> dict[str, int]:
    """Matching pods by domain, of the nodes that count: those with the labels of all constraints."""
    keys = [c.topology_key for c in same_strength]
    counts: dict[str, int] = {}
    for node in cluster.nodes():
        if all(key in node.labels for key in keys) and _counts_for(constraint, pod, node):
            domain = node.labels[constraint.topology_key]
            counts[domain] = counts.get(domain, 0) + _matching(constraint, pod.key.namespace, node)
    return counts


def _counts_for(constraint: SpreadConstraint, pod: PodInfo, node: NodeInfo) -> bool:
    if constraint.honor_affinity and not pod.nodes.matches(node.name, node.labels):
        return False
    return not constraint.honor_taints or first_untolerated(node.taints, pod.tolerations) is None


def _matching(constraint: SpreadConstraint, namespace: str, node: NodeInfo) -> int:
    return sum(
        count
        for pods, count in node.pod_groups.items()
        if pods.namespace == namespace
        and not pods.deleting
        and constraint.selector.matches(dict(pods.labels))
    )
