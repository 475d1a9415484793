"""The rules that Felix writes do what policies mean: packets through them, beside the oracle's answer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.policy_worlds import PODS, calico, endpoint, kubernetes_policy, world
from support.rendered_policies import Rendered

from calico.policy.evaluator import CalicoEvaluator
from fabric.plugin.policies import Flow, protocol_number

_LABELS = st.fixed_dictionaries({}, optional={"pod": st.sampled_from("abc")})
_SELECTORS = st.one_of(
    st.builds(lambda labels: {"matchLabels": labels} if labels else {}, _LABELS),
    st.builds(
        lambda operator, values: {
            "matchExpressions": [
                {"key": "pod", "operator": operator}
                | ({"values": values} if operator in ("In", "NotIn") else {})
            ]
        },
        st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
        st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True),
    ),
)
_NAMESPACES = st.one_of(st.just({}), st.sampled_from("xyz").map(lambda name: {"matchLabels": {"ns": name}}))
_BLOCKS = st.sampled_from(
    [
        {"cidr": "10.244.0.0/16"},
        {"cidr": "10.244.1.0/24", "except": ["10.244.1.1/32"]},
        {"cidr": "0.0.0.0/0", "except": ["10.244.2.0/24", "10.244.3.0/24"]},
        {"cidr": "fd00::/64"},
    ]
)
_PEERS = st.one_of(
    st.builds(lambda it: {"podSelector": it}, _SELECTORS),
    st.builds(lambda it: {"namespaceSelector": it}, _NAMESPACES),
    st.builds(lambda a, b: {"namespaceSelector": a, "podSelector": b}, _NAMESPACES, _SELECTORS),
    st.builds(lambda it: {"ipBlock": it}, _BLOCKS),
)
_PORTS = st.one_of(
    st.builds(
        lambda port, protocol: {"port": port} | ({"protocol": protocol} if protocol else {}),
        st.sampled_from([80, 81, "serve-80-tcp", "serve-81-udp", "nobody"]),
        st.sampled_from(["", "TCP", "UDP", "SCTP"]),
    ),
    st.just({"protocol": "UDP"}),
    st.just({"port": 79, "endPort": 80}),
)


def _rules(side):
    return st.lists(
        st.builds(
            lambda peers, ports: ({side: peers} if peers else {}) | ({"ports": ports} if ports else {}),
            st.lists(_PEERS, max_size=2),
            st.lists(_PORTS, max_size=3),
        ),
        max_size=2,
    )


kubernetes = st.builds(
    lambda namespace, selector, types, ingress, egress: (
        namespace,
        {"podSelector": selector, "policyTypes": types, "ingress": ingress, "egress": egress},
    ),
    st.sampled_from("xyz"),
    _SELECTORS,
    st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
    _rules("from"),
    _rules("to"),
)
_CALICO_SELECTORS = st.sampled_from(
    ["", "all()", "pod == 'a'", "pod != 'a'", "pod in {'a', 'b'}", "!has(none)", "pod == 'a' || pod == 'b'"]
)
_ENTITIES = st.fixed_dictionaries(
    {},
    optional={
        "selector": _CALICO_SELECTORS,
        "notSelector": st.sampled_from(["pod == 'b'", "has(none)"]),
        "namespaceSelector": st.sampled_from(["", "all()", "ns == 'x'", "ns != 'x'", "global()"]),
        "nets": st.sampled_from([[], ["10.244.1.0/24"], ["10.244.1.1/32", "10.244.2.0/24"]]),
        "notNets": st.sampled_from([[], ["10.244.1.1/32"], ["10.244.1.1/32", "10.244.2.4/32"]]),
    },
)
_ENTITY_PORTS = st.fixed_dictionaries(
    {},
    optional={
        "ports": st.lists(st.sampled_from([80, "81:90", "serve-80-tcp", "serve-81-udp"]), max_size=3),
        "notPorts": st.lists(st.sampled_from([81, "serve-80-udp"]), max_size=2),
    },
)
_CALICO_RULE = st.builds(
    lambda action, protocol, source, destination, ports: (
        {"action": action, "source": source}
        | ({"protocol": protocol} if protocol else {})
        | {"destination": destination | (ports if protocol in ("TCP", "UDP") else {})}
    ),
    st.sampled_from(["Allow", "Allow", "Deny", "Pass", "Log"]),
    st.sampled_from(["", "TCP", "UDP", "ICMP"]),
    _ENTITIES,
    _ENTITIES,
    _ENTITY_PORTS,
)
_CALICO_RULES = st.lists(_CALICO_RULE, max_size=3)
calicos = st.builds(
    lambda namespace, tier, order, selector, types, ingress, egress: (
        namespace,
        {"selector": selector, "types": types, "ingress": ingress, "egress": egress}
        | ({"order": order} if order else {})
        | {"tier": tier},
    ),
    st.sampled_from(["", "x", "y"]),
    st.sampled_from(["default", "first", "passing"]),
    st.sampled_from([0, 10, 2000]),
    _CALICO_SELECTORS,
    st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
    _CALICO_RULES,
    _CALICO_RULES,
)
_TIERS = (calico("Tier", "first", order=10), calico("Tier", "passing", order=20, defaultAction="Pass"))
_FLOWS = (("tcp", 80), ("tcp", 81), ("udp", 80), ("udp", 81), ("sctp", 80), ("icmp", 0))


def objects_of(some_kubernetes, some_calico):
    yield from _TIERS
    for number, (namespace, spec) in enumerate(some_kubernetes):
        yield kubernetes_policy(f"policy-{number}", namespace, **spec)
    for number, (namespace, spec) in enumerate(some_calico):
        kind = "NetworkPolicy" if namespace else "GlobalNetworkPolicy"
        yield calico(kind, f"rule-{number}", namespace, **spec)


_ASKED = st.lists(
    st.tuples(st.sampled_from(PODS), st.sampled_from(PODS), st.sampled_from(_FLOWS)),
    min_size=20,
    max_size=20,
    unique=True,
)


def agree(objects, asked):
    of = world(*objects)
    rendered, evaluator = Rendered(of), CalicoEvaluator(of)
    for source, target, (protocol, port) in asked:
        if source == target:
            continue
        flow = Flow(endpoint(of, source), endpoint(of, target), protocol_number(protocol), port)
        verdict = evaluator.judge(flow)
        assert rendered.allows(flow) == verdict.allowed, f"{flow}: {verdict}"


@settings(max_examples=60, deadline=None)
@given(st.lists(kubernetes, max_size=3), st.lists(calicos, max_size=3), _ASKED)
def test_a_packet_passes_where_the_policies_allow_it_and_nowhere_else(some_kubernetes, some_calico, asked):
    agree(objects_of(some_kubernetes, some_calico), asked)


@settings(max_examples=200, deadline=None)
@given(_CALICO_RULE, _ASKED)
def test_a_rule_alone_takes_the_packets_that_all_of_its_parts_match(rule, asked):
    spec = {"selector": "all()", "types": ["Egress"], "egress": [rule]}
    agree([calico("GlobalNetworkPolicy", "one", "", **spec)], asked)


@pytest.mark.parametrize("action", ["Allow", "Deny"])
@pytest.mark.parametrize(("direction", "side"), [("ingress", "source"), ("egress", "destination")])
def test_a_rule_for_a_service_matches_nothing_for_there_are_no_services(action, direction, side):
    rules = [{"action": action, side: {"services": {"name": "web", "namespace": "y"}}}]
    if action == "Deny":
        rules.append({"action": "Allow"})
    policy = calico("GlobalNetworkPolicy", "p", selector="all()", **{direction: rules})
    flow = Flow(*(endpoint(of := world(policy), it) for it in ("x/a", "y/b")), protocol_number("tcp"), 80)
    passes = action == "Deny"
    assert (Rendered(of).allows(flow), CalicoEvaluator(of).judge(flow).allowed) == (passes, passes)
