"""A pod as the scheduler sees it: read once out of its JSON, compared and matched many times."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from fabric.api.hostports import HostPort, host_ports
from fabric.api.nodeselection import EVERY_NODE, NodeSelection, node_selection_of
from fabric.api.objects import Key, Object, is_deleting, key_of, labels_of, uid_of
from fabric.api.resources import ASSUMED, Amounts, requests_of
from fabric.api.taints import Toleration, tolerations_of
from fabric.errors import FabricError
from fabric.scheduler.podterms import NO_TERMS, PodTerms, SpreadConstraint, pod_terms_of, spread_of


class PodGroupKey(NamedTuple):
    """The part of a pod that other pods' selectors see; replicas have the same key."""

    namespace: str
    labels: frozenset[tuple[str, str]]
    deleting: bool


@dataclass(frozen=True, slots=True)
class PodInfo:
    """`node` is empty for a pending pod. `problem` says why the pod's spec cannot be read, if so."""

    key: Key
    uid: str
    labels: dict[str, str]
    node: str = ""
    priority: int = 0
    deleting: bool = False
    requests: Amounts = field(default_factory=dict)
    scored_requests: Amounts = field(default_factory=dict)
    ports: tuple[HostPort, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    nodes: NodeSelection = EVERY_NODE
    affinity: PodTerms = NO_TERMS
    anti_affinity: PodTerms = NO_TERMS
    spread: tuple[SpreadConstraint, ...] = ()
    problem: str = ""

    @property
    def group_key(self) -> PodGroupKey:
        return PodGroupKey(self.key.namespace, frozenset(self.labels.items()), self.deleting)

    @property
    def has_terms(self) -> bool:
        return self.affinity is not NO_TERMS or self.anti_affinity is not NO_TERMS

    @property
    def looks_at_pods(self) -> bool:
        """True when where other pods are decides where this one may go."""
        return self.has_terms or bool(self.spread)

    def on(self, node: str) -> PodInfo:
        return replace(self, node=node)


def pod_info(pod: Object) -> PodInfo:
    """Read a pod; a spec that makes no sense gives a PodInfo with a `problem`, and asks for nothing."""
    spec = pod["spec"]
    bare = PodInfo(key_of(pod), uid_of(pod), labels_of(pod), spec.get("nodeName") or "")
    try:
        return _filled(bare, pod, spec)
    except (FabricError, ValueError, KeyError, TypeError) as error:
        return replace(bare, problem=f"the pod's spec cannot be read: {error}")


def _filled(bare: PodInfo, pod: Object, spec: Object) -> PodInfo:
    namespace, labels = bare.key.namespace, bare.labels
    return PodInfo(
        bare.key,
        bare.uid,
        labels,
        bare.node,
        priority=spec.get("priority") or 0,
        deleting=is_deleting(pod),
        requests=requests_of(spec),
        scored_requests=requests_of(spec, ASSUMED),
        ports=host_ports(spec),
        tolerations=tolerations_of(spec),
        nodes=node_selection_of(spec),
        affinity=pod_terms_of(spec, "podAffinity", namespace, labels),
        anti_affinity=pod_terms_of(spec, "podAntiAffinity", namespace, labels),
        spread=spread_of(spec, labels),
    )
