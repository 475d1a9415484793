"""Worlds of manifests and of a running cluster, names in them, differences between them, and their matrix."""

from __future__ import annotations

import ipaddress

import pytest
import yaml
from support.policy_worlds import calico, kubernetes_policy, world

from calico.policy.evaluator import CalicoEvaluator
from fabric.errors import BadInput
from fabric.plugin.policies import outside
from fabric.policy import differences, names, worlds
from fabric.policy.kubernetes import KubernetesEvaluator
from fabric.policy.manifests import described
from fabric.policy.predicted import declared_ports, predicted
from fabric.verify.matrix import Mark, Port

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "pod-1", "labels": {"app": "web"}},
    "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80, "name": "http"}]}]},
}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": POD["spec"]},
    },
}


def put(folder, *objects, name="all.yaml"):
    (folder / name).write_text("---\n".join(yaml.safe_dump(it) for it in objects))
    return folder / name


def test_a_workload_without_pods_stands_for_its_replicas():
    of = worlds.of_manifests([DEPLOYMENT])
    assert [str(it) for it in of.pods] == ["shop/web-1", "shop/web-2", "shop/web-3"]
    pod = POD | {"metadata": {"name": "real", "namespace": "shop", "labels": {"app": "web"}}}
    assert [str(it) for it in worlds.of_manifests([DEPLOYMENT, pod]).pods] == ["shop/real"]


def test_pods_of_manifests_get_addresses_of_the_pools_and_keep_their_own():
    pools = [calico("IPPool", it[:2], cidr=it) for it in ("10.9.0.0/16", "fd09::/64")]
    own = POD | {"metadata": {"name": "own"}, "status": {"podIP": "10.9.0.1"}}
    of = worlds.of_manifests([*pools, POD, own])
    assert [tuple(map(str, it.addresses)) for it in of.pods] == [("10.9.0.2", "fd09::1"), ("10.9.0.1",)]


def test_namespaces_and_accounts_that_are_named_are_there_with_their_labels():
    of = worlds.of_manifests([DEPLOYMENT, kubernetes_policy(namespace="other")])
    assert of.labels_of("shop") == {"kubernetes.io/metadata.name": "shop"} and "other" in of.namespaces
    assert [it["metadata"] for it in of.of_kind("ServiceAccount")] == [
        {"name": "default", "namespace": "shop"}
    ]


def test_pods_that_ended_and_those_without_an_address_are_no_endpoints_of_a_cluster():
    ended = POD | {"status": {"phase": "Succeeded", "podIP": "10.0.0.1"}}
    pending = POD | {"metadata": {"name": "pending"}}
    running = POD | {"metadata": {"name": "running"}, "status": {"phase": "Running", "podIP": "10.0.0.1"}}
    assert [str(it) for it in worlds.of_cluster([ended, pending, running]).pods] == ["default/running"]


def test_ports_are_those_of_containers_that_stay():
    init = {"name": "i", "ports": [{"containerPort": 1}]}
    sidecar = {"name": "s", "restartPolicy": "Always", "ports": [{"containerPort": 2, "protocol": "UDP"}]}
    pod = POD | {"spec": POD["spec"] | {"initContainers": [init, sidecar]}}
    (endpoint,) = worlds.of_manifests([pod]).pods
    assert [(it.number, it.protocol, it.name) for it in endpoint.ports] == [(80, 6, "http"), (2, 17, "")]


def test_a_folder_is_read_with_all_below_it(tmp_path):
    (tmp_path / "deep").mkdir()
    put(tmp_path, POD)
    put(tmp_path / "deep", kubernetes_policy(namespace="default"), name="p.yml")
    (tmp_path / "notes.txt").write_text("{")
    found = described(tmp_path)
    assert [str(it) for it in found.world.pods] == ["default/pod-1"] and found.plugin == "kubernetes"
    assert len(found.world.of_kind("NetworkPolicy", "networking.k8s.io")) == 1


def test_kinds_of_calico_are_judged_by_calicos_rules_unless_it_is_said_otherwise(tmp_path):
    path = put(tmp_path, POD, calico("GlobalNetworkPolicy", "p", selector="all()"))
    assert isinstance(described(path).evaluator, CalicoEvaluator)
    assert isinstance(described(path, "kubernetes").evaluator, KubernetesEvaluator)
    with pytest.raises(BadInput, match="no 'weave'; there: kubernetes, calico, canal, flannel"):
        described(path, "weave")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"podSelecter": {}}, r"all.yaml:\d+: NetworkPolicy x/policy: spec.podSelecter: unknown field"),
        ({"ingress": [{"from": [{}]}]}, "spec.ingress\\[0\\].from\\[0\\]: must specify a peer"),
        ({"ingress": {"from": []}}, "spec.ingress: a list is expected"),
        ({"policyTypes": ["Inbound"]}, "'Inbound' is none of Ingress, Egress"),
        ({"ingress": [{"ports": [{"port": 80, "endPort": 70}]}]}, "70 is not between 80 and 65535"),
        ({"ingress": [{"ports": [{"port": "http", "endPort": 70}]}]}, "needs a port that is a number"),
    ],
)
def test_what_cannot_be_read_is_told_with_file_and_line(tmp_path, change, said):
    with pytest.raises(BadInput, match=said):
        described(put(tmp_path, POD, kubernetes_policy(**change)))


def test_an_object_that_is_there_twice_and_a_folder_without_any_are_refused(tmp_path):
    with pytest.raises(BadInput, match="no object in"):
        described(tmp_path)
    with pytest.raises(BadInput, match=r"Pod pod-1 is there twice; the first is at .*all.yaml:1"):
        described(put(tmp_path, POD, POD))
    with pytest.raises(BadInput, match="--manifests: no file or folder"):
        described(tmp_path / "none")


def test_ends_are_named_as_kubectls_users_name_them():
    of = world()
    found = [names.endpoint(of, it, "x") for it in ("a", "y/b", "node/node-1", "10.244.3.7", "203.0.113.7")]
    assert [str(it) for it in found] == ["x/a", "y/b", "node/node-1", "z/a", "203.0.113.7"]
    with pytest.raises(BadInput, match="SOURCE: no 'q/a'; did you mean x/a, y/a, z/a"):
        names.endpoint(of, "q/a", parameter="SOURCE")
    assert names.completions(of, "node", "x") == ["node/node-1", "node/node-2"]
    assert names.completions(of, "", "x")[:3] == ["a", "b", "c"]


def test_differences_are_the_pairs_that_open_or_close():
    before = world(kubernetes_policy(ingress=[{"from": [{"podSelector": {"matchLabels": {"pod": "a"}}}]}]))
    after = differences.overlaid(before, [kubernetes_policy(ingress=[{"ports": [{"port": 81}]}])])
    sides = [(it, KubernetesEvaluator(it)) for it in (before, after)]
    found = list(differences.changes(*sides, [(6, 80), (6, 81)]))
    closed = {(it.source, it.destination, it.service[1]) for it in found if it.before}
    assert closed == {("x/a", "x/b", 80), ("x/a", "x/c", 80)}
    assert {it.service for it in found if not it.before} == {(6, 81)} and len(found) > 20
    assert list(differences.changes(sides[0], sides[0])) == []


@pytest.mark.parametrize(
    ("text", "service"), [("80", (6, 80)), ("80/tcp", (6, 80)), ("53/UDP", (17, 53)), ("icmp", (1, 0))]
)
def test_ports_are_read_as_they_are_written(text, service):
    assert differences.service_of(text) == service


@pytest.mark.parametrize("text", ["tcp", "0/tcp", "70000/tcp", "80/icmp", "80/tpc", "", "a/tcp", "-1"])
def test_what_is_no_port_is_refused(text):
    with pytest.raises(BadInput, match="is no port; write 80/tcp, 53/udp or icmp"):
        differences.service_of(text)


SPACE_Y = {"from": [{"namespaceSelector": {"matchLabels": {"ns": "y"}}}]}


def test_a_predicted_matrix_has_a_cell_with_its_reason_for_each_pair_and_port():
    of = world(kubernetes_policy(ingress=[SPACE_Y]))
    ends = [it for it in of.pods if it.name == "a"]
    port = Port("tcp", 80)
    found = predicted(KubernetesEvaluator(of), ends, ends, [port, Port("icmp", version=6)])
    blocked = {place for place, cell in found.cells.items() if cell.mark is Mark.blocked}
    assert blocked == {("z/a", "x/a", port), ("z/a", "x/a", Port("icmp", version=6))}
    assert len(found.cells) == 18
    detail = found.cells["z/a", "x/a", port].detail
    assert detail.startswith("ingress of x/a: isolated for ingress by NetworkPolicy x/policy")


def test_a_pair_without_a_common_family_has_no_cell():
    of = world()
    pod, other = of.pods[0], outside("203.0.113.7")
    found = predicted(KubernetesEvaluator(of), [pod], [other], [Port("tcp", 80), Port("tcp", 80, 6)])
    assert [place[2].version for place in found.cells] == [4]


def test_ports_of_a_matrix_are_those_that_pods_declare_for_each_family():
    found = [str(it) for it in declared_ports(world().pods)]
    assert found[:2] == ["80/TCP", "81/TCP"] and {"80/SCTP6", "81/UDP"} <= set(found) and len(found) == 12


def test_a_world_knows_who_has_an_address():
    of = world()
    assert str(of.at(ipaddress.ip_address("fd00::1"))) == "x/a"
    assert str(of.at(ipaddress.ip_address("192.168.0.2"))) == "node/node-2"
