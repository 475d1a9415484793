"""Pods that want to be near others, or away from them; a domain is one value of a node label.

Required terms filter and preferred ones score, in both directions: pods that are there have terms too.
The first pod of a group that wants to be near itself may go anywhere that has the label.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from fabric.scheduler.clusterstate import ClusterState, NodeInfo
from fabric.scheduler.plugin import Judge, Reasons, most_is_best
from fabric.scheduler.podinfo import PodInfo
from fabric.scheduler.podterms import PodTerm

NO_AFFINITY = ("node(s) didn't match pod affinity rules",)
ANTI_AFFINITY = ("node(s) didn't match pod anti-affinity rules",)
THEIR_ANTI_AFFINITY = ("node(s) didn't satisfy existing pods anti-affinity rules",)
HARD_AFFINITY_WEIGHT = 1

Domain = tuple[str, str]
"""A node label's key and value."""


def inter_pod_affinity(pod: PodInfo, cluster: ClusterState) -> Judge | None:
    forbidden_by_them = _forbidden_by_others(pod, cluster)
    near, away = pod.affinity.required, pod.anti_affinity.required
    if not (near or away or forbidden_by_them):
        return None
    wanted = _domains_of_matching(near, cluster, all_terms=True)
    forbidden = _domains_of_matching(away, cluster, all_terms=False)
    is_first = not wanted and all(_matches(term, pod, cluster) for term in near)

    def judge(node: NodeInfo) -> Reasons:
        if not all(_near(term, node, wanted, anywhere=is_first) for term in near):
            return NO_AFFINITY
        if any(_domain(term, node) in forbidden for term in away):
            return ANTI_AFFINITY
        if any((key, value) in forbidden_by_them for key, value in node.labels.items()):
            return THEIR_ANTI_AFFINITY
        return ()

    return judge


def preferred_pods(pod: PodInfo, cluster: ClusterState, nodes: Sequence[NodeInfo]) -> Sequence[float] | None:
    """Weights of preferred terms, the pod's own and those of pods that are there."""
    weights: defaultdict[Domain, int] = defaultdict(int)
    _add_own_weights(weights, pod, cluster)
    _add_their_weights(weights, pod, cluster)
    if not weights:
        return None
    return most_is_best([float(sum(weights.get(d, 0) for d in node.labels.items())) for node in nodes])


def _matches(term: PodTerm, pod: PodInfo, cluster: ClusterState) -> bool:
    return term.matches(pod.key.namespace, pod.labels, cluster.namespaces)


def _domain(term: PodTerm, node: NodeInfo | None) -> Domain | None:
    value = node.labels.get(term.topology_key) if node else None
    return None if value is None else (term.topology_key, value)


def _near(term: PodTerm, node: NodeInfo, wanted: set[Domain], *, anywhere: bool) -> bool:
    domain = _domain(term, node)
    return domain is not None and (anywhere or domain in wanted)


def _domains_of_matching(terms: Sequence[PodTerm], cluster: ClusterState, *, all_terms: bool) -> set[Domain]:
    """Where pods are that match all terms, or (each term for itself) any."""
    domains: set[Domain] = set()
    for other in cluster.pods() if terms else ():
        hits = [term for term in terms if _matches(term, other, cluster)]
        if hits and (not all_terms or len(hits) == len(terms)):
            node = cluster.node(other.node)
            domains.update(domain for term in hits if (domain := _domain(term, node)))
    return domains


def _forbidden_by_others(pod: PodInfo, cluster: ClusterState) -> set[Domain]:
    terms = ((other, term) for other in cluster.pods_with_terms() for term in other.anti_affinity.required)
    hits = ((other, term) for other, term in terms if _matches(term, pod, cluster))
    return {domain for other, term in hits if (domain := _domain(term, cluster.node(other.node)))}


def _add_own_weights(weights: defaultdict[Domain, int], pod: PodInfo, cluster: ClusterState) -> None:
    signed = [*((t, 1) for t in pod.affinity.preferred), *((t, -1) for t in pod.anti_affinity.preferred)]
    for other in cluster.pods() if signed else ():
        for term, sign in signed:
            domain = _domain(term, cluster.node(other.node))
            if domain and _matches(term, other, cluster):
                weights[domain] += sign * term.weight


def _add_their_weights(weights: defaultdict[Domain, int], pod: PodInfo, cluster: ClusterState) -> None:
    for other in cluster.pods_with_terms():
        for term, weight in _their_terms(other):
            domain = _domain(term, cluster.node(other.node))
            if domain and _matches(term, pod, cluster):
                weights[domain] += weight


def _their_terms(other: PodInfo) -> Iterable[tuple[PodTerm, int]]:
    yield from ((term, term.weight) for term in other.affinity.preferred)
    yield from ((term, HARD_AFFINITY_WEIGHT) for term in other.affinity.required)
    yield from ((term, -term.weight) for term in other.anti_affinity.preferred)
