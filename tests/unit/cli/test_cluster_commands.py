"""list, status, kubeconfig and down: what they say of clusters in any state, and their exit codes."""

from __future__ import annotations

import json

import pytest
import yaml
from support.command_line import api, listed

from fabric.cli import cluster_commands, down_command
from fabric.cluster import component_records
from fabric.cluster.component_records import ComponentRecord
from fabric.cluster.status import Glance, told_once
from fabric.errors import FabricError

READY = [
    {"type": "Ready", "status": "True"},
    {"type": "NetworkUnavailable", "status": "False", "message": "Flannel is running on this node"},
]


def node(name, conditions=READY, **annotations):
    return {
        "metadata": {"name": name, "annotations": annotations},
        "status": {
            "conditions": conditions,
            "addresses": [{"type": "InternalIP", "address": "192.168.0.11"}],
        },
    }


def pod(name, where="node-1", phase="Running", ready="True", message="it waits", **status):
    conditions = [{"type": "Ready", "status": ready, "message": "" if ready == "True" else message}]
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": where},
        "status": {"phase": phase, "conditions": conditions, **status},
    }


@pytest.fixture
def running(fabric, monkeypatch):
    """The cluster `lab`, of which the processes are said to run."""
    paths = fabric.cluster()
    glance = Glance("lab", "running", 2, "flannel", 5, "/t.yaml")
    monkeypatch.setattr(cluster_commands.statuses, "glance", lambda name: glance)
    fabric.wrong = []

    async def troubles(paths, spec):
        return fabric.wrong

    monkeypatch.setattr(cluster_commands.health, "troubles", troubles)
    return paths


def test_without_a_cluster_list_is_a_heading_and_an_empty_list(fabric):
    assert fabric("list").out == "NAME   STATUS   NODES   PLUGIN   PROCESSES   FILE\n"
    assert json.loads(fabric("list", "-o", "json").out) == []
    answer = fabric("status")
    assert answer.code == 1 and "no cluster on this machine; start one: sudo fabric up" in answer.err


def test_list_shows_what_is_only_files_and_what_cannot_be_read(fabric):
    fabric.cluster("one")
    fabric.cluster("two").spec.write_text("{")
    rows = json.loads(fabric("list", "-o", "json").out)
    assert [(row["name"], row["status"], row["nodes"]) for row in rows] == [
        ("one", "stopped", 2),
        ("two", "stopped", 0),
    ]
    assert [line.split()[0] for line in fabric("list").out.splitlines()] == ["NAME", "one", "two"]


def test_of_two_clusters_one_must_be_named(fabric):
    fabric.cluster("one")
    fabric.cluster("two")
    for command in ("status", "kubeconfig", "bgp", "down"):
        answer = fabric(command)
        assert answer.code == 2, command
        assert "several clusters are here, name one of: one, two; or set FABRIC_CLUSTER" in answer.err


def test_a_cluster_whose_spec_cannot_be_read_says_how_to_go_on(fabric):
    fabric.cluster().spec.write_text("{")
    answer = fabric("bgp", "lab")
    assert answer.code == 1 and "Traceback" not in answer.err and "spec.json" in answer.err
    fabric.cluster().spec.unlink()
    assert "is not running; remove what is left: fabric down lab" in fabric("bgp", "lab").err


def test_a_cluster_that_is_well_is_said_so_and_the_code_is_0(fabric, running):
    component_records.write(running, "worker-1", ComponentRecord(pid=1, start_time=0))
    with api(running, {"/api/v1/nodes": listed(node("node-1")), "/api/v1/pods": listed(pod("pod-1"))}):
        (running.pids / "worker-1").unlink()
        answer = fabric("status")
        seen = json.loads(fabric("status", "lab", "-o", "json").out)
        assert yaml.safe_load(fabric("status", "lab", "-o", "yaml").out) == seen
    assert (answer.code, answer.err) == (0, "")
    assert "Cluster lab: running" in answer.out and "1 of 1 pod running" in answer.out
    assert "node-1   True    192.168.0.11   1      Flannel is running on this node" in answer.out
    assert (seen["podsRunning"], seen["troubles"]) == (1, [])


def test_policies_that_the_network_plugin_leaves_alone_are_told(fabric, running):
    policies = listed({"metadata": {"name": "deny-all"}}, {"metadata": {"name": "allow-web"}})
    paths = {"/api/v1/nodes": listed(node("node-1")), "/api/v1/pods": listed()}
    with api(running, paths | {"/apis/networking.k8s.io/v1/networkpolicies": policies}):
        answer = fabric("status")
    assert "! 2 networkpolicies: the network plugin flannel does not enforce NetworkPolicy" in answer.out
    assert answer.code == 1


def test_everything_that_is_wrong_is_a_line_and_the_code_is_1(fabric, running):
    component_records.write(running, "worker-1", ComponentRecord(pid=0, restarts=3, trouble="no memory"))
    fabric.wrong = ["link leaf-1 spine-1 is down"]
    nodes = listed(node("node-1"), node("node-2", []))
    pods = listed(
        pod("pod-1"),
        pod("pod-2", phase="Pending", ready="False"),
        pod("pod-3", containerStatuses=[{"state": {"waiting": {"reason": "ImagePull"}}}], ready="False"),
    )
    with api(running, {"/api/v1/nodes": nodes, "/api/v1/pods": pods}):
        answer = fabric("status")
    assert answer.code == 1
    assert [line for line in answer.out.splitlines() if line.startswith("!")] == [
        "! process worker-1 is dead: no memory",
        "! node node-2 is not Ready: its kubelet does not answer",
        "! node node-2: no word of the network",
        "! pod pod-2: it waits",
        "! pod pod-3: ImagePull",
        "! link leaf-1 spine-1 is down",
    ]
    assert "worker-1   dead   3" in answer.out and "2 of 3 pods running" in answer.out


def test_of_a_node_that_does_not_answer_nothing_is_said_that_is_not_known(fabric, running):
    ready = {"type": "Ready", "status": "Unknown"}
    network = {"type": "NetworkUnavailable", "status": "False", "message": "Calico is running on this node"}
    pods = [pod("pod-1"), pod("pod-2", ready="False"), pod("pod-3")]
    for each, name in zip(pods, ("node-1", "node-2", "node-2"), strict=True):
        each["spec"]["nodeName"] = name
    nodes = listed(node("node-1"), node("node-2", [ready, network]))
    with api(running, {"/api/v1/nodes": nodes, "/api/v1/pods": listed(*pods)}):
        answer = fabric("status")
    assert [line for line in answer.out.splitlines() if line.startswith("!")] == [
        "! node node-2 is not Ready: its kubelet does not answer; not known are its pods: pod-2, pod-3"
    ]
    assert "does not answer; before: Calico is running on this node" in answer.out
    assert "1 of 3 pods running" in answer.out


def test_a_pod_that_runs_and_is_not_ready_is_said_to_be_so(fabric, running):
    pods = listed(pod("pod-1", ready="False", message=""))
    with api(running, {"/api/v1/nodes": listed(node("node-1")), "/api/v1/pods": pods}):
        assert "! pod pod-1: Running, but not Ready" in fabric("status").out


def test_what_all_nodes_say_is_told_once():
    carried = "tunl0 is carried in user space"
    said = [f"Calico is up; {carried}", f"Calico is up; {carried}; BIRD is away"]
    assert told_once(said) == (["Calico is up", "Calico is up; BIRD is away"], [carried])
    assert told_once(said[:1]) == (said[:1], [])
    assert told_once([]) == ([], [])


def test_an_api_server_that_is_away_is_one_of_the_troubles(fabric, running):
    answer = fabric("status")
    assert answer.code == 1 and "! the API server does not answer: its socket is not there\n" in answer.out
    assert json.loads(fabric("status", "-o", "json").out)["nodes"] == []


def test_a_table_shows_twenty_troubles_and_json_all(fabric, running):
    fabric.wrong = [f"trouble {number}" for number in range(30)]
    with api(running, {"/api/v1/nodes": listed(), "/api/v1/pods": listed()}):
        out = fabric("status").out
        assert "! trouble 19" in out and "! trouble 20" not in out
        assert out.endswith("! and 10 more (fabric status -o json has all)\n")
        assert len(json.loads(fabric("status", "-o", "json").out)["troubles"]) == 30


def test_wide_shows_what_the_plugin_says_of_each_node(fabric, running):
    details = {"status.fabric.dev/lease": "10.244.1.0/24", "other": "x"}
    found = node("node-1", READY)
    found["metadata"]["annotations"] = details
    from fabric.kubelet.noderegistration import DETAILS

    found["metadata"]["annotations"] = {f"{DETAILS}lease": "10.244.1.0/24", "other": "x"}
    with api(running, {"/api/v1/nodes": listed(found), "/api/v1/pods": listed()}):
        assert "node-1   lease    10.244.1.0/24" in fabric("status", "-o", "wide").out
        assert "10.244.1.0/24" not in fabric("status").out


def test_kubeconfig_is_printed_or_where_it_is(fabric):
    paths = fabric.cluster()
    missing = fabric("kubeconfig", "lab")
    assert missing.code == 1
    assert missing.err == "error: cluster lab has no kubeconfig yet: its API server has not come up\n"
    paths.kubeconfig.write_text("kind: Config\n")
    assert fabric("kubeconfig").out == "kind: Config\n"
    assert fabric("kubeconfig", "--path").out == f"{paths.kubeconfig}\n"


@pytest.fixture
def removed(monkeypatch):
    names: list[str] = []
    monkeypatch.setattr(down_command.downs, "down", names.append)
    return names


def test_down_takes_the_only_one_the_named_one_or_all(fabric, removed):
    assert fabric("down", "--all").out == "No cluster on this machine.\n"
    fabric.cluster("one")
    assert fabric("down").out == "Cluster one is down.\n"
    fabric.cluster("two")
    assert fabric("down", "two").out == "Cluster two is down.\n"
    assert fabric("down", "--all").out == "Cluster one is down.\nCluster two is down.\n"
    assert removed == ["one", "two", "one", "two"]


def test_down_refuses_a_name_with_all_and_a_name_that_fits_none(fabric, removed):
    fabric.cluster("one")
    both, none = fabric("down", "one", "--all"), fabric("down", "two")
    assert both.code == none.code == 2 and removed == []
    assert "error: --all: give it or a NAME, not both" in both.err
    assert "no cluster 'two' on this machine; there: one" in none.err


def test_all_stops_at_a_cluster_that_cannot_be_removed_and_says_why(fabric, monkeypatch):
    def refuse(name):
        raise FabricError(f"cluster {name}: a process does not end")

    fabric.cluster("one")
    fabric.cluster("two")
    monkeypatch.setattr(down_command.downs, "down", refuse)
    answer = fabric("down", "--all")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == "error: cluster one: a process does not end\n"
