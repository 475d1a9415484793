"""The rules that Felix writes do what policies mean: packets through them, beside the oracle's answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.any_world import examples, flows, guarded_worlds, worlds
from support.policy_worlds import calico, endpoint, world
from support.rendered_policies import Rendered
from support.world_policies import any_rule, calicos, kubernetes, objects_of

from calico.policy.evaluator import CalicoEvaluator
from fabric.plugin.policies import Flow, protocol_number

_SEEDS = st.integers(0, 1000)
_KUBERNETES, _CALICO = st.lists(kubernetes, max_size=3), st.lists(calicos, max_size=3)


def agree(of, seed, count=80):
    rendered, evaluator = Rendered(of), CalicoEvaluator(of)
    for flow in flows(of, seed, count):
        verdict = evaluator.judge(flow)
        assert rendered.allows(flow) == verdict.allowed, f"{flow}: {verdict}"


@settings(max_examples=examples(60))
@given(worlds, _KUBERNETES, _CALICO, _SEEDS)
def test_a_packet_passes_where_the_policies_allow_it_and_nowhere_else(of, some, more, seed):
    agree(replace(of, objects=(*of.objects, *objects_of(some, more))), seed)


@settings(max_examples=examples(60))
@given(guarded_worlds, _CALICO, _SEEDS)
def test_a_packet_passes_host_endpoints_where_the_policies_allow_it_and_nowhere_else(of, some, seed):
    agree(replace(of, objects=(*of.objects, *objects_of([], some))), seed)


@settings(max_examples=examples(150))
@given(worlds, any_rule, _SEEDS)
def test_a_rule_alone_takes_the_packets_that_all_of_its_parts_match(of, its, seed):
    spec = {"selector": "all()", "types": ["Egress"], "egress": [its]}
    agree(replace(of, objects=(*of.objects, calico("GlobalNetworkPolicy", "one", **spec))), seed)


_TWO = ["10.244.1.0/24", "10.244.2.0/24"]


@pytest.mark.parametrize(
    "its",
    [
        {"protocol": "TCP", "destination": {"notPorts": ["serve-80-tcp"]}},
        {"protocol": "TCP", "destination": {"ports": [80, "serve-81-tcp"], "nets": _TWO}},
        {"source": {"nets": _TWO}, "destination": {"nets": _TWO, "notNets": ["10.244.1.1/32"]}},
        {"protocol": "TCP", "notProtocol": "UDP"},
        {"protocol": "TCP", "notProtocol": "TCP"},
    ],
    ids=str,
)
def test_a_rule_of_conditions_that_seldom_meet_takes_its_packets(its):
    spec = {"selector": "all()", "types": ["Egress"], "egress": [{"action": "Allow", **its}]}
    agree(world(calico("GlobalNetworkPolicy", "one", **spec)), 1, 400)


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
