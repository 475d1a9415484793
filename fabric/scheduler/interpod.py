"""Pods that want to be near others, or away from them; a domain is one value of a node label.

Required terms filter and preferred ones score, in both directions: pods that are there have terms too.
The first pod of a group that wants to be near itself may go anywhere that has the label.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from fabric.scheduler.framework import ClusterState, Filter, NodeInfo, Reasons, most_is_best
from fabric.scheduler.podinfo import PodGroupKey, PodInfo
from fabric.scheduler.podterms import PodTerm, PodTerms

NO_AFFINITY = ("node(s) didn't match pod affinity rules",)
ANTI_AFFINITY = ("node(s) didn't match pod anti-affinity rules",)
THEIR_ANTI_AFFINITY = ("node(s) didn't satisfy existing pods anti-affinity rules",)
HARD_AFFINITY_WEIGHT = 1

Domain = tuple[str, str]
"""A node label's key and value."""


def inter_pod_affinity(pod: PodInfo, cluster: ClusterState) -> Filter | None:
    forbidden_by_them = _forbidden_by_others(pod, cluster)
    near, away = pod.affinity.required, pod.anti_affinity.required
    if not (near or away or forbidden_by_them):
        return None
    wanted = _domains_of_matching(near, cluster, all_terms=True)
    forbidden = _domains_of_matching(away, cluster, all_terms=False)
    is_first = not wanted and all(_matches(term, pod.group_key, cluster) for term in near)

    def filter_node(node: NodeInfo) -> Reasons:
        if not all(_near(term, node, wanted, anywhere=is_first) for term in near):
            return NO_AFFINITY
        if any(_domain(term, node) in forbidden for term in away):
            return ANTI_AFFINITY
        if any((key, value) in forbidden_by_them for key, value in node.labels.items()):
            return THEIR_ANTI_AFFINITY
        return ()

    return filter_node


def preferred_pods(pod: PodInfo, cluster: ClusterState, nodes: Sequence[NodeInfo]) -> Sequence[float] | None:
    """Weights of preferred terms, the pod's own and those of pods that are there."""
    weights: defaultdict[Domain, int] = defaultdict(int)
    _add_own_weights(weights, pod, cluster)
    _add_their_weights(weights, pod, cluster)
    if not weights:
        return None
    return most_is_best([float(sum(weights.get(d, 0) for d in node.labels.items())) for node in nodes])


def _matches(term: PodTerm, pods: PodGroupKey, cluster: ClusterState) -> bool:
    return term.matches(pods.namespace, dict(pods.labels), cluster.namespaces)


def _domain(term: PodTerm, node: NodeInfo) -> Domain | None:
    value = node.labels.get(term.topology_key)
    return None if value is None else (term.topology_key, value)


def _near(term: PodTerm, node: NodeInfo, wanted: set[Domain], *, anywhere: bool) -> bool:
    domain = _domain(term, node)
    return domain is not None and (anywhere or domain in wanted)


def _domains_of_matching(terms: Sequence[PodTerm], cluster: ClusterState, *, all_terms: bool) -> set[Domain]:
    """Return the domains with pods that match all terms, or (each term for itself) any."""
    domains: set[Domain] = set()
    for node in cluster.nodes() if terms else ():
        for pods in node.pod_groups:
            hits = [term for term in terms if _matches(term, pods, cluster)]
            if hits and (not all_terms or len(hits) == len(terms)):
                domains.update(domain for term in hits if (domain := _domain(term, node)))
    return domains


def _forbidden_by_others(pod: PodInfo, cluster: ClusterState) -> set[Domain]:
    return {
        domain
        for node in cluster.nodes_with_terms()
        for _, anti_affinity in node.terms
        for term in anti_affinity.required
        if (domain := _domain(term, node)) and _matches(term, pod.group_key, cluster)
    }


def _add_own_weights(weights: defaultdict[Domain, int], pod: PodInfo, cluster: ClusterState) -> None:
    signed = [*((t, 1) for t in pod.affinity.preferred), *((t, -1) for t in pod.anti_affinity.preferred)]
    for node in cluster.nodes() if signed else ():
        for pods, count in node.pod_groups.items():
            for term, sign in signed:
                domain = _domain(term, node)
                if domain and _matches(term, pods, cluster):
                    weights[domain] += sign * term.weight * count


def _add_their_weights(weights: defaultdict[Domain, int], pod: PodInfo, cluster: ClusterState) -> None:
    for node in cluster.nodes_with_terms():
        for (affinity, anti_affinity), count in node.terms.items():
            for term, weight in _weighed(affinity, anti_affinity):
                domain = _domain(term, node)
                if domain and _matches(term, pod.group_key, cluster):
                    weights[domain] += weight * count


def _weighed(affinity: PodTerms, anti_affinity: PodTerms) -> Iterable[tuple[PodTerm, int]]:
    yield from ((term, term.weight) for term in affinity.preferred)
    yield from ((term, HARD_AFFINITY_WEIGHT) for term in affinity.required)
    yield from ((term, -term.weight) for term in anti_affinity.preferred)
