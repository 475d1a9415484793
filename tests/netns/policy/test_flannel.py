"""Flannel enforces no policies, and says so wherever somebody might think that it does."""

from __future__ import annotations

import json

import pytest
from support.clusters import Cluster, fabric, pod, run
from support.policy_worlds import kubernetes_policy as policy

SERVES = [{"name": "main", "image": "echo", "ports": [{"containerPort": 80}]}]
ALONE = "the network plugin flannel does not enforce NetworkPolicy"
IGNORED = "the network plugin flannel ignores policies: it changes nothing"
WARNING = f"warning: NetworkPolicy default/policy: {IGNORED}\n"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster with Flannel and a policy that would close all; `answer` is what the API said to that."""
    pods = [pod(f"pod-{number}", f"node-{number}", containers=SERVES) for number in (1, 2)]
    folder = tmp_path_factory.mktemp("cluster")
    with Cluster.running(folder, pods=pods) as up:
        up.before = fabric("status", up.name)
        (folder / "policy.json").write_text(json.dumps(policy(namespace="default")))
        options = ("-X", "POST", "-H", "Content-Type: application/json", "-d", f"@{folder}/policy.json")
        url = "http://fabric/apis/networking.k8s.io/v1/namespaces/default/networkpolicies"
        up.answer = run(
            "curl", "-sSi", "--unix-socket", str(up.run_folder / "api.sock"), *options, url
        ).stdout
        yield up


def test_who_applies_a_policy_is_warned(cluster: Cluster):
    assert cluster.answer.startswith("HTTP/1.1 201")
    assert f'Warning: 299 - "{ALONE}"' in cluster.answer


def test_the_status_of_the_cluster_tells_of_policies_once_there_are_some(cluster: Cluster):
    assert (cluster.before.returncode, ALONE in cluster.before.stdout) == (0, False)
    assert f"! 1 networkpolicies: {ALONE}\n" in fabric("status", cluster.name).stdout


def test_every_pair_of_pods_is_reached_and_predicted_so_with_a_warning(cluster: Cluster):
    done = fabric("policy", "matrix", "--port", "80/tcp", "--cluster", cluster.name)
    assert (done.returncode, done.stderr) == (0, WARNING)
    assert "4 of 4 allowed\n0 not as predicted\n" in done.stdout


def test_why_begins_with_a_warning_and_lint_finds_every_policy_without_effect(cluster: Cluster):
    done = fabric("policy", "why", "pod-1", "pod-2", "--tcp", "80", "--cluster", cluster.name)
    assert (done.returncode, done.stderr) == (0, WARNING)
    done = fabric("policy", "lint", "--cluster", cluster.name)
    assert done.returncode == 1 and IGNORED in done.stdout
