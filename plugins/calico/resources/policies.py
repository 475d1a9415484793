"""Policies of Calico: NetworkPolicy, GlobalNetworkPolicy, and the staged ones, which are not enforced.

A policy selects endpoints, and says by ingress and egress rules what becomes of their packets. Rules are
tried in turn, policies by `order` and then by name, tiers likewise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import ClassVar

from calico.resources import readers
from calico.resources.envelope import Resource
from calico.resources.fields import key
from calico.resources.readers import choice, decimal, flag, listed, or_empty, subdomain
from calico.resources.refusals import Refusal
from calico.resources.rules import GLOBAL, GLOBAL_ONLY_IN_RULES, PolicyRule, canonical, rule_refusals, rules
from calico.resources.tiers import DEFAULT

INGRESS, EGRESS = "Ingress", "Egress"
STAGED_ACTIONS = ("Set", "Delete", "Learn", "Ignore")
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})?")
_KUBERNETES = re.compile(rf"knp\.default\.{_LABEL}(\.{_LABEL})*")
"""The name of a policy that is made of one of Kubernetes'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPolicySpec:
    tier: str = key("tier", or_empty(subdomain), default=DEFAULT)
    order: int | float | None = key("order", decimal, default=None)
    """None is after all others of the tier."""
    ingress: tuple[PolicyRule, ...] = key("ingress", rules, default=())
    egress: tuple[PolicyRule, ...] = key("egress", rules, default=())
    selector: str = key("selector", readers.selector, default="")
    """Empty: all endpoints, of a NetworkPolicy those of its namespace."""
    types: tuple[str, ...] = key("types", listed(choice(INGRESS, EGRESS)), default=())
    service_account_selector: str = key("serviceAccountSelector", readers.selector, default="")
    performance_hints: tuple[str, ...] = key(
        "performanceHints", listed(choice("AssumeNeededOnEveryNode")), default=()
    )

    def __post_init__(self) -> None:
        """Fill in what Calico fills in before anything is stored."""
        if not self.tier:
            object.__setattr__(self, "tier", DEFAULT)
        if not self.is_deletion:
            object.__setattr__(self, "types", self.effective_types)

    @property
    def effective_types(self) -> tuple[str, ...]:
        """The directions that the policy is about: those it says, or else those it has rules for.

        One without rules is about ingress.
        """
        if self.types:
            return self.types
        return (INGRESS,) * bool(self.ingress or not self.egress) + (EGRESS,) * bool(self.egress)

    @property
    def is_deletion(self) -> bool:
        """True for a staged policy that stages a deletion."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalNetworkPolicySpec(NetworkPolicySpec):
    do_not_track: bool = key("doNotTrack", flag, default=False)
    """At host endpoints, before connection tracking."""
    pre_dnat: bool = key("preDNAT", flag, default=False)
    """At host endpoints, before destinations are translated."""
    apply_on_forward: bool = key("applyOnForward", flag, default=False)
    """At host endpoints also to what is forwarded."""
    namespace_selector: str = key("namespaceSelector", readers.selector, default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedNetworkPolicySpec(NetworkPolicySpec):
    staged_action: str = key("stagedAction", choice(*STAGED_ACTIONS), default="Set")

    @property
    def is_deletion(self) -> bool:
        return self.staged_action == "Delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedGlobalNetworkPolicySpec(GlobalNetworkPolicySpec):
    staged_action: str = key("stagedAction", choice(*STAGED_ACTIONS), default="Set")

    @property
    def is_deletion(self) -> bool:
        return self.staged_action == "Delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPolicy(Resource):
    KIND: ClassVar[str] = "NetworkPolicy"
    SPEC: ClassVar[type] = NetworkPolicySpec

    spec: NetworkPolicySpec

    def refusals(self) -> list[Refusal]:
        return [*_refusals(self.name, self.spec)]


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalNetworkPolicy(Resource):
    KIND: ClassVar[str] = "GlobalNetworkPolicy"
    SPEC: ClassVar[type] = GlobalNetworkPolicySpec

    spec: GlobalNetworkPolicySpec

    def refusals(self) -> list[Refusal]:
        return [*_refusals(self.name, self.spec), *_global_refusals(self.spec)]


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedNetworkPolicy(Resource):
    KIND: ClassVar[str] = "StagedNetworkPolicy"
    SPEC: ClassVar[type] = StagedNetworkPolicySpec

    spec: StagedNetworkPolicySpec

    def refusals(self) -> list[Refusal]:
        if self.spec.is_deletion:
            return [*_name_refusals(self.name), *_deletion_refusals(self.spec)]
        return [*_refusals(self.name, self.spec)]


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedGlobalNetworkPolicy(Resource):
    KIND: ClassVar[str] = "StagedGlobalNetworkPolicy"
    SPEC: ClassVar[type] = StagedGlobalNetworkPolicySpec

    spec: StagedGlobalNetworkPolicySpec

    def refusals(self) -> list[Refusal]:
        if self.spec.is_deletion:
            return [*_name_refusals(self.name), *_deletion_refusals(self.spec)]
        return [*_refusals(self.name, self.spec), *_global_refusals(self.spec)]


Policy = NetworkPolicy | GlobalNetworkPolicy | StagedNetworkPolicy | StagedGlobalNetworkPolicy
POLICIES: tuple[type[Policy], ...] = (
    NetworkPolicy,
    GlobalNetworkPolicy,
    StagedNetworkPolicy,
    StagedGlobalNetworkPolicy,
)
"""Those that are in tiers."""


def _name_refusals(name: str) -> Iterator[Refusal]:
    if not _NAME.fullmatch(name) and not _KUBERNETES.fullmatch(name):
        reason = f"name must consist of lower case alphanumeric characters or '-' (regex: {_NAME.pattern})"
        yield Refusal("metadata.name", reason, name)


def _refusals(name: str, spec: NetworkPolicySpec) -> Iterator[Refusal]:
    yield from _name_refusals(name)
    for type_ in dict.fromkeys(spec.types):
        if spec.types.count(type_) > 1:
            yield Refusal("spec.types", f"'{type_}' type specified more than once", ", ".join(spec.types))
    if len(set(spec.performance_hints)) < len(spec.performance_hints):
        yield Refusal("spec.performanceHints", "must differ", ", ".join(spec.performance_hints))
    for path, text in (
        ("selector", spec.selector),
        ("serviceAccountSelector", spec.service_account_selector),
    ):
        yield from _no_global(path, text)
    for direction, given in (("ingress", spec.ingress), ("egress", spec.egress)):
        for index, rule in enumerate(given):
            path = f"spec.{direction}[{index}]"
            yield from rule_refusals(path, rule)
            side, entity = (
                ("destination", rule.destination) if direction == "ingress" else ("source", rule.source)
            )
            if entity.services is not None:
                reason = f"not allowed in {direction} rule {side}"
                yield Refusal(f"{path}.{side}.services", reason, entity.services.name)


def _no_global(path: str, text: str) -> Iterator[Refusal]:
    if GLOBAL in canonical(text):
        yield Refusal(f"spec.{path}", GLOBAL_ONLY_IN_RULES, text)


def _global_refusals(spec: GlobalNetworkPolicySpec) -> Iterator[Refusal]:
    yield from _no_global("namespaceSelector", spec.namespace_selector)
    if spec.do_not_track and spec.pre_dnat:
        yield Refusal(
            "spec.preDNAT", "PreDNAT and DoNotTrack cannot both be true, for a given PolicySpec", True
        )
    if spec.pre_dnat and spec.egress:
        yield Refusal("spec.egress", "PreDNAT PolicySpec cannot have any Egress rules")
    elif spec.pre_dnat and EGRESS in spec.types:
        yield Refusal("spec.types", "PreDNAT PolicySpec cannot have 'egress' Type", ", ".join(spec.types))
    if not spec.apply_on_forward and (spec.do_not_track or spec.pre_dnat):
        reason = "ApplyOnForward must be true if either PreDNAT or DoNotTrack is true, for a given PolicySpec"
        yield Refusal("spec.applyOnForward", reason, False)
    for direction, given in (("ingress", spec.ingress), ("egress", spec.egress)):
        for index, rule in enumerate(given):
            for side, entity in (("source", rule.source), ("destination", rule.destination)):
                if entity.services is not None and not entity.services.namespace:
                    path = f"spec.{direction}[{index}].{side}.services.namespace"
                    yield Refusal(path, "must specify a namespace")


def _deletion_refusals(spec: StagedNetworkPolicySpec | StagedGlobalNetworkPolicySpec) -> Iterator[Refusal]:
    for attribute in fields(spec):
        name, value = attribute.metadata["json"], getattr(spec, attribute.name)
        if name not in ("tier", "stagedAction") and value != attribute.default:
            reason = "Spec fields, except Tier, should all be zero-value if stagedAction is Delete"
            yield Refusal(f"spec.{name}", reason)
