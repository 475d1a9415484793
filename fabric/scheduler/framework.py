"""The scheduling framework: the nodes with their pods, and the shape of a plugin.

A pod that the scheduler has placed is *assumed*: it counts at once, until the watch confirms it or
its binding fails. A filter plugin looks at the pod once (PreFilter) and returns None when it has
nothing to say about it, else a filter of nodes: the reasons why the pod may not go to a node, in
kube-scheduler's words, or nothing. A score plugin returns None, or a number from 0 (worst) to 100
for each node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from fabric.api.objects import Key, Object, labels_of
from fabric.api.resources import PODS, Amounts, readable_amounts
from fabric.api.taints import Taint, taints_of
from fabric.scheduler.podinfo import PodGroupKey, PodInfo
from fabric.scheduler.podterms import PodTerms

T = TypeVar("T")
Terms = tuple[PodTerms, PodTerms]
"""Affinity and anti-affinity."""


@dataclass(slots=True)
class NodeInfo:
    """A node as the API describes it, and the pods that count on it with their sums."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False
    allocatable: Amounts = field(default_factory=dict)
    known: bool = False
    """False while only pods speak of the node."""
    pods: dict[Key, PodInfo] = field(default_factory=dict)
    requested: Amounts = field(default_factory=dict)
    scored: Amounts = field(default_factory=dict)
    pod_groups: Counter[PodGroupKey] = field(default_factory=Counter)
    """How many pods of each group: a thousand replicas are matched as one."""
    terms: Counter[Terms] = field(default_factory=Counter)
    """How many pods have these affinity and anti-affinity terms."""

    @property
    def room_for_pods(self) -> int:
        return self.allocatable.get(PODS, 0) - len(self.pods)

    def set_node(self, node: Object | None) -> bool:
        """Take over what the API says of the node; True when it matters to scheduling."""
        before = (self.labels, self.taints, self.unschedulable, self.allocatable, self.known)
        spec, status = (node or {}).get("spec") or {}, (node or {}).get("status") or {}
        self.known = node is not None
        self.labels = labels_of(node) if node else {}
        self.taints = taints_of(node) if node else ()
        self.unschedulable = bool(spec.get("unschedulable"))
        self.allocatable = readable_amounts(status.get("allocatable") or status.get("capacity"))
        return before != (self.labels, self.taints, self.unschedulable, self.allocatable, self.known)

    def add(self, pod: PodInfo) -> None:
        self.pods[pod.key] = pod
        self._count(pod, 1)

    def remove(self, key: Key) -> None:
        self._count(self.pods.pop(key), -1)

    def _count(self, pod: PodInfo, sign: int) -> None:
        _add(self.requested, pod.requests, sign)
        _add(self.scored, pod.scored_requests, sign)
        _tally(self.pod_groups, pod.group_key, sign)
        if pod.has_terms:
            _tally(self.terms, (pod.affinity, pod.anti_affinity), sign)


class ClusterState:
    """Nodes by name, placed pods by key, labels of namespaces."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeInfo] = {}
        self._pods: dict[Key, PodInfo] = {}
        self._assumed: set[Key] = set()
        self._with_terms: set[Key] = set()
        self.namespaces: dict[str, Mapping[str, str]] = {}

    def nodes(self) -> list[NodeInfo]:
        """The nodes of the API, in the order in which they came."""
        return [node for node in self._nodes.values() if node.known]

    def node(self, name: str) -> NodeInfo | None:
        node = self._nodes.get(name)
        return node if node and node.known else None

    def nodes_with_terms(self) -> list[NodeInfo]:
        """The nodes with pods that have affinity or anti-affinity of their own."""
        return [node for node in self.nodes() if node.terms] if self._with_terms else []

    def pod(self, key: Key) -> PodInfo | None:
        return self._pods.get(key)

    def set_node(self, name: str, node: Object | None) -> bool:
        """Take over a node, or its end (None); True when that can change where pods fit."""
        info = self._nodes.setdefault(name, NodeInfo(name))
        changed = info.set_node(node)
        if not info.known and not info.pods:
            del self._nodes[name]
        return changed

    def set_pod(self, pod: PodInfo) -> bool:
        """Take over a pod of the API; True when it now counts on a node. A pending one does not count."""
        old = self._pods.get(pod.key)
        if not pod.node:
            if old is not None and (old.uid != pod.uid or pod.key not in self._assumed):
                self.remove_pod(pod.key)
            return False
        self._assumed.discard(pod.key)
        if old == pod:
            return False
        self._put(pod)
        return True

    def assume(self, pod: PodInfo, node: str) -> None:
        """Count the pod on the node from now on."""
        self._put(pod.on(node))
        self._assumed.add(pod.key)

    def forget(self, pod: PodInfo) -> None:
        """Take back an assumption whose binding failed."""
        found = self._pods.get(pod.key)
        if found is not None and pod.key in self._assumed and found.uid == pod.uid:
            self.remove_pod(pod.key)

    def remove_pod(self, key: Key) -> bool:
        """Take out a pod; True when it counted."""
        self._assumed.discard(key)
        self._with_terms.discard(key)
        pod = self._pods.pop(key, None)
        if pod is None:
            return False
        node = self._nodes[pod.node]
        node.remove(key)
        if not node.known and not node.pods:
            del self._nodes[pod.node]
        return True

    def _put(self, pod: PodInfo) -> None:
        self.remove_pod(pod.key)
        self._pods[pod.key] = pod
        self._nodes.setdefault(pod.node, NodeInfo(pod.node)).add(pod)
        if pod.has_terms:
            self._with_terms.add(pod.key)


Reasons = tuple[str, ...]
Filter = Callable[[NodeInfo], Reasons]
PreFilter = Callable[[PodInfo, ClusterState], Filter | None]
Score = Callable[[PodInfo, ClusterState, Sequence[NodeInfo]], Sequence[float] | None]

SCORE_MAX = 100.0


def least_is_best(raw: Sequence[float]) -> Sequence[float] | None:
    """0 scores 100, the largest scores 0; None when all are 0."""
    worst = max(raw)
    return [SCORE_MAX * (1 - value / worst) for value in raw] if worst else None


def most_is_best(raw: Sequence[float]) -> Sequence[float] | None:
    """The largest scores 100, the smallest 0 when negative numbers are possible, else in proportion to 0."""
    best, worst = max(raw), min(0.0, min(raw))
    return [SCORE_MAX * (value - worst) / (best - worst) for value in raw] if best != worst else None


def _tally(counts: Counter[T], value: T, sign: int) -> None:
    counts[value] += sign
    if not counts[value]:
        del counts[value]


def _add(total: Amounts, more: Amounts, sign: int) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + sign * amount
