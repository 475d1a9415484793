"""`fabric policy` on manifests and on a cluster's API: answers, exit codes, formats, errors."""

from __future__ import annotations

import json

import pytest
from support.command_line import api, listed
from support.pages import TOP
from support.policy_worlds import kubernetes_policy

SHOP = str(TOP / "topologies/policies/shop.yaml")
CLOSED = str(TOP / "topologies/policies/shop-closed.yaml")
CALICO = "nodes: 2, network: {plugin: calico}"


def pod(name, address, **labels):
    metadata = {"name": name, "namespace": "default", "labels": labels}
    spec = {"nodeName": "node-1", "containers": [{"ports": [{"containerPort": 80}]}]}
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Running", "podIP": address}}


def answers(*policies):
    """What the API server has: two pods, a namespace, and these policies."""
    return {
        "/api/v1/pods": listed(pod("pod-1", "10.244.1.2"), pod("pod-2", "10.244.1.3")),
        "/api/v1/nodes": listed(),
        "/api/v1/namespaces": listed({"metadata": {"name": "default"}}),
        "/apis/networking.k8s.io/v1/networkpolicies": listed(*policies),
    }


@pytest.mark.parametrize(
    ("source", "code", "word"), [("shop/web", 0, "allowed"), ("office/desk", 1, "denied")]
)
def test_why_ends_with_0_where_it_is_allowed_and_1_where_it_is_denied(fabric, source, code, word):
    answer = fabric("policy", "why", source, "db", "-n", "shop", "--tcp", "5432", "--manifests", SHOP)
    assert (answer.code, answer.err) == (code, "")
    assert answer.out.startswith(f"{source} to shop/db, tcp port 5432: {word}\n")


def test_why_as_json_names_policy_rule_and_text(fabric):
    answer = fabric(
        "policy", "why", "shop/web", "shop/db", "--tcp", "5432", "--manifests", SHOP, "-o", "json"
    )
    said = json.loads(answer.out)
    _, ingress = said["decisions"]
    assert said["allowed"] and (ingress["policy"], ingress["rule"]) == ("NetworkPolicy shop/db", 0)
    assert json.loads(ingress["text"])["ports"] == [{"port": "sql"}]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--tcp: name one: --tcp PORT, --udp PORT, --sctp PORT, --icmp or --protocol NUMBER"),
        (["--tcp", "80", "--icmp"], "--tcp: name one"),
        (["--tcp", "80", "--ip-version", "5"], "--ip-version: 4 or 6"),
        (["--tcp", "80", "--ip-version", "6"], "--ip-version: shop/web has no IPv6 address"),
        (["--protocol", "6"], "--protocol: 6 is TCP: write --tcp PORT"),
        (["--protocol", "1"], "--protocol: 1 is ICMP: write --icmp"),
        (["--tcp", "80", "--plugin", "weave"], "--plugin: no 'weave'; there: kubernetes, calico"),
    ],
)
def test_why_says_what_is_to_be_written(fabric, words, said):
    answer = fabric("policy", "why", "shop/web", "shop/db", *words, "--manifests", SHOP)
    assert (answer.code, answer.out) == (2, "") and said in answer.err


@pytest.mark.parametrize("words", [["lint"], ["matrix", "--predicted"]])
def test_a_topology_is_not_taken_for_manifests(fabric, words):
    topology = str(TOP / "topologies/policy.yaml")
    answer = fabric("policy", *words, "--manifests", topology)
    assert (answer.code, answer.out) == (2, "")
    assert f"error: {topology}:5: this is a topology, and not a manifest" in answer.err


def test_a_name_that_is_nobodys_is_told_with_those_like_it(fabric):
    answer = fabric("policy", "why", "web", "shop/db", "--icmp", "--manifests", SHOP)
    assert (answer.code, answer.err) == (2, "error: SOURCE: no 'default/web'; did you mean shop/web?\n")


@pytest.mark.parametrize(
    ("spec", "code", "said", "warned"),
    [
        (CALICO, 1, "NetworkPolicy default/policy applies", ""),
        (
            "nodes: 2, network: {plugin: flannel}",
            0,
            "ignores policies",
            "warning: NetworkPolicy default/policy: the network plugin flannel ignores policies: "
            "it changes nothing\n",
        ),
    ],
)
def test_a_running_cluster_is_judged_by_its_own_plugin(fabric, spec, code, said, warned):
    with api(fabric.cluster(spec=spec), answers(kubernetes_policy(namespace="default"))):
        answer = fabric("policy", "why", "pod-1", "pod-2", "--tcp", "80")
        assert (answer.code, answer.err) == (code, warned)
        assert said in answer.out


def test_lint_tells_each_finding_and_ends_with_1(fabric):
    nobody = kubernetes_policy(namespace="default", podSelector={"matchLabels": {"no": "w"}})
    with api(fabric.cluster(spec=CALICO), answers(nobody)):
        answer = fabric("policy", "lint", "-o", "json")
        (finding,) = json.loads(answer.out)
        assert answer.code == 1 and finding["path"] == "spec" and "selects nobody" in finding["what"]
        assert "NetworkPolicy default/policy" in fabric("policy", "lint").out


def test_lint_of_nothing_finds_nothing(fabric):
    with api(fabric.cluster(spec=CALICO), answers()):
        answer = fabric("policy", "lint")
        assert (answer.code, answer.out) == (0, "no finding in 0 policies\n")


def test_diff_of_a_cluster_and_policies_alone_applies_them_to_its_pods(fabric, tmp_path):
    path = tmp_path / "new.yaml"
    path.write_text(
        json.dumps(kubernetes_policy(namespace="default", podSelector={"matchLabels": {"app": "x"}}))
    )
    pods = answers(kubernetes_policy(namespace="default"))
    with api(fabric.cluster(spec=CALICO), pods):
        answer = fabric("policy", "diff", str(path), "-o", "json")
        rows = {(it["source"], it["destination"], it["port"], it["new"]) for it in json.loads(answer.out)}
        one, other = "default/pod-1", "default/pod-2"
        assert rows == {(one, other, "80/tcp", "allowed"), (other, one, "80/tcp", "allowed")}
        assert answer.code == 1


def test_diff_of_the_same_is_nothing_and_ends_with_0(fabric):
    answer = fabric("policy", "diff", SHOP, SHOP)
    assert (answer.code, answer.out) == (0, "nothing changes\n")
    answer = fabric("policy", "diff", SHOP, CLOSED, "--outside", "203.0.113.7", "--port", "80")
    assert (answer.code, answer.out.count("denied")) == (1, 1)


@pytest.mark.parametrize(("form", "begins"), [("text", "80/TCP"), ("json", "{"), ("html", "<!")])
def test_the_matrix_is_written_in_each_form(fabric, tmp_path, form, begins):
    path = tmp_path / "matrix"
    words = ["policy", "matrix", "--predicted", "--manifests", SHOP, "-o", form]
    assert fabric(*words, "--output", str(path)).code == 0
    assert path.read_text().startswith(begins)


def test_the_matrix_as_png_is_one(fabric, tmp_path):
    path = tmp_path / "matrix.png"
    words = ["policy", "matrix", "--predicted", "--manifests", SHOP, "-o", "png", "--output", str(path)]
    assert fabric(*words).code == 0 and path.read_bytes().startswith(b"\x89PNG")


def test_policies_that_nobody_reads_are_warned_of(fabric, tmp_path):
    path = tmp_path / "c.yaml"
    cilium = {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "p"}}
    path.write_text(json.dumps(cilium))
    answer = fabric("policy", "why", "10.0.0.1", "10.0.0.2", "--icmp", "--manifests", str(path))
    assert answer.err == (
        "warning: CiliumNetworkPolicy default/p: kubernetes does not read cilium.io/v2: it changes nothing\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--manifests", SHOP], "--manifests: nothing runs there that could be probed: add --predicted"),
        (["--staged"], "--staged: staged policies are not enforced: add --predicted"),
        (
            ["--predicted", "--manifests", SHOP, "--port", "80/tpc"],
            "--port: '80/tpc' is no port; write 80/tcp",
        ),
        (
            ["--predicted", "--manifests", SHOP, "--port", "80/tcp6"],
            "--port: 80/TCP6: no pod has an IPv6 address",
        ),
    ],
)
def test_the_matrix_says_what_contradicts(fabric, words, said):
    answer = fabric("policy", "matrix", *words)
    assert (answer.code, answer.out) == (2, "") and said in answer.err
