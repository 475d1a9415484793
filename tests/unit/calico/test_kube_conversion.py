"""Kubernetes' policies, namespaces and service accounts as Calico's library converts them."""

from __future__ import annotations

import pytest

from calico.kube_controllers import conversion


def converted(**spec):
    policy = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"podSelector": {}, **spec}}
    return conversion.network_policy(policy).to_object()["spec"]


def rules_from(*peers):
    return converted(ingress=[{"from": list(peers)}])["ingress"]


def test_a_policy_is_one_of_the_default_tier_at_order_1000():
    assert converted() == {
        "tier": "default",
        "order": 1000,
        "selector": "projectcalico.org/orchestrator == 'k8s'",
        "types": ["Ingress"],
    }
    policy = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {}}
    assert conversion.network_policy(policy).name == "knp.default.web"


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({"matchLabels": {"b": "2", "a": "1"}}, "a == '1' && b == '2'"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["2", "1"]}]}, "a in {'1', '2'}"),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, "a not in {'1'}"),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, "has(a)"),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, "!has(a)"),
        (
            {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]},
            "a == '1' && has(b)",
        ),
    ],
)
def test_a_label_selector_is_a_selector_of_calicos(selector, text):
    assert converted(podSelector=selector)["selector"] == f"projectcalico.org/orchestrator == 'k8s' && {text}"
    (rule,) = rules_from({"namespaceSelector": selector})
    assert rule["source"]["namespaceSelector"] == text


def test_a_peer_selects_pods_and_no_set_of_networks_by_their_labels_and_namespaces():
    of_pods = {"selector": "projectcalico.org/orchestrator == 'k8s'"}
    own, others, both = rules_from(
        {"podSelector": {}}, {"namespaceSelector": {}}, {"podSelector": {}, "namespaceSelector": {}}
    )
    assert own["source"] == of_pods
    assert others["source"] == both["source"] == {"namespaceSelector": "all()", **of_pods}


def test_no_peers_are_everybody_and_no_rules_are_nobody():
    assert converted(ingress=[{}])["ingress"] == [{"action": "Allow"}]
    assert rules_from() == [{"action": "Allow"}]
    assert "ingress" not in converted(ingress=[])


def test_a_rule_is_made_for_each_peer_and_protocol():
    peers = [{"podSelector": {"matchLabels": {"a": "1"}}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]
    ports = [{"port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}, {"port": 443}]
    rules = converted(egress=[{"to": peers, "ports": ports}])["egress"]
    assert [(it["protocol"], it["destination"]["ports"]) for it in rules] == [
        ("TCP", [80, 443]),
        ("UDP", [53]),
    ] * 2


def test_ports_that_touch_are_a_range_and_a_port_without_number_is_all_of_its_protocol():
    ports = [{"port": 82}, {"port": 80}, {"port": 81}, {"port": 90, "endPort": 99}, {"port": "http"}]
    (rule,) = converted(ingress=[{"ports": [*ports, {"port": "http"}]}])["ingress"]
    assert rule["destination"] == {"ports": ["80:82", "90:99", "http"]}
    (rule,) = converted(ingress=[{"ports": [*ports, {"protocol": "TCP"}]}])["ingress"]
    assert rule == {"action": "Allow", "protocol": "TCP"}


@pytest.mark.parametrize(
    ("cidr", "excepted", "net", "not_net"),
    [
        ("10.0.0.0/8", "10.1.0.0/16", "10.0.0.0/8", "10.1.0.0/16"),
        ("10.0.0.5/8", "10.1.2.3/16", "10.0.0.0/8", "10.1.0.0/16"),
        ("010.0.0.0/8", "10.01.0.0/16", "10.0.0.0/8", "10.1.0.0/16"),
        ("fd00:0::/32", "fd00::1/64", "fd00::/32", "fd00::/64"),
    ],
)
def test_a_block_is_networks_and_those_that_it_excepts(cidr, excepted, net, not_net):
    (rule,) = rules_from({"ipBlock": {"cidr": cidr, "except": [excepted]}})
    assert rule["source"] == {"nets": [net], "notNets": [not_net]}


def test_a_namespace_is_a_profile_that_accepts_and_gives_its_labels_on():
    profile = conversion.namespace_profile({"metadata": {"name": "shop", "labels": {"stage": "live"}}})
    assert profile.name == "kns.shop"
    assert profile.to_object()["spec"] == {
        "ingress": [{"action": "Allow"}],
        "egress": [{"action": "Allow"}],
        "labelsToApply": {"pcns.stage": "live", "pcns.projectcalico.org/name": "shop"},
    }


def test_a_service_account_is_a_profile_that_gives_its_labels_on():
    account = {"metadata": {"name": "robot", "namespace": "shop", "labels": {"role": "bot"}}}
    profile = conversion.account_profile(account)
    assert profile.name == "ksa.shop.robot"
    assert profile.to_object()["spec"] == {
        "labelsToApply": {"pcsa.role": "bot", "pcsa.projectcalico.org/name": "robot"}
    }
