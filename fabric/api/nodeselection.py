"""A node selection says which nodes a pod wants, by their labels and names: nodeSelector and node affinity.

The terms of an affinity are alternatives, the requirements of a term all hold; a term without
requirements matches nothing. The node selector must hold as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fabric.api.objects import Object
from fabric.api.selectors import Requirement


@dataclass(frozen=True, slots=True)
class NodeTerm:
    expressions: tuple[Requirement, ...]
    fields: tuple[Requirement, ...]

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        if not self.expressions and not self.fields:
            return False
        return all(r.matches(labels) for r in self.expressions) and all(
            r.matches({"metadata.name": name}) for r in self.fields
        )


@dataclass(frozen=True, slots=True)
class PreferredNodes:
    weight: int
    term: NodeTerm


@dataclass(frozen=True, slots=True)
class NodeSelection:
    """`required` is None without a required affinity."""

    labels: tuple[tuple[str, str], ...] = ()
    required: tuple[NodeTerm, ...] | None = None
    preferred: tuple[PreferredNodes, ...] = ()

    @property
    def is_open(self) -> bool:
        """True when every node will do."""
        return not self.labels and self.required is None

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        if any(labels.get(key) != value for key, value in self.labels):
            return False
        return self.required is None or any(term.matches(name, labels) for term in self.required)

    def preference(self, name: str, labels: Mapping[str, str]) -> int:
        """The weights of the preferred terms that match."""
        return sum(p.weight for p in self.preferred if p.term.matches(name, labels))


EVERY_NODE = NodeSelection()


def node_selection_of(spec: Object) -> NodeSelection:
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    if not affinity and not spec.get("nodeSelector"):
        return EVERY_NODE
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    return NodeSelection(
        tuple((spec.get("nodeSelector") or {}).items()),
        tuple(map(_term, required.get("nodeSelectorTerms") or ())) if required else None,
        tuple(PreferredNodes(p["weight"], _term(p["preference"])) for p in preferred),
    )


def _term(term: Object) -> NodeTerm:
    return NodeTerm(_requirements(term.get("matchExpressions")), _requirements(term.get("matchFields")))


def _requirements(expressions: Sequence[Object] | None) -> tuple[Requirement, ...]:
    return tuple(
        Requirement(e["key"], e["operator"], tuple(e.get("values") or ())) for e in expressions or ()
    )
