"""The chains of an endpoint: what goes to it, and what comes from it, tier by tier and then by profiles.

What belongs to a known connection is accepted first. Then, in each tier that has a policy for the endpoint
and the direction, the policies are asked in turn; the first that accepts ends the chain, one that passes
leads to the next tier, and where none says anything the tier's default action decides. What no tier judged is
the profiles'; and what they do not accept is dropped. "Accepted" is a bit of the mark: a packet between two
endpoints of a node passes the chains of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from calico.calc.node_view import EndpointPolicies, PolicyRef, TierPolicies
from calico.calc.objects import Direction
from calico.calc.rules import RulesId
from calico.felix.names import limited, rules_chain
from calico.felix.options import RuleOptions, clear_mark, mark_is_clear, mark_is_set, set_mark
from calico.felix.policy_groups import PolicyGroup, grouped
from calico.felix.rules import FelixRule, chain
from fabric.netstate.objects import Chain, Family
from fabric.netstate.rules import Table

Stage = Literal["normal", "forward", "untracked", "pre-DNAT"]
"""Of which packets a chain is asked: those of the endpoint itself, those that only go through a host
endpoint, or those of its policies for what is not tracked, or comes before DNAT."""
TO_WORKLOAD, FROM_WORKLOAD = "cali-tw-", "cali-fw-"
TO_HOST, FROM_HOST = "cali-th-", "cali-fh-"
TO_HOST_FORWARD, FROM_HOST_FORWARD = "cali-thfw-", "cali-fhfw-"
FAILSAFE_IN, FAILSAFE_OUT = "cali-failsafe-in", "cali-failsafe-out"
_PROTOCOL_IPIP = "4"


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of chain: where it is, and what it asks."""

    table: Table
    prefix: str
    direction: Direction
    stage: Stage = "normal"
    failsafe: str = ""
    is_from_workload: bool = False


_WORKLOAD = (
    _Kind("filter", TO_WORKLOAD, "ingress"),
    _Kind("filter", FROM_WORKLOAD, "egress", is_from_workload=True),
)
_HOST = (
    _Kind("filter", TO_HOST, "egress", failsafe=FAILSAFE_OUT),
    _Kind("filter", FROM_HOST, "ingress", failsafe=FAILSAFE_IN),
    _Kind("filter", TO_HOST_FORWARD, "egress", "forward"),
    _Kind("filter", FROM_HOST_FORWARD, "ingress", "forward"),
    _Kind("mangle", TO_HOST, "egress", failsafe=FAILSAFE_OUT),
    _Kind("mangle", FROM_HOST, "ingress", "pre-DNAT", FAILSAFE_IN),
    _Kind("raw", TO_HOST, "egress", "untracked", FAILSAFE_OUT),
    _Kind("raw", FROM_HOST, "ingress", "untracked", FAILSAFE_IN),
)


def workload_chains(found: EndpointPolicies, options: RuleOptions, family: Family) -> frozenset[Chain]:
    """The two chains of a pod's endpoint."""
    device = found.endpoint.interface
    return frozenset(_Chain(it, found, options, family).named(device) for it in _WORKLOAD)


def host_chains(
    found: EndpointPolicies, device: str, options: RuleOptions, family: Family
) -> frozenset[Chain]:
    """The chains of a host endpoint at one device, in three tables."""
    return frozenset(_Chain(it, found, options, family).named(device) for it in _HOST)


def asked(
    found: EndpointPolicies, *, is_host: bool
) -> Iterator[tuple[Table, RulesId | PolicyGroup, Direction]]:
    """The tables and directions in which an endpoint's chains lead to each policy, group and profile."""
    for kind in _HOST if is_host else _WORKLOAD:
        for tier in found.tiers:
            for it in grouped(_asked(tier, kind), kind.direction):
                yield kind.table, it, kind.direction
                if isinstance(it, PolicyGroup):
                    yield from ((kind.table, policy, kind.direction) for policy in it.policies)
        if kind.stage == "normal":
            yield from ((kind.table, name, kind.direction) for name in found.profiles)


def _asked(tier: TierPolicies, kind: _Kind) -> tuple[PolicyRef, ...]:
    return tuple(it for it in tier.policies if _is_asked(it, kind))


def _is_asked(policy: PolicyRef, kind: _Kind) -> bool:
    if not (policy.ingress if kind.direction == "ingress" else policy.egress):
        return False
    match kind.stage:
        case "untracked":
            return policy.untracked
        case "pre-DNAT":
            return policy.pre_dnat
        case "forward":
            return policy.apply_on_forward and not policy.untracked and not policy.pre_dnat
    return not policy.untracked and not policy.pre_dnat


class _Chain:
    """A chain of an endpoint."""

    def __init__(self, kind: _Kind, found: EndpointPolicies, options: RuleOptions, family: Family) -> None:
        self._kind = kind
        self._found = found
        self._options = options
        self._marks = options.marks
        self._family = family
        self._deny = options.deny

    def named(self, device: str) -> Chain:
        return chain(self._kind.table, limited(self._kind.prefix, device), [*self._rules()], self._family)

    def _rules(self) -> Iterator[FelixRule]:
        kind, marks = self._kind, self._marks
        if kind.stage != "untracked":
            yield from self._known_connections()
        if kind.failsafe:
            yield FelixRule(kind.failsafe)
        yield FelixRule(clear_mark(marks.accept | marks.passed))
        if kind.is_from_workload:
            yield from self._encapsulated()
        tiers = [(tier, its) for tier in self._found.tiers if (its := _asked(tier, kind))]
        for tier, its in tiers:
            yield from self._tier(tier, its)
        if kind.stage == "forward" and not tiers:
            yield FelixRule(set_mark(marks.accept), comments=("Allow forwarded traffic by default",))
            yield FelixRule("RETURN", comments=("Return for accepted forward traffic",))
        if kind.stage == "normal":
            yield from self._profiles()

    def _known_connections(self) -> Iterator[FelixRule]:
        known = "-m conntrack --ctstate RELATED,ESTABLISHED"
        allow = self._allow
        if allow != "ACCEPT":
            yield FelixRule(set_mark(self._marks.accept), (known,))
        yield FelixRule(allow, (known,))
        if not self._options.felix.disable_conntrack_invalid_check:
            yield FelixRule(self._deny, ("-m conntrack --ctstate INVALID",))

    @property
    def _allow(self) -> str:
        if self._kind.table == "filter":
            return self._options.allow
        return self._options.mangle_allow if self._kind.stage == "pre-DNAT" else "RETURN"

    def _encapsulated(self) -> Iterator[FelixRule]:
        """Drop what a pod encapsulates itself: policies would see the outer header only."""
        felix, word = self._options.felix, self._options.deny_word
        if not felix.allow_vxlan_packets_from_workloads:
            matches = ("-p 17", f"-m multiport --destination-ports {self._options.vxlan_port}")
            yield FelixRule(self._deny, matches, (f"{word} VXLAN encapped packets originating in workloads",))
        if not felix.allow_ipip_packets_from_workloads:
            said = f"{word} IPinIP encapped packets originating in workloads"
            yield FelixRule(self._deny, (f"-p {_PROTOCOL_IPIP}",), (said,))

    def _tier(self, tier: TierPolicies, policies: Iterable[PolicyRef]) -> Iterator[FelixRule]:
        marks, kind = self._marks, self._kind
        yield FelixRule(clear_mark(marks.passed), comments=(f"Start of tier {tier.name}",))
        for it in grouped(policies, kind.direction):
            led_to = it.chain_name if isinstance(it, PolicyGroup) else rules_chain(it, kind.direction)
            yield FelixRule(led_to, (mark_is_clear(marks.passed),))
            accepted = (mark_is_set(marks.accept),)
            if kind.stage == "untracked":
                yield FelixRule("NOTRACK", accepted)
            yield FelixRule("RETURN", accepted, ("Return if policy accepted",))
        if kind.stage in ("normal", "forward") and tier.default_action != "Pass":
            said = f"End of tier {tier.name}. {self._options.deny_word} if no policies passed packet"
            yield FelixRule(self._deny, (mark_is_clear(marks.passed),), (said,))

    def _profiles(self) -> Iterator[FelixRule]:
        for name in self._found.profiles:
            yield FelixRule(rules_chain(name, self._kind.direction))
            accepted = (mark_is_set(self._marks.accept),)
            yield FelixRule("RETURN", accepted, ("Return if profile accepted",))
        yield FelixRule(self._deny, comments=(f"{self._options.deny_word} if no profiles matched",))
