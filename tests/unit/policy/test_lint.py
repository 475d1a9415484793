"""Findings in policies, each with its field; and none in policies that are as they should be."""

from __future__ import annotations

import pytest
from support.policy_worlds import calico, kubernetes_policy, world

from fabric.policy import evaluators
from fabric.policy.lint import findings

ONLY_A = {"matchLabels": {"pod": "a"}}
SPACES = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": it}} for it in "xyz"]


def found(*objects, plugin=None, **changes):
    of = world(*SPACES, *objects, **changes)
    name = plugin or evaluators.plugin_for(of)
    return [(it.path, it.what) for it in findings(of, evaluators.of(name, of), name)]


def ingress(*rules, **spec):
    return kubernetes_policy(ingress=list(rules), **spec)


GOOD = ingress(
    {"from": [{"podSelector": ONLY_A}, {"ipBlock": {"cidr": "203.0.113.0/24"}}], "ports": [{"port": 80}]}
)


@pytest.mark.parametrize("plugin", ["kubernetes", "calico"])
@pytest.mark.parametrize(
    ("policy", "path", "said"),
    [
        (ingress(podSelector={"matchLabels": {"pod": "z"}}), "spec", "no pod has these labels"),
        (kubernetes_policy("p", "nowhere"), "metadata.namespace", "there is no Namespace nowhere"),
        (
            ingress({"from": [{"podSelector": {"matchLabels": {"no": "w"}}}]}),
            "spec.ingress[0].from[0]",
            "nobody",
        ),
        (
            ingress({"from": [{"podSelector": ONLY_A}, {"namespaceSelector": {"matchLabels": {"ns": "w"}}}]}),
            "spec.ingress[0].from[1]",
            "matches nobody",
        ),
        (
            ingress({"ports": [{"port": 80}, {"port": 8080}]}),
            "spec.ingress[0].ports[1]",
            "serves port 8080/tcp",
        ),
        (ingress({"ports": [{"port": 90, "endPort": 99}]}), "spec.ingress[0].ports[0]", "port 90 to 99/tcp"),
        (ingress({"ports": [{"port": "web"}]}), "spec.ingress[0].ports[0]", "a tcp port named 'web'"),
        (
            ingress({"ports": [{"port": "serve-80-udp"}]}),
            "spec.ingress[0].ports[0]",
            "a tcp port named 'serve-80-udp': it matches nothing",
        ),
        (ingress({}, {"from": [{"podSelector": ONLY_A}]}), "spec.ingress[1]", "spec.ingress[0] decides all"),
        (
            ingress({"ports": [{"port": 80, "endPort": 81}]}, {"ports": [{"port": 81}]}),
            "spec.ingress[1]",
            "is never needed",
        ),
        (
            ingress({"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["192.168.0.0/16"]}}]}),
            "spec.ingress[0].from[0]",
            "192.168.0.0/16 is outside of 10.0.0.0/8: it excepts nothing",
        ),
        (
            ingress({}, policyTypes=["Ingress"], egress=[{}]),
            "spec.egress",
            "has no effect: the policy's types do not name Egress",
        ),
    ],
)
def test_a_fault_is_found_at_its_field_and_no_other(policy, path, said, plugin):
    results = found(policy, plugin=plugin)
    assert any(at.startswith(path) and said in what for at, what in results), results
    others = {"metadata.namespace", "spec"} if "namespace" in path else {path}
    assert all(any(at.startswith(it) for it in others) for at, _ in results), results


@pytest.mark.parametrize("plugin", ["kubernetes", "calico"])
def test_good_policies_have_no_finding(plugin):
    egress = kubernetes_policy("out", "y", policyTypes=["Egress"], egress=[{"ports": [{"port": 5432}]}])
    assert found(GOOD, egress, kubernetes_policy("deny", "z"), plugin=plugin) == []


def test_a_policy_for_pods_of_the_hosts_network_says_so():
    on_host = {"is_host_network": True}
    results = found(GOOD, x_a=on_host, x_b=on_host, x_c=on_host)
    assert (
        "spec",
        "selects nobody: all pods there are of the host's network, where policies do not apply",
    ) in results


def test_a_kind_that_nobody_reads_is_told():
    cilium = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "p", "namespace": "x"},
    }
    assert found(cilium) == [("apiVersion", "kubernetes does not read cilium.io/v2: it changes nothing")]


def gnp(*rules, **spec):
    return calico("GlobalNetworkPolicy", "p", **({"selector": "all()", "ingress": list(rules)} | spec))


@pytest.mark.parametrize(
    ("policy", "path", "said"),
    [
        (gnp(tier="none"), "spec.tier", "no tier 'none'"),
        (gnp(selector="pod == 'nobody'"), "spec", "selects nobody"),
        (gnp({"action": "Allow", "source": {"selector": "pod == 'd'"}}), "spec.ingress[0].source", "nobody"),
        (
            gnp({"action": "Deny"}, {"action": "Allow", "protocol": "TCP"}),
            "spec.ingress[1]",
            "is never needed",
        ),
        (
            gnp(
                {"action": "Pass", "protocol": "TCP"}, {"action": "Allow", "protocol": "TCP", "ipVersion": 4}
            ),
            "spec.ingress[1]",
            "spec.ingress[0] decides all of it",
        ),
        (
            gnp({"action": "Allow", "source": {"nets": ["10.0.0.0/8"], "notNets": ["11.0.0.0/8"]}}),
            "spec.ingress[0].source",
            "11.0.0.0/8 is outside of 10.0.0.0/8",
        ),
        (
            gnp({"action": "Allow", "source": {"nets": ["10.1.0.0/16"], "notNets": ["10.0.0.0/8"]}}),
            "spec.ingress[0].source",
            "all of 10.1.0.0/16 is excepted",
        ),
    ],
)
def test_faults_of_calicos_policies(policy, path, said):
    assert any(at == path and said in what for at, what in found(policy))


def test_a_rule_that_logs_covers_none_and_a_set_of_networks_is_somebody():
    rules = {"action": "Log"}, {"action": "Allow", "source": {"selector": "partner == 'yes'"}}
    given = calico("GlobalNetworkSet", "set", labels={"partner": "yes"}, nets=["203.0.113.0/24"])
    assert found(gnp(*rules), given) == []
