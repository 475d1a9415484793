"""A pod's affinity and anti-affinity terms and spread constraints, read out of its specification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fabric.api.objects import Object
from fabric.api.selectors import LabelSelector, Requirement

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True, slots=True)
class PodTerm:
    """Pods of some namespaces with some labels, and the node label that says what near is."""

    selector: LabelSelector
    topology_key: str
    namespaces: frozenset[str]
    namespace_selector: LabelSelector
    """Namespaces chosen by their labels, besides those named."""
    weight: int = 0
    """1 to 100 for a preferred term."""

    def matches(
        self, namespace: str, labels: Mapping[str, str], namespace_labels: Mapping[str, Mapping[str, str]]
    ) -> bool:
        return self.selector.matches(labels) and (
            namespace in self.namespaces
            or self.namespace_selector.matches(namespace_labels.get(namespace, {}))
        )


@dataclass(frozen=True, slots=True)
class PodTerms:
    required: tuple[PodTerm, ...] = ()
    preferred: tuple[PodTerm, ...] = ()


NO_TERMS = PodTerms()


@dataclass(frozen=True, slots=True)
class SpreadConstraint:
    """Matching pods of the pod's namespace may differ by `max_skew` between topology domains."""

    selector: LabelSelector
    topology_key: str
    max_skew: int
    hard: bool
    min_domains: int
    honor_affinity: bool
    honor_taints: bool


def pod_terms_of(spec: Object, kind: str, namespace: str, labels: Mapping[str, str]) -> PodTerms:
    """`kind` is podAffinity or podAntiAffinity."""
    affinity = (spec.get("affinity") or {}).get(kind) or {}
    if not affinity:
        return NO_TERMS
    preferred = affinity.get(PREFERRED) or ()
    return PodTerms(
        tuple(_term(term, namespace, labels) for term in affinity.get(REQUIRED) or ()),
        tuple(_term(p["podAffinityTerm"], namespace, labels, p["weight"]) for p in preferred),
    )


def spread_of(spec: Object, labels: Mapping[str, str]) -> tuple[SpreadConstraint, ...]:
    return tuple(
        SpreadConstraint(
            _selector(constraint, labels),
            constraint["topologyKey"],
            constraint["maxSkew"],
            constraint.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule",
            constraint.get("minDomains") or 1,
            constraint.get("nodeAffinityPolicy", "Honor") == "Honor",
            constraint.get("nodeTaintsPolicy", "Ignore") == "Honor",
        )
        for constraint in spec.get("topologySpreadConstraints") or ()
    )


def _term(term: Object, namespace: str, labels: Mapping[str, str], weight: int = 0) -> PodTerm:
    named = term.get("namespaces") or ()
    selector = term.get("namespaceSelector")
    own = () if named or selector is not None else (namespace,)
    return PodTerm(
        _selector(term, labels),
        term["topologyKey"],
        frozenset((*named, *own)),
        LabelSelector.from_object(selector),
        weight,
    )


def _selector(term: Object, labels: Mapping[str, str]) -> LabelSelector:
    """The term's selector, narrowed to the pod's own values of `matchLabelKeys`."""
    selector = LabelSelector.from_object(term.get("labelSelector"))
    own = [
        Requirement(key, operator, (labels[key],))
        for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
        for key in term.get(field) or ()
        if key in labels
    ]
    return LabelSelector((*selector.requirements, *own), selector.nothing)
