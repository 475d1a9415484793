"""Policies of every kind, through the API and by calicoctl alike: in force, or staged and only told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.clusters import fabric
from support.policy_cluster import PolicyCluster, awaited
from support.policy_objects import Object, path_of
from support.policy_worlds import calico as obj

ALLOW, DENY = {"action": "Allow"}, {"action": "Deny"}
INTO_A: Object = {"selector": "pod == 'a' && projectcalico.org/namespace == 'x'", "types": ["Ingress"]}
DENIED = {**INTO_A, "ingress": [DENY]}
KUBERNETES = {"podSelector": {"matchLabels": {"pod": "a"}}, "policyTypes": ["Ingress"]}
ENFORCED = {"NetworkPolicy": "x", "GlobalNetworkPolicy": ""}
"""Kinds, and the namespace that a test's policy is in."""
STAGED = {
    "StagedNetworkPolicy": "x",
    "StagedGlobalNetworkPolicy": "",
    "StagedKubernetesNetworkPolicy": "x",
}


@pytest.fixture
def net(calico: PolicyCluster):
    return calico


def policy(kind: str, **spec) -> Object:
    usual = KUBERNETES if kind == "StagedKubernetesNetworkPolicy" else DENIED
    return obj(kind, "closed", (ENFORCED | STAGED)[kind], **{**usual, **spec})


def ctl(net: PolicyCluster, *words: str) -> str:
    """What calicoctl prints, which must succeed."""
    done = fabric("calicoctl", "--cluster", net.cluster.name, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def place(kind: str) -> tuple[str, ...]:
    """The words by which calicoctl finds a test's policy."""
    namespace = (ENFORCED | STAGED)[kind]
    return (kind.lower(), "closed", *(("-n", namespace) if namespace else ()))


def stored(net: PolicyCluster, kind: str) -> Object:
    return net.api.ask("GET", path_of(policy(kind)))


def becomes(net: PolicyCluster, arrives: bool) -> None:
    awaited(lambda: net.arrives("y/a", "x/a") is arrives, f"y/a to x/a does not become {arrives}")


@pytest.mark.parametrize("kind", ENFORCED)
def test_calicoctl_applies_patches_and_deletes_policies_that_are_in_force_and_seen_by_kubectl(
    net, kind, tmp_path: Path
):
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(policy(kind)))
    ctl(net, "apply", "-f", str(file))
    becomes(net, False)
    assert stored(net, kind)["spec"]["ingress"][0]["action"] == "Deny"
    ctl(net, "patch", *place(kind), "-p", json.dumps({"spec": {"ingress": [ALLOW]}}))
    becomes(net, True)
    ctl(net, "apply", "-f", str(file))
    becomes(net, False)
    ctl(net, "delete", *place(kind))
    becomes(net, True)
    gone = fabric("calicoctl", "--cluster", net.cluster.name, "get", *place(kind))
    assert gone.returncode == 1 and "does not exist" in gone.stderr


@pytest.mark.parametrize("kind", ENFORCED)
def test_what_kubectl_writes_is_in_force_and_seen_by_calicoctl(net, kind):
    net.put(policy(kind))
    net.settle()
    assert net.sources("x/a") == ""
    told = json.loads(ctl(net, "get", *place(kind), "-o", "json"))
    assert told["spec"]["ingress"] == stored(net, kind)["spec"]["ingress"]
    net.api.ask("PATCH", path_of(policy(kind)), {"spec": {"ingress": [ALLOW]}})
    becomes(net, True)


@pytest.mark.parametrize("kind", STAGED)
def test_a_staged_policy_is_kept_by_both_clients_and_never_in_force(net, kind, tmp_path: Path):
    net.put(policy(kind))
    net.settle()
    assert "y/a" in net.sources("x/a") and "x/b" in net.sources("x/a")
    told = json.loads(ctl(net, "get", *place(kind), "-o", "json"))
    assert told["spec"]["stagedAction"] == "Set"
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(policy(kind, stagedAction="Learn")))
    ctl(net, "apply", "-f", str(file))
    assert stored(net, kind)["spec"]["stagedAction"] == "Learn"
    ctl(net, "patch", *place(kind), "-p", '{"spec": {"stagedAction": "Ignore"}}')
    assert stored(net, kind)["spec"]["stagedAction"] == "Ignore"
    net.settle()
    assert "y/a" in net.sources("x/a")


def test_what_staged_policies_would_change_is_told_by_why_and_by_the_matrix(net):
    net.put(policy("StagedNetworkPolicy"))
    name = ("--cluster", net.cluster.name)
    why = fabric("policy", "why", "y/a", "x/a", "--tcp", "80", *name)
    assert why.returncode == 0 and "closed" in why.stdout.splitlines()[-1], why.stdout + why.stderr
    asked = ("policy", "matrix", "--predicted", "--port", "80/tcp")
    usual, staged = (fabric(*asked, *more, *name).stdout.splitlines()[-1] for more in ((), ("--staged",)))
    assert usual != staged
