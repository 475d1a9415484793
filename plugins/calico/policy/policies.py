"""The policies of a world as Calico orders them: tiers, and in each its policies.

Tiers that exist come first, by order and name, and those that are only named in policies last. In a tier,
policies stand by order, then by name; one without an order is last. Kubernetes' NetworkPolicies are policies
of the tier `default` with the order 1000. Staged policies stand beside: they replace those of their name, or
delete them, when it is asked what would be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from calico.policy import kubernetes, labels, reading
from calico.policy.labels import Labels
from calico.policy.members import GROUP
from calico.policy.rules import PASS, Rule
from calico.selector import Always, Comparison, Has, Node
from fabric.api.objects import Object
from fabric.plugin.policies import Direction, World, group_of
from fabric.plugin.policy_reading import Value, reference

DEFAULT_TIER = "default"
NORMAL, UNTRACKED, PRE_DNAT = "normal", "untracked", "preDNAT"
_BUILT_IN = {"kube-admin": (1000.0, "Pass"), "default": (1e6, "Deny"), "kube-baseline": (1e7, "Pass")}
"""Order and defaultAction of the tiers that every cluster has."""
_FIELDS = (
    *("tier", "order", "selector", "serviceAccountSelector", "types", "ingress", "egress"),
    "performanceHints",
)
_GLOBAL_FIELDS = ("namespaceSelector", "doNotTrack", "preDNAT", "applyOnForward")
_STAGED = {
    "StagedNetworkPolicy": "NetworkPolicy",
    "StagedGlobalNetworkPolicy": "GlobalNetworkPolicy",
    "StagedKubernetesNetworkPolicy": "KubernetesNetworkPolicy",
}
STAGED_ACTIONS = ("Set", "Delete", "Learn", "Ignore")
KINDS = ("NetworkPolicy", "GlobalNetworkPolicy", *_STAGED)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of any kind, enforced or staged."""

    reference: str
    kind: str
    """As it is enforced: a StagedNetworkPolicy is a NetworkPolicy."""
    namespace: str
    name: str
    selector: Node
    types: frozenset[Direction]
    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()
    tier: str = DEFAULT_TIER
    order: float = math.inf
    stage: str = NORMAL
    """`untracked` and `preDNAT` policies apply to hosts alone, before all others."""
    is_forward: bool = False
    """True for one that hosts apply to what they forward, too."""
    staged: str = ""
    """The staged action of a staged one; only Set and Delete say what would be."""

    def rules(self, direction: Direction) -> tuple[Rule, ...]:
        return self.ingress if direction == "ingress" else self.egress

    def applies(self, to: Labels) -> bool:
        return self.selector.matches(to)

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind, self.namespace, self.name


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier with its policies in order."""

    name: str
    order: float = math.inf
    default_action: str = "Deny"
    exists: bool = True
    policies: tuple[Policy, ...] = ()

    @property
    def drops(self) -> bool:
        """Whether a packet that no rule of it matched is dropped at its end."""
        return self.default_action != PASS


def read(obj: Object) -> Policy:
    """Read a policy of any kind; BadPolicy names the field that is wrong, ValueError a kind that is none."""
    kind = str(obj.get("kind"))
    if (group_of(obj), kind) == (kubernetes.GROUP, "NetworkPolicy"):
        return _of_kubernetes(obj)
    if group_of(obj) != GROUP or kind not in KINDS:
        raise ValueError(f"{reference(obj)} is no policy")
    staged = _staged_action(obj)
    if kind == "StagedKubernetesNetworkPolicy":
        return _of_kubernetes(obj, staged)
    return _of_calico(obj, staged)


def tiers(world: World, policies: Iterable[Policy]) -> tuple[Tier, ...]:
    """All tiers in order, each with its own of the policies."""
    known = {name: Tier(name, order, action) for name, (order, action) in _BUILT_IN.items()}
    for obj in world.of_kind("Tier", GROUP):
        found = _tier(obj)
        known[found.name] = found
    by_tier: dict[str, list[Policy]] = {}
    for policy in policies:
        by_tier.setdefault(policy.tier, []).append(policy)
    for name in by_tier.keys() - known.keys():
        known[name] = Tier(name, exists=False)
    ordered = sorted(known.values(), key=lambda it: (not it.exists, it.order, it.name))
    return tuple(
        Tier(
            it.name,
            it.order,
            it.default_action,
            it.exists,
            tuple(sorted(by_tier.get(it.name, ()), key=_place)),
        )
        for it in ordered
    )


def enforced(policies: Iterable[Policy]) -> Iterator[Policy]:
    """The policies that are in force."""
    return (it for it in policies if not it.staged)


def as_if_staged(policies: Iterable[Policy]) -> Iterator[Policy]:
    """The policies that would be in force if every staged policy were made real."""
    every = tuple(policies)
    replaced = {it.key for it in every if it.staged in ("Set", "Delete")}
    yield from (it for it in every if not it.staged and it.key not in replaced)
    yield from (it for it in every if it.staged == "Set")


def _place(policy: Policy) -> tuple[float, str]:
    return policy.order, f"{policy.name}/{policy.namespace}/{policy.kind}"


def _tier(obj: Object) -> Tier:
    whole = Value.of(obj)
    spec = whole["spec"].only("order", "defaultAction")
    order = spec["order"].number()
    action = spec["defaultAction"].choice("Deny", "Pass", default="Deny")
    return Tier(whole["metadata"]["name"].text(), math.inf if order is None else order, action)


def _staged_action(obj: Object) -> str:
    if obj.get("kind") not in _STAGED:
        return ""
    return Value.of(obj)["spec"]["stagedAction"].choice(*STAGED_ACTIONS, default="Set")


def _of_kubernetes(obj: Object, staged: str = "") -> Policy:
    whole = Value.of(obj)
    found = kubernetes.read(whole, staged=bool(staged))
    return Policy(
        reference(obj),
        "KubernetesNetworkPolicy",
        found.namespace,
        whole["metadata"]["name"].text(),
        found.selector,
        found.types,
        found.ingress,
        found.egress,
        order=kubernetes.ORDER,
        staged=staged,
    )


def _of_calico(obj: Object, staged: str) -> Policy:
    whole = Value.of(obj)
    kind = str(obj["kind"])
    enforced_kind = _STAGED.get(kind, kind)
    is_global = enforced_kind == "GlobalNetworkPolicy"
    namespace = "" if is_global else whole["metadata"]["namespace"].text("default")
    extra = (*(_GLOBAL_FIELDS if is_global else ()), *(("stagedAction",) if staged else ()))
    spec = whole["spec"].only(*_FIELDS, *extra)
    order = spec["order"].number()
    sides: dict[Direction, tuple[Rule, ...]] = {
        "ingress": reading.rules(spec["ingress"], namespace),
        "egress": reading.rules(spec["egress"], namespace),
    }
    return Policy(
        reference(obj),
        enforced_kind,
        namespace,
        whole["metadata"]["name"].text(),
        _selector(spec, namespace),
        _types(spec, sides),
        sides["ingress"],
        sides["egress"],
        spec["tier"].text() or DEFAULT_TIER,
        math.inf if order is None else order,
        _stage(spec) if is_global else NORMAL,
        is_global and spec["applyOnForward"].flag(),
        staged,
    )


def _stage(spec: Value) -> str:
    untracked, before_dnat = spec["doNotTrack"].flag(), spec["preDNAT"].flag()
    if untracked and before_dnat:
        spec["preDNAT"].refuse("may not be true beside doNotTrack")
    return UNTRACKED if untracked else PRE_DNAT if before_dnat else NORMAL


def _selector(spec: Value, namespace: str) -> Node:
    """The endpoints that the policy applies to: its selector, within its namespaces and service accounts."""
    account = labels.parse(spec["serviceAccountSelector"])
    if namespace:
        place: Node | None = Comparison(labels.NAMESPACE, "==", namespace)
        accounts = None if account is None else labels.of_accounts(account)
    else:
        spaces = labels.parse(spec["namespaceSelector"])
        place = None if spaces is None else labels.of_namespaces(spaces)
        everybody = Has(labels.SERVICE_ACCOUNT)
        accounts = None if account is None else labels.of_accounts(account, everybody=everybody)
    return labels.both(labels.parse(spec["selector"]), place, accounts) or Always()


def _types(spec: Value, sides: dict[Direction, tuple[Rule, ...]]) -> frozenset[Direction]:
    """The directions that it governs: those named, else those that have rules, else ingress."""
    named = {it.choice("Ingress", "Egress") for it in spec["types"]}
    directions: tuple[Direction, ...] = ("ingress", "egress")
    if named:
        return frozenset(it for it in directions if it.capitalize() in named)
    return frozenset(it for it in directions if sides[it]) or frozenset(("ingress",))
