"""Objects of the calculation for tests, a strategy of them, and what should come of them, by scanning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from typing import Any

from hypothesis import strategies as st

from calico.calc.calculator import Calculator
from calico.calc.members import SetId, texts
from calico.calc.node_view import EndpointPolicies, PolicyRef, TierPolicies
from calico.calc.objects import (
    Endpoint,
    EndpointId,
    NamedPort,
    Policy,
    PolicyId,
    PortRange,
    Ports,
    Profile,
    Rule,
    Side,
    Tier,
)
from calico.selector import Selector

NODES = ("node-1", "node-2", "node-3")
FOLLOWED = ("node-1", "node-2")
_VALUES = st.sampled_from(["a", "b", "c"])
_LABELS = st.dictionaries(st.sampled_from(["app", "tier", "zone"]), _VALUES, max_size=3)
_PROFILES = ("kns.default", "kns.web", "ksa.default.robot")
_SELECTORS = (
    "all()",
    "app == 'a'",
    "app != 'a'",
    "has(tier)",
    "!has(tier)",
    "app in {'a', 'b'}",
    "app in {}",
    "app not in {'a'}",
    "app == 'a' && tier == 'b'",
    "app == 'a' || tier == 'b'",
    "app == 'a' || !has(zone)",
    "pcns.stage == 'b'",
    "pcns.stage == 'b' && app == 'a'",
    "zone contains 'a' && !(app == 'b')",
    "(app == 'a' || app == 'b') && has(pcns.stage)",
)
selectors = st.sampled_from(_SELECTORS).map(Selector.parse)
_NETS = st.lists(
    st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.1.0/24", "0.0.0.0/0", "fd00::1", "fd00:1::/64"]).map(
        ip_network
    ),
    max_size=2,
    unique=True,
).map(tuple)
_NAMED = st.builds(
    NamedPort, st.sampled_from(["http", "dns"]), st.sampled_from(["tcp", "udp"]), st.sampled_from([80, 53])
)


def endpoint_of(name: str, node: str = "node-1", **told: Any) -> Endpoint:
    """A pod's endpoint."""
    kind = "WorkloadEndpoint" if node else "GlobalNetworkSet"
    return Endpoint(EndpointId(kind, "default", name), told.pop("labels", {}), node=node, **told)


def policy_of(name: str, selector: str = "all()", **told: Any) -> Policy:
    """A policy for ingress; of tier default unless told otherwise."""
    its = {"tier": "default", "types": frozenset({"ingress"})} | told
    return Policy(PolicyId("NetworkPolicy", "default", name), selector=Selector.parse(selector), **its)


endpoints = st.builds(
    endpoint_of,
    st.sampled_from([f"pod-{number}" for number in range(1, 7)]),
    st.sampled_from(["", *NODES]),
    labels=_LABELS,
    profiles=st.lists(st.sampled_from(_PROFILES), max_size=2, unique=True).map(tuple),
    nets=_NETS,
    ports=st.lists(_NAMED, max_size=2, unique=True).map(tuple),
)
_PORTS = st.builds(
    Ports,
    st.sampled_from([(), (PortRange(80, 81),)]),
    st.sampled_from([(), ("http",), ("http", "dns")]),
)
_SIDES = st.builds(
    Side, st.none() | selectors, st.none() | selectors, st.just(()), st.just(()), _PORTS, st.just(Ports())
)
_RULES = st.builds(
    Rule,
    st.sampled_from(["Allow", "Deny"]),
    st.sampled_from(["tcp", "udp"]),
    source=_SIDES,
    destination=_SIDES,
)
_RULE_LISTS = st.lists(_RULES, max_size=2).map(tuple)
policies = st.builds(
    lambda name, **told: Policy(PolicyId("NetworkPolicy", "default", name), **told),
    st.sampled_from([f"policy-{number}" for number in range(1, 5)]),
    tier=st.sampled_from(["default", "admin", "gone"]),
    selector=selectors,
    order=st.sampled_from([10.0, 20.0, float("inf")]),
    types=st.sampled_from([frozenset({"ingress"}), frozenset({"ingress", "egress"})]),
    ingress=_RULE_LISTS,
    egress=_RULE_LISTS,
)
profiles = st.builds(
    Profile,
    st.sampled_from(_PROFILES),
    _RULE_LISTS,
    _RULE_LISTS,
    st.dictionaries(st.just("pcns.stage"), _VALUES, max_size=1),
)
tiers = st.builds(
    Tier,
    st.sampled_from(["default", "admin"]),
    st.sampled_from([1.0, 2.0]),
    st.sampled_from(["Deny", "Pass"]),
)
things = endpoints | policies | profiles | tiers
Thing = Endpoint | Policy | Profile | Tier
Key = tuple[str, object]


def key_of(thing: Thing) -> Key:
    """The identity of an object among all."""
    match thing:
        case Endpoint(id=name) | Policy(id=name) | Profile(name=name) | Tier(name=name):
            return (type(thing).__name__, name)


def drop(calculator: Calculator, key: Key) -> None:
    kind, name = key
    {
        "Endpoint": calculator.drop_endpoint,
        "Policy": calculator.drop_policy,
        "Profile": calculator.drop_profile,
        "Tier": calculator.drop_tier,
    }[kind](name)  # type: ignore[operator]


class Scan:
    """What should come of objects, found by looking at all of them."""

    def __init__(self, things: Iterable[Thing]) -> None:
        found = tuple(things)
        self._endpoints = [it for it in found if isinstance(it, Endpoint)]
        self._policies = [it for it in found if isinstance(it, Policy)]
        self._profiles = {it.name: it for it in found if isinstance(it, Profile)}
        self._tiers = {it.name: it for it in found if isinstance(it, Tier)}

    def endpoints(self, node: str) -> Mapping[EndpointId, EndpointPolicies]:
        return {it.id: self._policies_of(it) for it in self._endpoints if it.node == node}

    def members(self, set_id: SetId) -> frozenset[str]:
        """The members of a set, of both families."""
        matching = [it for it in self._endpoints if set_id.selector.matches(self._labels(it))]
        if not set_id.port:
            return frozenset(text for it in matching for net in it.nets for text in texts(net))
        return frozenset(
            f"{net.network_address},{set_id.protocol}:{port.port}"
            for it in matching
            for net in it.nets
            for port in it.ports
            if net.prefixlen == net.max_prefixlen
            and (port.name, port.protocol) == (set_id.port, set_id.protocol)
        )

    def _labels(self, endpoint: Endpoint) -> Mapping[str, str]:
        labels = dict(endpoint.labels)
        for name in endpoint.profiles:
            for label, value in ((self._profiles.get(name) or Profile(name)).labels or {}).items():
                labels.setdefault(label, value)
        return labels

    def _policies_of(self, endpoint: Endpoint) -> EndpointPolicies:
        labels = self._labels(endpoint)
        its = [policy for policy in self._policies if policy.selector.matches(labels)]
        names = sorted(
            {policy.tier for policy in its},
            key=lambda name: (name not in self._tiers, (self._tiers.get(name) or Tier(name)).order, name),
        )
        tiers = tuple(
            TierPolicies(
                name,
                self._tiers[name].default_action if name in self._tiers else "Deny",
                tuple(
                    PolicyRef(
                        it.id,
                        "ingress" in it.types,
                        "egress" in it.types,
                        it.untracked,
                        it.pre_dnat,
                        it.apply_on_forward,
                        str(it.selector),
                    )
                    for it in sorted(its, key=lambda it: (it.order, it.id.name))
                    if it.tier == name
                ),
            )
            for name in names
        )
        return EndpointPolicies(
            endpoint, tiers, tuple(it for it in endpoint.profiles if it in self._profiles)
        )
