"""Cases of whom a policy selects, for which directions, with no rule or rules for everybody."""

from __future__ import annotations

from support.policy_cases.peers import PODS
from support.policy_cases.steps import DIRECTIONS, case, policy, put, rule
from support.policy_words import pods, spaces
from support.policy_worlds import kubernetes_policy

BOTH = {"policyTypes": ["Ingress", "Egress"]}
TYPES = {
    "nothing but a selector": {},
    "no types, and no rule for egress": {"egress": []},
    "no types, and a rule for egress": {"egress": [{"to": [spaces("y")]}]},
    "no types, and rules for both": {"ingress": [{"from": [spaces("y")]}], "egress": [{"to": [spaces("z")]}]},
    "no types, and everything for both": {"ingress": [{}], "egress": [{}]},
    "both types and no rule": BOTH,
    "both types, ingress alone open": BOTH | {"ingress": [{}]},
    "both types, egress alone open": BOTH | {"egress": [{}]},
    "both types, and the namespace among itself": BOTH
    | {"ingress": [{"from": [{"podSelector": {}}]}], "egress": [{"to": [{"podSelector": {}}]}]},
    "a rule for egress, and the type of ingress": {"policyTypes": ["Ingress"], "egress": [{}]},
    "a rule for ingress, and the type of egress": {"policyTypes": ["Egress"], "ingress": [{}]},
    "two rules, the second without peers": {"ingress": [{"from": [spaces("y")]}, {}]},
}
CASES = (
    *(
        case(f"{direction} of {name} is denied", put(policy(direction, podSelector=selector)))
        for direction in DIRECTIONS
        for name, selector in PODS.items()
        if selector is not None
    ),
    *(
        case(
            f"{direction} of every namespace is denied",
            put(*(policy(direction, namespace=it) for it in "xyz")),
        )
        for direction in DIRECTIONS
    ),
    *(case(f"types: {name}", put(kubernetes_policy(**spec))) for name, spec in TYPES.items()),
    case(
        "one pod sends, another receives",
        put(
            policy("egress", rule("egress", spaces("y") | pods("a")), **pods("a")),
            policy("ingress", rule("ingress", spaces("x") | pods("a")), namespace="y", **pods("a")),
        ),
    ),
)
