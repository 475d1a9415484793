"""Rules of policies: what they fill in, what they refuse and at which field, JSON there and back."""

from __future__ import annotations

import json

import pytest
from support.calico_policies import obj, refused

from calico.resources.numbers_or_names import Port
from calico.resources.policies import NetworkPolicy
from calico.resources.rules import PolicyRule
from calico.resources.staged_kubernetes import StagedKubernetesNetworkPolicy
from calico.resources.table import RESOURCE_TYPES


def rule_of(**given):
    spec = {"ingress": [{"action": "Allow", **given}]}
    return NetworkPolicy.from_manifest(obj("NetworkPolicy", spec)).spec.ingress[0]


def refused_rule(**given):
    found = refused("NetworkPolicy", {"ingress": [{"action": "Allow", **given}]})
    return [(path.removeprefix("spec.ingress[0]."), reason) for path, reason in found]


FULL_RULE = {
    "action": "Allow",
    "ipVersion": 4,
    "protocol": "TCP",
    "notProtocol": "UDP",
    "source": {
        "nets": ["10.0.0.0/8"],
        "notNets": ["10.1.0.0/16"],
        "selector": "app == 'web'",
        "notSelector": "has(canary)",
        "namespaceSelector": "has(team)",
        "ports": [80, "8000:8080", "http"],
        "notPorts": [8001],
        "serviceAccounts": {"names": ["one"], "selector": "has(role)"},
    },
    "metadata": {"annotations": {"from": "10-web"}},
}
ICMP_RULE = {"action": "Deny", "protocol": "ICMP", "icmp": {"type": 8, "code": 0}, "notICMP": {"type": 3}}
SERVICE_RULE = {"action": "Pass", "destination": {"services": {"name": "dns", "namespace": "kube-system"}}}


@pytest.mark.parametrize(
    "given",
    [
        obj(
            "NetworkPolicy", {"tier": "default", "order": 10.5, "types": ["Ingress"], "ingress": [FULL_RULE]}
        ),
        obj("NetworkPolicy", {"tier": "a", "types": ["Egress"], "egress": [ICMP_RULE, {"action": "Log"}]}),
        obj(
            "GlobalNetworkPolicy",
            {
                "tier": "default",
                "types": ["Ingress"],
                "ingress": [{"action": "Deny", "protocol": 89}],
                "selector": "has(host)",
                "preDNAT": True,
                "applyOnForward": True,
            },
        ),
        obj("GlobalNetworkPolicy", {"tier": "default", "types": ["Egress"], "egress": [SERVICE_RULE]}),
        obj("StagedNetworkPolicy", {"tier": "default", "types": ["Ingress"], "stagedAction": "Learn"}),
        obj("StagedGlobalNetworkPolicy", {"tier": "default", "stagedAction": "Delete"}),
        obj(
            "StagedKubernetesNetworkPolicy",
            {
                "stagedAction": "Set",
                "podSelector": {"matchLabels": {"app": "web"}},
                "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 80}]}],
            },
        ),
        obj("Tier", {"order": 100, "defaultAction": "Pass"}),
        obj("NetworkSet", {"nets": ["10.0.0.0/24", "fd00::/64"]}, labels={"role": "db"}),
        obj("GlobalNetworkSet", {"nets": ["192.0.2.1/32"]}),
        obj(
            "HostEndpoint",
            {
                "node": "node-1",
                "interfaceName": "eth0",
                "expectedIPs": ["192.168.0.11", "fd00::1"],
                "profiles": ["projectcalico-default-allow"],
                "ports": [{"name": "ssh", "protocol": "TCP", "port": 22}],
            },
        ),
        obj("Profile", {"ingress": [FULL_RULE], "labelsToApply": {"pcns.team": "blue"}}),
    ],
    ids=lambda it: it["kind"],
)
def test_json_comes_back_as_it_went_in(given):
    noun = RESOURCE_TYPES[given["kind"]]
    assert noun.from_manifest(given).to_object() == given
    assert noun.from_object(json.loads(json.dumps(given))) == noun.from_manifest(given)


def test_a_rule_reads_as_numbers_names_and_networks():
    rule = rule_of(**{key: value for key, value in FULL_RULE.items() if key != "action"})
    assert rule.source.ports == (Port(80, 80), Port(8000, 8080), Port(name="http"))
    assert [str(port) for port in rule.source.ports] == ["80", "8000:8080", "http"]
    assert (rule.protocol_number, rule.not_protocol_number) == (6, 17)
    assert rule == rule_of(**FULL_RULE) and hash(rule) == hash(rule_of(**FULL_RULE))


def test_a_rule_that_says_its_action_alone_matches_all():
    assert rule_of() == PolicyRule(action="Allow")
    assert NetworkPolicy.from_manifest(
        obj("NetworkPolicy", {"ingress": [{"action": "Allow", "source": {}, "destination": {}}]})
    ).to_object()["spec"]["ingress"] == [{"action": "Allow"}]


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ({}, ("Ingress",)),
        ({"ingress": [{"action": "Allow"}]}, ("Ingress",)),
        ({"egress": [{"action": "Allow"}]}, ("Egress",)),
        ({"ingress": [{"action": "Allow"}], "egress": [{"action": "Deny"}]}, ("Ingress", "Egress")),
        ({"ingress": [{"action": "Allow"}], "types": ["Egress"]}, ("Egress",)),
        ({"ingress": [], "egress": [], "types": []}, ("Ingress",)),
    ],
)
def test_types_not_given_follow_the_rules_and_are_stored(spec, types):
    policy = NetworkPolicy.from_manifest(obj("NetworkPolicy", spec))
    assert policy.spec.effective_types == types
    assert policy.to_object()["spec"]["types"] == list(types)


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ({}, ("Ingress",)),
        ({"egress": [{}]}, ("Ingress", "Egress")),
        ({"policyTypes": ["Egress"]}, ("Egress",)),
    ],
)
def test_a_staged_policy_of_kubernetes_is_about_ingress_in_any_case(spec, types):
    kind = "StagedKubernetesNetworkPolicy"
    assert StagedKubernetesNetworkPolicy.from_manifest(obj(kind, spec)).spec.effective_types == types


def test_a_policy_without_a_tier_is_in_the_default_one_and_after_those_with_an_order():
    spec = NetworkPolicy.from_manifest(obj("NetworkPolicy", {"tier": ""})).spec
    assert (spec.tier, spec.order) == ("default", None)


@pytest.mark.parametrize(
    ("given", "path", "reason"),
    [
        ({"protocol": "tcp"}, "protocol", "protocol name invalid: must be one of TCP, UDP, ICMP"),
        ({"protocol": 0}, "protocol", "protocol number invalid: must be between 1 and 255"),
        ({"notProtocol": 256}, "notProtocol", "protocol number invalid"),
        ({"source": {"ports": [80]}}, "source.ports", "rules that specify ports must set protocol to TCP or"),
        (
            {"protocol": "ICMP", "destination": {"notPorts": [80]}},
            "destination.notPorts",
            "rules that specify",
        ),
        ({"protocol": "UDPLite", "source": {"ports": [80]}}, "source.ports", "rules that specify ports must"),
        ({"protocol": "TCP", "source": {"ports": [0]}}, "source.ports[0]", "must be a port from 1 to 65535"),
        ({"protocol": "TCP", "source": {"ports": [65536]}}, "source.ports[0]", "must be a port from 1 to"),
        ({"protocol": "TCP", "source": {"ports": ["9:8"]}}, "source.ports[0]", "minimum port number (9) is"),
        ({"protocol": "TCP", "source": {"ports": ["8-9"]}}, "source.ports[0]", "with a colon: 8:9"),
        ({"protocol": "TCP", "source": {"ports": ["Http"]}}, "source.ports[0]", "must contain only alpha"),
        ({"protocol": "TCP", "source": {"ports": [True]}}, "source.ports[0]", "must be a port from 1 to"),
        ({"icmp": {"type": 8}}, "icmp", "rules that specify ICMP fields must set protocol to ICMP"),
        ({"protocol": "TCP", "notICMP": {"type": 8}}, "notICMP", "rules that specify ICMP fields must set"),
        ({"protocol": "ICMP", "icmp": {"code": 0}}, "icmp.code", "ICMP code specified without an ICMP type"),
        (
            {"protocol": "ICMP", "icmp": {"type": 255}},
            "icmp.type",
            "must be a whole number between 0 and 254",
        ),
        ({"protocol": "ICMP", "ipVersion": 6}, "ipVersion", "must set ipversion to '4' with protocol icmp"),
        ({"notProtocol": 58, "ipVersion": 4}, "ipVersion", "must set ipversion to '6' with protocol icmpv6"),
        ({"ipVersion": 5}, "ipVersion", "must be 4 or 6"),
        (
            {"source": {"nets": ["10.0.0.1/8"]}},
            "source.nets[0]",
            "CIDR is not strictly masked; write 10.0.0.0/8",
        ),
        ({"source": {"nets": ["10.0.0.1"]}}, "source.nets[0]", "must be a valid subnet"),
        (
            {"ipVersion": 6, "source": {"notNets": ["10.0.0.0/8"]}},
            "source.notNets",
            "rule IP version doesn't",
        ),
        (
            {"source": {"nets": ["10.0.0.0/8"]}, "destination": {"nets": ["fd00::/8"]}},
            "destination.nets",
            "rule contains both IPv4 and IPv6 CIDRs",
        ),
        ({"source": {"nets": ["10.0.0.0/8", "fd00::/8"]}}, "source.nets", "rule contains both IPv4 and IPv6"),
        (
            {"source": {"selector": "app = 'web'"}},
            "source.selector",
            "invalid selector: expected == at column",
        ),
        (
            {"source": {"selector": "global( )"}},
            "source.selector",
            "global() can only be used in an EntityRule",
        ),
        (
            {"source": {"namespaceSelector": "has(a) || global()"}},
            "source.namespaceSelector",
            "global() cannot be combined with other selectors",
        ),
        ({"source": {"services": {}}}, "source.services.name", "must be specified"),
        (
            {"source": {"services": {"name": "dns"}, "selector": "all()"}},
            "source.services",
            "cannot specify Selector/NotSelector and Services on the same rule",
        ),
        (
            {"source": {"services": {"name": "dns"}, "namespaceSelector": "all()"}},
            "source.services",
            "cannot specify NamespaceSelector and Services on the same rule",
        ),
        (
            {"source": {"services": {"name": "dns"}, "notNets": ["10.0.0.0/8"]}},
            "source.services",
            "cannot specify Nets/NotNets and Services on the same rule",
        ),
        (
            {"source": {"services": {"name": "dns"}, "serviceAccounts": {"names": ["a"]}}},
            "source.services",
            "cannot specify ServiceAccounts and Services on the same rule",
        ),
        (
            {"destination": {"services": {"name": "dns"}}},
            "destination.services",
            "not allowed in ingress rule destination",
        ),
        ({"http": {"methods": ["GET"]}}, "http", "HTTP is matched by the sidecars of Istio"),
        ({"metadata": {"annotations": {"a b": "c"}}}, "metadata.annotations", "name part must consist of"),
        ({"source": {"net": "10.0.0.0/8"}}, "source.net", "unknown field; did you mean nets?"),
    ],
)
def test_a_rule_that_calico_does_not_take_is_refused_at_its_field(given, path, reason):
    found = refused_rule(**given)
    assert any(it == path and reason in why for it, why in found), found


def test_an_action_is_one_of_four_to_the_letter():
    spec = {"ingress": [{"action": "allow"}, {}]}
    assert refused("NetworkPolicy", spec) == [
        ("spec.ingress[0].action", "must be one of: Allow, Deny, Log, Pass"),
        ("spec.ingress[1].action", "must be specified"),
    ]


@pytest.mark.parametrize("port", [{"ports": [80]}, {"notPorts": ["80:90"]}])
def test_a_service_brings_its_own_ports(port):
    rule = {"action": "Allow", "protocol": "TCP", "destination": {"services": {"name": "dns"}} | port}
    (name,) = port
    assert refused("NetworkPolicy", {"egress": [rule]}) == [
        (f"spec.egress[0].destination.{name}", f"cannot specify {name.lower()} with a service selector")
    ]


def test_a_service_is_the_source_of_ingress_and_the_destination_of_egress():
    given = {"action": "Allow", "source": {"services": {"name": "web"}}}
    assert NetworkPolicy.from_manifest(obj("NetworkPolicy", {"ingress": [given]}))
    assert refused("NetworkPolicy", {"egress": [given]}) == [
        ("spec.egress[0].source.services", "not allowed in egress rule source")
    ]
    assert refused("GlobalNetworkPolicy", {"ingress": [given]}) == [
        ("spec.ingress[0].source.services.namespace", "must specify a namespace")
    ]
