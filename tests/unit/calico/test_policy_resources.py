"""Policies, tiers, sets and host endpoints: what they refuse, and at which field."""

from __future__ import annotations

import orjson
import pytest
from support.calico_policies import obj, refused

from calico.resources.endpoints import Profile
from calico.resources.policies import GlobalNetworkPolicy, NetworkPolicy, StagedNetworkPolicy
from calico.resources.refusals import InvalidResource
from calico.resources.table import RESOURCE_TYPES
from calico.resources.tiers import Tier, own_tiers


@pytest.mark.parametrize(
    ("spec", "paths"),
    [
        ({"types": ["Ingress", "Ingress"]}, ["spec.types"]),
        ({"types": ["ingress"]}, ["spec.types[0]"]),
        ({"order": "10"}, ["spec.order"]),
        ({"order": True}, ["spec.order"]),
        ({"order": float("nan")}, ["spec.order"]),
        ({"order": float("-inf")}, ["spec.order"]),
        ({"order": 10**30}, ["spec.order"]),
        ({"selector": "app ="}, ["spec.selector"]),
        ({"selector": "global()"}, ["spec.selector"]),
        ({"serviceAccountSelector": "global()"}, ["spec.serviceAccountSelector"]),
        ({"namespaceSelector": "global()"}, ["spec.namespaceSelector"]),
        ({"performanceHints": ["Fast"]}, ["spec.performanceHints[0]"]),
        ({"tier": "A"}, ["spec.tier"]),
        ({"doNotTrack": True}, ["spec.applyOnForward"]),
        ({"preDNAT": True, "doNotTrack": True, "applyOnForward": True}, ["spec.preDNAT"]),
        ({"preDNAT": True, "applyOnForward": True, "egress": [{"action": "Deny"}]}, ["spec.egress"]),
        ({"preDNAT": True, "applyOnForward": True, "types": ["Egress"]}, ["spec.types"]),
        ({"rules": []}, ["spec.rules"]),
    ],
)
def test_a_policy_that_calico_does_not_take_is_refused_at_its_field(spec, paths):
    assert [path for path, _ in refused("GlobalNetworkPolicy", spec)] == paths


@pytest.mark.parametrize(("order", "written"), [(1.0, b"1"), (-1e300, b"-1e+300"), (2.0**63, b"9.22")])
def test_an_order_of_any_size_is_written_as_json(order, written):
    spec = GlobalNetworkPolicy.from_manifest(obj("GlobalNetworkPolicy", {"order": order})).to_object()["spec"]
    assert orjson.dumps(spec["order"]).startswith(written)


def test_fields_of_global_policies_are_none_of_a_namespaces():
    assert [path for path, _ in refused("NetworkPolicy", {"doNotTrack": True})] == ["spec.doNotTrack"]


@pytest.mark.parametrize("name", ["allow-web", "default.allow-web", "security.allow-web"])
def test_a_policys_name_has_at_most_one_dot(name):
    assert NetworkPolicy.from_manifest(obj("NetworkPolicy", name=name)).name == name
    for kind in ("NetworkPolicy", "GlobalNetworkPolicy", "StagedNetworkPolicy", "StagedGlobalNetworkPolicy"):
        ((path, reason),) = refused(kind, name=f"{name}.a.b")
        assert path == "metadata.name" and reason.startswith("name must consist of lower case alphanumeric")


def test_a_staged_deletion_says_nothing_but_the_tier():
    spec = {"stagedAction": "Delete", "tier": "security", "order": 3, "types": ["Ingress"]}
    found = refused("StagedNetworkPolicy", spec)
    assert [path for path, _ in found] == ["spec.order", "spec.types"]
    assert found[0][1] == "Spec fields, except Tier, should all be zero-value if stagedAction is Delete"
    deletion = StagedNetworkPolicy.from_manifest(
        obj("StagedNetworkPolicy", {"stagedAction": "Delete", "tier": "security"})
    )
    assert deletion.spec.types == ()
    kubernetes = {"stagedAction": "Delete", "policyTypes": ["Egress"]}
    assert [path for path, _ in refused("StagedKubernetesNetworkPolicy", kubernetes)] == ["spec.policyTypes"]


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"podSelector": {"matchLabel": {}}}, "spec.podSelector"),
        ({"ingress": [{"to": []}]}, "spec.ingress[0]"),
        ({"egress": [{"ports": [{"port": 80, "protocol": "ICMP"}]}]}, "spec.egress[0].ports[0].protocol"),
        ({"ingress": [{"from": [{"ipBlock": {}}]}]}, "spec.ingress[0].from[0].ipBlock"),
        ({"policyTypes": ["Both"]}, "spec.policyTypes[0]"),
        ({"stagedAction": "Unset"}, "spec.stagedAction"),
    ],
)
def test_a_staged_policy_of_kubernetes_is_judged_by_its_schema(spec, path):
    assert [it for it, _ in refused("StagedKubernetesNetworkPolicy", spec)] == [path]


def test_a_tier_that_says_no_order_has_that_of_the_default_tier():
    assert Tier.from_manifest(obj("Tier")).to_object()["spec"] == {
        "order": 1_000_000,
        "defaultAction": "Deny",
    }


@pytest.mark.parametrize(
    ("name", "spec", "path", "reason"),
    [
        ("default", {"order": 10}, "spec.order", "default tier order must be 1000000"),
        (
            "default",
            {"defaultAction": "Pass"},
            "spec.defaultAction",
            "default tier defaultAction must be Deny",
        ),
        ("kube-admin", {}, "spec.order", "kube-admin tier order must be 1000"),
        ("kube-baseline", {"order": 10**7, "defaultAction": "Deny"}, "spec.defaultAction", "must be Pass"),
        ("a.b", {}, "metadata.name", "a lowercase RFC 1123 label must consist of"),
        ("a" * 64, {}, "metadata.name", "must be no more than 63 bytes"),
        ("a", {"defaultAction": "Allow"}, "spec.defaultAction", "must be one of: Deny, Pass"),
    ],
)
def test_a_tier_that_calico_does_not_take_is_refused(name, spec, path, reason):
    ((found, why),) = refused("Tier", spec, name)
    assert found == path and reason in why


def test_calicos_own_tiers_are_what_they_must_be():
    for tier in own_tiers():
        assert Tier.from_manifest(tier.to_object()) == tier
    found = {tier.name: (tier.spec.order, tier.spec.default_action) for tier in own_tiers()}
    assert found == {
        "default": (1_000_000, "Deny"),
        "kube-admin": (1_000, "Pass"),
        "kube-baseline": (10_000_000, "Pass"),
    }


@pytest.mark.parametrize("kind", ["NetworkSet", "GlobalNetworkSet"])
def test_a_set_has_networks_of_any_form_and_no_label_of_calicos(kind):
    given = obj(kind, {"nets": ["10.0.0.9/24", "10.1.0.1", "fd00::1/64"]})
    assert RESOURCE_TYPES[kind].from_manifest(given).to_object()["spec"]["nets"] == [
        "10.0.0.0/24",
        "10.1.0.1/32",
        "fd00::/64",
    ]
    labels = {"projectcalico.org/namespace": "default"}
    assert refused(kind, labels=labels) == [
        ("metadata.labels", "projectcalico.org/namespace is not a valid label name")
    ]
    assert [path for path, _ in refused(kind, {"nets": ["10.0.0.0/33"]})] == ["spec.nets[0]"]


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"node": "node-1"}, "spec.interfaceName"),
        ({"interfaceName": "eth0"}, "spec.node"),
        ({"node": "node-1", "interfaceName": "eth0/1"}, "spec.interfaceName"),
        ({"node": "node-1", "interfaceName": "a" * 16}, "spec.interfaceName"),
        ({"node": "node-1", "expectedIPs": ["10.0.0.0/24"]}, "spec.expectedIPs[0]"),
        ({"node": "node-1", "interfaceName": "*", "profiles": ["A"]}, "spec.profiles[0]"),
        (
            {"node": "node-1", "interfaceName": "*", "ports": [{"name": "a", "protocol": "ICMP", "port": 1}]},
            "spec.ports[0].protocol",
        ),
        (
            {"node": "node-1", "interfaceName": "*", "ports": [{"name": "A", "protocol": "TCP", "port": 1}]},
            "spec.ports[0].name",
        ),
    ],
)
def test_a_host_endpoint_that_calico_does_not_take_is_refused_at_its_field(spec, path):
    assert path in [it for it, _ in refused("HostEndpoint", spec)]


def test_the_rules_of_a_profile_are_judged_like_a_policys():
    given = obj("Profile", {"egress": [{"action": "Allow", "source": {"ports": [1]}}]}, "kns.default")
    with pytest.raises(InvalidResource, match=r"spec\.egress\[0\]\.source\.ports = '1' \(rules that specify"):
        Profile.from_manifest(given)


def test_a_global_policy_is_a_policy_with_more_fields():
    spec = {"namespaceSelector": "has(team)", "selector": "all()"}
    policy = GlobalNetworkPolicy.from_manifest(obj("GlobalNetworkPolicy", spec))
    assert (policy.spec.namespace_selector, policy.spec.effective_types) == ("has(team)", ("Ingress",))
