"""What a rule of Calico's matches: selectors, networks, ports, protocols, accounts, services."""

from __future__ import annotations

import pytest
from support.policy_worlds import PODS, Question, calico, world

from calico.policy.evaluator import CalicoEvaluator
from fabric.plugin.policies import Port
from fabric.plugin.policy_reading import BadPolicy

EVERY = set(PODS)
OF_X, OF_Y, OF_Z = ({f"{namespace}/{name}" for name in "abc"} for namespace in "xyz")
ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot", "namespace": "y"}}


def ask(*objects, **changes):
    return Question(world(*objects, **changes), CalicoEvaluator)


def into_x(rule, *, kind="NetworkPolicy"):
    """A policy of x/b whose only rule allows what `rule` says."""
    namespace = "x" if kind == "NetworkPolicy" else ""
    selector = "pod == 'b'" if namespace else "pod == 'b' && projectcalico.org/namespace == 'x'"
    return calico(kind, "p", namespace, selector=selector, ingress=[{"action": "Allow"} | rule])


def sources(rule, *objects, kind="NetworkPolicy", **changes):
    return ask(into_x(rule, kind=kind), *objects, **changes).sources("x/b")


GLOBAL = {"kind": "GlobalNetworkPolicy"}


@pytest.mark.parametrize(
    ("source", "options", "allowed"),
    [
        ({}, {}, EVERY),
        ({"selector": "pod == 'a'"}, {}, {"x/a"}),
        ({"selector": "pod == 'a'"}, GLOBAL, {"x/a", "y/a", "z/a"}),
        ({"selector": "all()"}, {}, OF_X),
        ({"selector": "pod in {'a', 'c'} && !(pod == 'c')"}, GLOBAL, {"x/a", "y/a", "z/a"}),
        ({"selector": "pod starts with 'a' || has(nothing)"}, {}, {"x/a"}),
        ({"notSelector": "pod == 'a'"}, {}, {"x/c"}),
        ({"notSelector": "pod == 'a'"}, GLOBAL, EVERY - {"x/a", "y/a", "z/a"}),
        ({"selector": "all()", "notSelector": "pod == 'a'"}, {}, {"x/c"}),
        ({"namespaceSelector": "ns == 'y'"}, {}, OF_Y),
        ({"namespaceSelector": "ns == 'y'", "selector": "pod == 'a'"}, {}, {"y/a"}),
        ({"namespaceSelector": "all()"}, {}, EVERY),
        (
            {"namespaceSelector": "ns in {'y', 'z'}", "notSelector": "pod == 'a'"},
            {},
            {"y/b", "y/c", "z/b", "z/c"},
        ),
        ({"namespaceSelector": "global()"}, GLOBAL, set()),
        ({"namespaceSelector": "projectcalico.org/name == 'z'"}, {}, OF_Z),
        ({"nets": ["10.244.2.0/24"]}, {}, OF_Y),
        ({"nets": ["10.244.2.0/24", "10.244.3.7/32"]}, {}, OF_Y | {"z/a"}),
        ({"notNets": ["10.244.2.0/24"]}, {}, OF_X | OF_Z),
        ({"nets": ["10.244.0.0/16"], "notNets": ["10.244.2.0/24"]}, {}, OF_X | OF_Z),
        ({"nets": ["10.244.2.0/24"], "selector": "pod == 'a'"}, GLOBAL, {"y/a"}),
        ({"nets": ["fd00::/64"]}, {}, set()),
        ({"notNets": ["fd00::/64"]}, {}, set()),
        ({"nets": ["fd00::/64", "10.244.2.0/24"]}, {}, OF_Y),
        ({"serviceAccounts": {"names": ["robot"]}}, {}, set()),
        ({"serviceAccounts": {"names": ["robot"]}, "namespaceSelector": "all()"}, {}, {"y/a"}),
        ({"serviceAccounts": {"names": ["robot"]}}, GLOBAL, {"y/a"}),
        ({"serviceAccounts": {"selector": "role == 'cleaner'"}}, GLOBAL, {"y/a"}),
        ({"serviceAccounts": {"selector": "role == 'cleaner'", "names": ["other"]}}, GLOBAL, set()),
        ({"serviceAccounts": {"names": ["robot"]}, "selector": "pod == 'b'"}, GLOBAL, set()),
    ],
)
def test_whom_a_source_means(source, options, allowed):
    account = ACCOUNT | {"metadata": ACCOUNT["metadata"] | {"labels": {"role": "cleaner"}}}
    found = sources({"source": source}, account, y_a={"service_account": "robot"}, **options)
    assert found == allowed - {"x/b"}


def test_a_source_that_names_nobody_means_those_outside_too_and_a_selector_does_not():
    assert ask(into_x({})).allows("203.0.113.7", "x/b")
    assert not ask(into_x({"source": {"selector": "all()"}}, **GLOBAL)).allows("203.0.113.7", "x/b")
    assert ask(into_x({"source": {"notSelector": "all()"}}, **GLOBAL)).allows("203.0.113.7", "x/b")


def test_what_a_pod_has_itself_wins_over_what_it_inherits():
    labels = {"pod": "a", "pcns.ns": "z"}
    assert sources({"source": {"namespaceSelector": "ns == 'z'"}}, y_a={"labels": labels}) == OF_Z | {"y/a"}


@pytest.mark.parametrize(
    ("kind", "namespace", "options", "allowed"),
    [
        ("GlobalNetworkSet", "", GLOBAL, True),
        ("NetworkSet", "x", GLOBAL, True),
        ("NetworkSet", "x", {}, True),
        ("NetworkSet", "y", {}, False),
        ("GlobalNetworkSet", "", {}, False),
    ],
)
def test_sets_of_networks_are_meant_by_their_labels_and_namespace(kind, namespace, options, allowed):
    given = calico(kind, "set", namespace, {"partner": "yes"}, nets=["203.0.113.0/24"])
    policy = into_x({"source": {"selector": "partner == 'yes'"}}, **options)
    question = ask(policy, given)
    assert question.allows("203.0.113.7", "x/b") is allowed
    assert not question.allows("203.0.114.7", "x/b")


def test_global_means_sets_of_the_whole_cluster_alone():
    sets = [
        calico("GlobalNetworkSet", "set", labels={"s": "1"}, nets=["203.0.113.0/24"]),
        calico("NetworkSet", "set", "x", labels={"s": "1"}, nets=["198.51.100.0/24"]),
    ]
    question = ask(into_x({"source": {"namespaceSelector": "global()"}}), *sets)
    assert question.allows("203.0.113.7", "x/b") and not question.allows("198.51.100.7", "x/b")
    every = ask(into_x({"source": {"namespaceSelector": "all()", "selector": "s == '1'"}}), *sets)
    assert every.allows("198.51.100.7", "x/b") and not every.allows("203.0.113.7", "x/b")


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        ({"protocol": "TCP"}, {("tcp", 80), ("tcp", 81), ("tcp", 90)}),
        ({"protocol": 17}, {("udp", 80)}),
        ({"protocol": "6"}, {("tcp", 80), ("tcp", 81), ("tcp", 90)}),
        ({"notProtocol": "TCP"}, {("udp", 80), ("icmp", 0)}),
        ({"protocol": "TCP", "destination": {"ports": [80, 90]}}, {("tcp", 80), ("tcp", 90)}),
        ({"protocol": "TCP", "destination": {"ports": ["81:89"]}}, {("tcp", 81)}),
        ({"protocol": "TCP", "destination": {"ports": ["80"]}}, {("tcp", 80)}),
        ({"protocol": "TCP", "destination": {"ports": ["serve-80-tcp", 90]}}, {("tcp", 80), ("tcp", 90)}),
        ({"protocol": "UDP", "destination": {"ports": ["serve-80-tcp"]}}, set()),
        ({"protocol": "UDP", "destination": {"ports": ["serve-80-udp"]}}, {("udp", 80)}),
        ({"protocol": "TCP", "destination": {"notPorts": [80]}}, {("tcp", 81), ("tcp", 90)}),
        ({"protocol": "TCP", "destination": {"notPorts": ["serve-81-tcp", 90]}}, {("tcp", 80)}),
        ({"protocol": "TCP", "destination": {"ports": ["80:90"], "notPorts": ["81:90"]}}, {("tcp", 80)}),
        ({"protocol": "TCP", "source": {"ports": [49152]}}, {("tcp", 80), ("tcp", 81), ("tcp", 90)}),
        ({"protocol": "TCP", "source": {"ports": [80]}}, set()),
        ({"ipVersion": 6}, set()),
        ({"ipVersion": 4, "protocol": "UDP"}, {("udp", 80)}),
        ({"protocol": "ICMP"}, {("icmp", 0)}),
        ({"protocol": "ICMP", "icmp": {"type": 8}}, {("icmp", 0)}),
        ({"protocol": "ICMP", "icmp": {"type": 8, "code": 1}}, set()),
        ({"protocol": "ICMP", "icmp": {"type": 0}}, set()),
        ({"protocol": "ICMP", "notICMP": {"type": 8}}, set()),
        ({"protocol": "ICMP", "notICMP": {"type": 8, "code": 1}}, {("icmp", 0)}),
    ],
)
def test_which_protocols_and_ports_a_rule_means(rule, allowed):
    question = ask(into_x(rule))
    asked = [("tcp", 80), ("tcp", 81), ("tcp", 90), ("udp", 80), ("icmp", 0)]
    assert {it for it in asked if question.allows("y/a", "x/b", it[1], it[0])} == allowed


def test_a_named_port_is_one_of_whom_the_selector_selects():
    """The same address may be a pod's and a set's, and only the pod has ports."""
    out = {"protocol": "TCP", "destination": {"selector": "pod == 'b'", "ports": ["web"]}}
    policy = calico("GlobalNetworkPolicy", "p", selector="pod == 'a'", egress=[{"action": "Allow"} | out])
    web, other = (Port(80, 6, "web"),), (Port(81, 6, "web"),)
    question = ask(policy, x_b={"ports": web}, y_b={"ports": other}, x_c={"ports": web})
    assert question.targets("x/a", 80) == {"x/b"} and question.targets("x/a", 81) == {"y/b"}


def test_a_service_as_destination_is_its_endpoints_with_their_ports():
    piece = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "namespace": "y", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": ["10.244.2.4"]}],
        "ports": [{"protocol": "TCP", "port": 80}],
    }
    rule = {"action": "Allow", "destination": {"services": {"name": "web", "namespace": "y"}}}
    policy = calico("NetworkPolicy", "p", "x", selector="all()", egress=[rule])
    assert ask(policy, piece).targets("x/a", 80) == {"y/a"}
    assert ask(policy, piece).targets("x/a", 81) == set()
    assert ask(policy).targets("x/a", 80) == set()
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "y"},
        "spec": {"selector": {"pod": "b"}, "ports": [{"port": 8080, "targetPort": "serve-80-tcp"}]},
    }
    assert ask(policy, service).targets("x/a", 80) == {"y/b"}
    into = into_x({"source": {"services": {"name": "web", "namespace": "y"}}})
    assert ask(into, service).sources("x/b", 4242) == {"y/b"}


@pytest.mark.parametrize(
    ("spec", "selected"),
    [
        ({"selector": "pod == 'a'"}, {"x/a", "y/a", "z/a"}),
        ({}, EVERY),
        ({"namespaceSelector": "ns == 'y'"}, OF_Y),
        ({"namespaceSelector": "all()"}, EVERY),
        ({"selector": "pod == 'a'", "namespaceSelector": "ns != 'y'"}, {"x/a", "z/a"}),
        ({"serviceAccountSelector": "projectcalico.org/name == 'robot'"}, {"y/a"}),
        ({"selector": "projectcalico.org/orchestrator == 'k8s' && pcns.ns == 'z'"}, OF_Z),
        ({"selector": "all()", "doNotTrack": True, "applyOnForward": True}, set()),
    ],
)
def test_whom_a_policy_of_the_cluster_selects(spec, selected):
    policy = calico("GlobalNetworkPolicy", "p", **spec)
    question = ask(policy, ACCOUNT, y_a={"service_account": "robot"})
    assert {str(it) for it in question.evaluator.selected(policy)} == selected
    assert {it for it in PODS if not question.sources(it)} == selected


def test_peers_of_a_rule_are_endpoints_one_of_whose_addresses_it_means():
    policy = into_x({"source": {"nets": ["10.244.2.0/24"], "notSelector": "pod == 'b'"}}, **GLOBAL)
    question = ask(policy)
    ((rule,),) = (it.rules for it in question.evaluator.describe())
    assert [{str(it) for it in peer.endpoints} for peer in rule.peers] == [{"y/a", "y/c"}]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"action": "Reject"}, "spec.ingress[0].action: 'Reject' is none of Allow, Deny, Log, Pass"),
        (
            {"protocol": "TPC"},
            "spec.ingress[0].protocol: unknown protocol 'TPC': a number, or one of icmp, tcp",
        ),
        ({"source": {"selector": "pod = 'a'"}}, "spec.ingress[0].source.selector: "),
        ({"source": {"nets": ["10.0.0.0/33"]}}, "spec.ingress[0].source.nets[0]: "),
        ({"source": {"port": [80]}}, "spec.ingress[0].source.port: unknown field (allowed: "),
        ({"protocol": "TCP", "source": {"ports": ["90:80"]}}, "spec.ingress[0].source.ports[0]: "),
        ({"source": {"ports": ["a b"]}}, "'a b' is no port: a number, a range such as 80:90, or a name"),
        ({"ipVersion": 5}, "spec.ingress[0].ipVersion: must be 4 or 6"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(rule, said):
    with pytest.raises(BadPolicy) as error:
        ask(into_x(rule))
    assert said in str(error.value) and str(error.value).startswith("NetworkPolicy x/p: ")
