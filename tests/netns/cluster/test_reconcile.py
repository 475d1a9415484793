"""`up` on a running cluster brings it to the changed file, and disturbs nothing else."""

import json

from support.clusters import fabric, pod, run
from support.eventually import eventually


def ask(cluster, method, path, *options):
    """Send a request to the API server's unix socket."""
    socket = f"{cluster.run_folder}/api.sock"
    done = run(
        "curl", "-sS", "--fail", "-X", method, "--unix-socket", socket, *options, f"http://fabric{path}"
    )
    assert done.returncode == 0, done.stderr


def names(report):
    return sorted(p["name"] for p in report["pods"])


async def test_nodes_and_pods_come_and_go_and_the_rest_stays_as_it_is(fresh):
    stays = [pod("pod-1", "node-1"), pod("pod-2", "node-2")]
    fresh.write(nodes=2, pods=[*stays, pod("pod-3", "node-2")])
    first = {p["name"]: p["ip"] for p in fresh.up()["pods"]}
    before = fresh.exec("pod-1", "cat", "/proc/sys/kernel/random/boot_id", "/proc/1/stat").stdout
    fresh.write(nodes=3, pods=[*stays, pod("pod-4", "node-3")])
    second = fresh.up()
    assert names(second) == ["pod-1", "pod-2", "pod-4"]
    assert second["reachability"]["reached"] == 6
    assert {p["name"]: p["ip"] for p in second["pods"]}["pod-1"] == first["pod-1"]
    assert fresh.exec("pod-1", "cat", "/proc/sys/kernel/random/boot_id", "/proc/1/stat").stdout == before
    fresh.write(nodes=1, pods=[pod("pod-1", "node-1")])
    third = fresh.up()
    assert names(third) == ["pod-1"]
    assert [node["name"] for node in fresh.status()["nodes"]] == ["node-1"]
    await eventually(lambda: "flannel.1" not in fresh.exec("node:node-1", "ip", "route").stdout)
    await eventually(lambda: not list(fresh.state_folder.glob("nodes/node-2/var/lib/cni/networks/*/10.*")))


async def test_up_waits_for_the_pods_of_its_file_and_tells_of_others_that_are_not_up(fresh):
    fresh.write(nodes=2, pods=[pod("pod-1", "node-1")])
    fresh.up()
    broken = pod("broken", containers=[{"name": "main", "image": "no-such-image"}])
    owned = pod("owned", "node-2")
    owner = fresh.get("/api/v1/namespaces/default/pods/pod-1")["metadata"]
    reference = {"apiVersion": "v1", "kind": "Pod", "name": "pod-1", "uid": owner["uid"]}
    owned["metadata"]["ownerReferences"] = [reference]
    for each in (broken, owned):
        body = ("-H", "Content-Type: application/json", "-d", json.dumps(each))
        ask(fresh, "POST", "/api/v1/namespaces/default/pods", *body)
    report = fresh.up()
    phases = {p["name"]: p["phase"] for p in report["pods"]}
    assert (phases["pod-1"], phases["owned"]) == ("Running", "Running")
    assert [line.split(": ")[0] for line in report["otherPodsNotUp"]] == [
        "pod default/broken is not up, and not of the file"
    ]
    status = fresh.get("/api/v1/namespaces/default/pods/owned")["status"]
    assert [status["observedGeneration"], *(c["observedGeneration"] for c in status["conditions"])] == [1] * 6
    told = fabric("up", str(fresh.file))
    assert told.returncode == 0, told.stderr
    assert "note: pod default/broken is not up, and not of the file: " in told.stdout


def test_a_pod_of_the_file_that_names_a_missing_service_account_is_refused_at_its_line(fresh):
    fresh.write(nodes=2, pods=[pod("pod-1", serviceAccountName="builder")])
    refused = fabric("up", str(fresh.file))
    assert refused.returncode == 1
    assert (
        f'{fresh.file}:1: Pod default/pod-1: pods "pod-1" is forbidden: error looking up service account '
        'default/builder: serviceaccount "builder" not found'
    ) in refused.stderr


def test_the_same_file_again_changes_nothing(vxlan):
    before = vxlan.pod_versions()
    report = vxlan.up()
    assert report["reachability"]["reached"] == 12
    assert vxlan.pod_versions() == before


def test_what_a_running_cluster_cannot_change_is_refused_by_line(vxlan):
    text = vxlan.file.read_text()
    try:
        vxlan.file.write_text(text.replace('"vxlan"', '"host-gw"'))
        refused = fabric("up", str(vxlan.file))
        assert refused.returncode == 2
        assert f"{vxlan.file}:1: spec.network.backend is host-gw" in refused.stderr
    finally:
        vxlan.file.write_text(text)


async def test_pods_of_the_file_move_from_a_node_that_left_it(fresh):
    fresh.up()
    fresh.write(nodes=1, pods=[pod(f"pod-{i}") for i in range(1, 5)])
    report = fresh.up()
    assert names(report) == ["pod-1", "pod-2", "pod-3", "pod-4"]
    assert {p["node"] for p in report["pods"]} == {"node-1"}
    assert [node["name"] for node in report["nodes"]] == ["node-1"]
    assert report["differences"] == []
    there = fresh.get("/api/v1/pods")["items"]
    assert sorted(p["metadata"]["name"] for p in there) == names(report)


POOL = "/apis/projectcalico.org/v3/ippools/pool-1"
RESERVATION = {
    "apiVersion": "projectcalico.org/v3",
    "kind": "IPReservation",
    "metadata": {"name": "kept"},
    "spec": {"reservedCIDRs": ["10.244.0.0/30"]},
}


def calico(cluster, node):
    """Write a file with one node and one pod, and resources of Calico's."""
    options = {
        "ipPools": [{"name": "pool-1", "cidr": "10.244.0.0/17", "natOutgoing": True}],
        "resources": [RESERVATION],
    }
    topology = {
        "apiVersion": "fabric.dev/v1",
        "kind": "Topology",
        "metadata": {"name": cluster.name},
        "spec": {
            "nodes": [{"name": "node-1", **node}],
            "network": {"plugin": "calico", "options": options},
            "manifests": [pod("pod-1")],
        },
    }
    cluster.file.write_text(json.dumps(topology))


def test_what_somebody_deleted_is_there_again_and_a_change_of_the_networks_is_told(fresh):
    calico(fresh, {"labels": {"rack": "1"}})
    fresh.up()
    kept = "/apis/projectcalico.org/v3/ipreservations/kept"
    ask(fresh, "DELETE", kept)
    ask(fresh, "DELETE", "/api/v1/namespaces/default/pods/pod-1?gracePeriodSeconds=0")
    taint = {"key": "dedicated", "value": "edge", "effect": "PreferNoSchedule"}
    calico(fresh, {"labels": {"zone": "2"}, "taints": [taint]})
    report = fresh.up()
    assert names(report) == ["pod-1"]
    assert fresh.get(kept)["spec"]["reservedCIDRs"] == ["10.244.0.0/30"]
    node = fresh.get("/api/v1/nodes/node-1")
    assert node["metadata"]["labels"]["zone"] == "2"
    assert "rack" not in node["metadata"]["labels"]
    assert taint in node["spec"]["taints"]
    patch = ("-H", "Content-Type: application/merge-patch+json", "-d", '{"spec": {"natOutgoing": false}}')
    ask(fresh, "PATCH", POOL, *patch)
    told = fabric("up", str(fresh.file))
    assert told.returncode == 1
    assert "is not as the file says: 1 node, 1 pod" in told.stdout
    assert f"! {fresh.file}:1: IPPool pool-1 has another spec.natOutgoing than the file" in told.stdout
