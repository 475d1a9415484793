"""The meaning of Kubernetes' NetworkPolicies, point by point, to both evaluators that know them."""

from __future__ import annotations

import pytest
from support.policy_worlds import PODS, Question, kubernetes_policy, world

from calico.policy.evaluator import CalicoEvaluator
from fabric.plugin.policies import Port
from fabric.policy.kubernetes import KubernetesEvaluator

EVERY = set(PODS)
OF_X, OF_Y = {"x/a", "x/b", "x/c"}, {"y/a", "y/b", "y/c"}
ONLY_A = {"matchLabels": {"pod": "a"}}
IN_Y = {"matchLabels": {"ns": "y"}}


@pytest.fixture(params=[KubernetesEvaluator, CalicoEvaluator], ids=["specification", "calico"])
def ask(request):
    """A question about policies of the world of three namespaces."""
    return lambda *policies, **changes: Question(world(*policies, **changes), request.param)


def ingress(*rules, **spec):
    return kubernetes_policy(ingress=list(rules), **spec)


def egress(*rules, **spec):
    return kubernetes_policy(policyTypes=["Egress"], egress=list(rules), **spec)


def tcp(port):
    return {"protocol": "TCP", "port": port}


def test_policies_are_additive(ask):
    first = ingress({"from": [{"podSelector": ONLY_A}]}, name="first")
    second = ingress({"from": [{"namespaceSelector": IN_Y}]}, name="second")
    assert ask(first).sources("x/b") == {"x/a"}
    assert ask(first, second).sources("x/b") == {"x/a", *OF_Y}


def test_a_pod_that_no_policy_selects_is_open_in_both_directions(ask):
    question = ask(ingress(podSelector=ONLY_A), kubernetes_policy("other", "y", policyTypes=["Egress"]))
    assert question.sources("x/b") == EVERY - {"x/b"} - OF_Y
    assert question.targets("x/a") == EVERY - {"x/a"}


def test_isolation_is_per_direction(ask):
    question = ask(ingress(podSelector=ONLY_A))
    assert question.sources("x/a") == set()
    assert question.targets("x/a") == EVERY - {"x/a"}
    question = ask(egress(podSelector=ONLY_A))
    assert question.sources("x/a") == EVERY - {"x/a"}
    assert question.targets("x/a") == set()


def test_without_policy_types_ingress_is_always_meant_and_egress_where_it_has_rules(ask):
    both = kubernetes_policy(egress=[{"to": [{"podSelector": ONLY_A}]}])
    assert ask(both).sources("x/b") == set()
    assert ask(both, ingress({}, name="open")).targets("x/b") == {"x/a"}
    assert ask(both).targets("y/b") == EVERY - {"y/b"} - OF_X
    none = kubernetes_policy(egress=[])
    assert ask(none).sources("x/b") == set()
    assert ask(none).targets("x/b") == EVERY - OF_X


def test_an_egress_policy_that_names_its_type_alone_leaves_ingress_open(ask):
    assert ask(egress({"to": [{"podSelector": ONLY_A}]})).sources("x/a") == EVERY - {"x/a"}


def test_an_empty_pod_selector_selects_the_whole_namespace_and_no_other(ask):
    question = ask(ingress())
    assert [question.sources(it) for it in ("x/a", "x/b", "x/c")] == [set()] * 3
    assert question.sources("y/a") == EVERY - {"y/a"}


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ({"key": "pod", "operator": "In", "values": ["a", "b"]}, {"x/a", "x/b"}),
        ({"key": "pod", "operator": "NotIn", "values": ["a"]}, {"x/b", "x/c"}),
        ({"key": "pod", "operator": "Exists"}, {"x/a", "x/b"}),
        ({"key": "pod", "operator": "DoesNotExist"}, {"x/c"}),
    ],
)
def test_expressions_select_as_labels_say_and_what_lacks_the_key_is_not_in(ask, expression, selected):
    policy = ingress(podSelector={"matchExpressions": [expression]})
    question = ask(policy, x_c={"labels": {}})
    isolated = {it for it in OF_X if not question.sources(it)}
    assert isolated == selected


def test_labels_and_expressions_must_all_hold(ask):
    selector = ONLY_A | {"matchExpressions": [{"key": "pod", "operator": "In", "values": ["b"]}]}
    assert ask(ingress(podSelector=selector)).sources("x/a") == EVERY - {"x/a"}


@pytest.mark.parametrize("spec", [{"ingress": []}, {}, {"policyTypes": ["Ingress"]}])
def test_no_ingress_rule_is_deny_all(ask, spec):
    assert ask(kubernetes_policy(**spec)).sources("x/a") == set()


@pytest.mark.parametrize("rule", [{}, {"from": []}, {"ports": []}, {"from": [], "ports": []}])
def test_an_empty_rule_allows_everything_from_everywhere(ask, rule):
    question = ask(ingress(rule))
    assert question.sources("x/a") == EVERY - {"x/a"}
    assert question.allows("203.0.113.7", "x/a", 9999, "udp")
    assert question.allows("y/a", "x/a", 0, "icmp")


def test_an_empty_egress_rule_allows_everything_to_everywhere(ask):
    question = ask(egress({}))
    assert question.targets("x/a") == EVERY - {"x/a"}
    assert question.allows("x/a", "203.0.113.7", 9999, "udp")


def test_one_peer_with_both_selectors_is_and_and_two_peers_are_or(ask):
    both = ingress({"from": [{"podSelector": ONLY_A, "namespaceSelector": IN_Y}]})
    assert ask(both).sources("x/b") == {"y/a"}
    either = ingress({"from": [{"podSelector": ONLY_A}, {"namespaceSelector": IN_Y}]})
    assert ask(either).sources("x/b") == {"x/a", *OF_Y}


def test_a_pod_selector_alone_is_of_the_policys_own_namespace(ask):
    assert ask(ingress({"from": [{"podSelector": {}}]})).sources("x/b") == {"x/a", "x/c"}


def test_an_empty_namespace_selector_is_every_namespace_and_no_outside(ask):
    question = ask(ingress({"from": [{"namespaceSelector": {}}]}))
    assert question.sources("x/b") == EVERY - {"x/b"}
    assert not question.allows("203.0.113.7", "x/b")
    assert not question.allows("node/node-2", "x/b")
    with_pods = ask(ingress({"from": [{"namespaceSelector": {}, "podSelector": ONLY_A}]}))
    assert with_pods.sources("x/b") == {"x/a", "y/a", "z/a"}


def test_the_namespace_label_of_its_name_is_always_there(ask):
    selector = {"matchLabels": {"kubernetes.io/metadata.name": "z"}}
    assert ask(ingress({"from": [{"namespaceSelector": selector}]})).sources("x/b") == {"z/a", "z/b", "z/c"}


def test_namespace_expressions_mean_labels_of_namespaces(ask):
    selector = {"matchExpressions": [{"key": "ns", "operator": "NotIn", "values": ["x"]}]}
    assert ask(ingress({"from": [{"namespaceSelector": selector}]})).sources("x/b") == EVERY - OF_X


def test_a_block_means_addresses_whoever_has_them(ask):
    question = ask(ingress({"from": [{"ipBlock": {"cidr": "10.244.2.0/24"}}]}))
    assert question.sources("x/b") == OF_Y
    assert not question.allows("203.0.113.7", "x/b")
    outer = ask(ingress({"from": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}))
    assert outer.allows("203.0.113.7", "x/b") and not outer.sources("x/b")


def test_what_one_block_excepts_another_rule_or_policy_may_allow(ask):
    block = {"cidr": "10.244.0.0/16", "except": ["10.244.2.0/24"]}
    first = ingress({"from": [{"ipBlock": block}]}, name="first")
    assert ask(first).sources("x/b") == EVERY - {"x/b"} - OF_Y
    one = {"ipBlock": {"cidr": "10.244.2.4/32"}}
    assert "y/a" in ask(first, ingress({"from": [one]}, name="second")).sources("x/b")
    assert "y/a" in ask(ingress({"from": [{"ipBlock": block}, one]})).sources("x/b")


def test_a_ports_protocol_is_tcp_where_none_is_said(ask):
    question = ask(ingress({"ports": [{"port": 80}]}))
    assert question.allows("y/a", "x/a", 80, "tcp")
    assert not question.allows("y/a", "x/a", 80, "udp")
    assert not question.allows("y/a", "x/a", 81, "tcp")


def test_a_protocol_alone_is_all_of_its_ports(ask):
    question = ask(ingress({"ports": [{"protocol": "UDP"}]}))
    assert question.allows("y/a", "x/a", 12345, "udp")
    assert not question.allows("y/a", "x/a", 80, "tcp")


def test_an_end_port_makes_a_range_with_both_ends_in_it(ask):
    question = ask(ingress({"ports": [{"port": 80, "endPort": 90}]}))
    assert [question.allows("y/a", "x/a", port) for port in (79, 80, 90, 91)] == [False, True, True, False]


@pytest.mark.parametrize("make", [ingress, egress])
def test_a_named_port_is_resolved_by_each_destination_and_its_protocol(ask, make):
    """The name means 80 at one pod and 81 at another, and nothing where nobody has it."""
    policy = make({"ports": [tcp("web")]})
    x_a, x_b = (Port(80, 6, "web"), Port(81, 17, "web")), (Port(81, 6, "web"),)
    question = ask(policy, x_a={"ports": x_a}, x_b={"ports": x_b})
    ends = ("x/c", "x/a"), ("x/c", "x/b"), ("x/b", "x/c")
    assert [question.allows(*it, 80) for it in ends] == [True, False, False]
    assert [question.allows(*it, 81) for it in ends] == [False, True, False]
    assert not question.allows("x/c", "x/a", 81, "udp")


def test_a_connection_needs_egress_of_its_source_and_ingress_of_its_destination(ask):
    out = egress({"to": [{"namespaceSelector": IN_Y}]}, podSelector=ONLY_A)
    into = kubernetes_policy(
        "into", "y", ingress=[{"from": [{"namespaceSelector": {}, "podSelector": ONLY_A}]}]
    )
    question = ask(out, into)
    assert question.targets("x/a") == OF_Y
    assert question.targets("x/b") == EVERY - {"x/b"} - OF_Y
    verdict = question.verdict("x/a", "z/a")
    assert [it.allowed for it in verdict.of("egress")] == [False]
    assert [it.allowed for it in verdict.of("ingress")] == [True]


def test_a_pod_of_the_hosts_network_is_its_node(ask):
    """Policies do not select it, selectors do not mean it, and blocks with its node's address do."""
    fields = {"is_host_network": True, "addresses": world().nodes["node-1"].addresses}
    selectors = ask(ingress({"from": [{"podSelector": {}}]}), x_a=fields)
    assert selectors.allows("y/a", "x/a")
    closed = ask(
        kubernetes_policy("closed", "y", ingress=[{"from": [{"namespaceSelector": {}}]}]), x_a=fields
    )
    assert not closed.allows("x/a", "y/a")
    block = {"ipBlock": {"cidr": "192.168.0.1/32"}}
    assert ask(kubernetes_policy("open", "y", ingress=[{"from": [block]}]), x_a=fields).allows("x/a", "y/a")


def test_a_node_always_reaches_its_own_pods_and_others_by_policy(ask):
    question = ask(ingress())
    assert question.allows("node/node-1", "x/a")
    assert not question.allows("node/node-2", "x/a")
    block = ingress({"from": [{"ipBlock": {"cidr": "192.168.0.2/32"}}]})
    assert ask(block).allows("node/node-2", "x/a")


def test_a_pod_reaches_itself_whatever_policies_say(ask):
    assert ask(ingress(), egress(name="out")).allows("x/a", "x/a")


def test_protocols_without_ports_need_a_rule_without_ports(ask):
    assert not ask(ingress()).allows("y/a", "x/a", 0, "icmp")
    assert not ask(ingress({"ports": [{"protocol": "TCP"}]})).allows("y/a", "x/a", 0, "icmp")
    question = ask(ingress({"from": [{"namespaceSelector": IN_Y}]}))
    assert question.allows("y/a", "x/a", 0, "icmp") and not question.allows("z/a", "x/a", 0, "icmp")
    assert question.allows("y/a", "x/a", 0, 47)


def test_both_ip_versions_follow_the_same_rules_and_a_block_only_its_own(ask):
    pods = ask(ingress({"from": [{"podSelector": ONLY_A}]}))
    assert [pods.sources("x/b", version=it) for it in (4, 6)] == [{"x/a"}, {"x/a"}]
    block = ask(ingress({"from": [{"ipBlock": {"cidr": "10.244.0.0/16"}}]}))
    assert block.sources("x/b", version=4) == EVERY - {"x/b"} and not block.sources("x/b", version=6)
    six = ask(ingress({"from": [{"ipBlock": {"cidr": "fd00::/64", "except": ["fd00::4/128"]}}]}))
    assert six.sources("x/b", version=6) == EVERY - {"x/b", "y/a"} and not six.sources("x/b", version=4)


@pytest.mark.parametrize(("mine", "others"), [("SCTP", ("tcp", "udp")), ("UDP", ("tcp", "sctp"))])
def test_an_entry_of_one_protocol_isolates_and_opens_no_other(ask, mine, others):
    question = ask(ingress({"ports": [{"protocol": mine, "port": 80}]}))
    assert question.allows("y/a", "x/a", 80, mine.lower())
    assert [question.allows("y/a", "x/a", 80, it) for it in others] == [False, False]


def test_a_policy_of_another_namespace_selects_nobody_here(ask):
    question = ask(kubernetes_policy("policy", "y", podSelector=ONLY_A))
    assert question.sources("x/a") == EVERY - {"x/a"} and question.sources("y/a") == set()
