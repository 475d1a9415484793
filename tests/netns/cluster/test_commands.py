"""The command line on a running cluster: output formats, exit codes, messages."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from support.clusters import TOP, Cluster, fabric, pod
from support.eventually import eventually


def test_exec_gives_the_exit_code_of_the_program(vxlan):
    assert vxlan.exec("pod-1", "sh", "-c", "exit 7").returncode == 7
    assert vxlan.exec("pod-1", "true").returncode == 0


def test_exec_of_a_missing_program_says_so(vxlan):
    missing = vxlan.exec("pod-1", "no-such-program")
    assert missing.returncode in (126, 127)
    assert "no-such-program" in missing.stderr


def test_exec_passes_standard_input_on(vxlan):
    argv = [
        sys.executable,
        "-P",
        "-m",
        "fabric",
        "exec",
        "--cluster",
        vxlan.name,
        "-i",
        "pod-1",
        "--",
        "tr",
        "a-z",
        "A-Z",
    ]
    done = subprocess.run(
        argv, cwd=TOP, input="hello", capture_output=True, text=True, timeout=180, check=True
    )
    assert done.stdout == "HELLO"


def test_exec_in_a_pod_that_is_not_there_names_what_is_close(vxlan):
    missing = vxlan.exec("pod-11", "true")
    assert missing.returncode == 1
    assert "did you mean pod-1" in missing.stderr


def test_exec_on_a_node_that_is_not_there_names_the_nodes(vxlan):
    missing = vxlan.exec("node:node-9", "true")
    assert missing.returncode == 2
    assert "node-1, node-2" in missing.stderr


def test_a_pod_cannot_write_the_hosts_files(vxlan):
    mark = f"/etc/fabric-test-{os.getpid()}"
    vxlan.exec("pod-1", "sh", "-c", f"echo x > {mark}")
    assert not os.path.exists(mark)


def test_logs_say_what_the_container_wrote(vxlan):
    address = vxlan.report["pods"][0]["ip"]
    vxlan.exec("pod-3", "curl", "-s", f"http://{address}:8080/")
    done = fabric("logs", "--cluster", vxlan.name, "pod-4", "-c", "second")
    assert done.returncode == 0, done.stderr


def test_list_and_status_come_as_json_yaml_and_tables(vxlan):
    listed = json.loads(fabric("list", "-o", "json").stdout)
    assert {"running"} == {entry["status"] for entry in listed if entry["name"] == vxlan.name}
    status = yaml.safe_load(fabric("status", vxlan.name, "-o", "yaml").stdout)
    assert [node["ready"] for node in status["nodes"]] == ["True", "True"]
    assert "node-1   True" in fabric("status", vxlan.name).stdout


def test_kubeconfig_is_printed_and_its_path_too(vxlan):
    assert (
        yaml.safe_load(fabric("kubeconfig", vxlan.name).stdout)["current-context"] == f"fabric-{vxlan.name}"
    )
    assert fabric("kubeconfig", "--path", vxlan.name).stdout.strip() == str(vxlan.run_folder / "kubeconfig")


@pytest.mark.parametrize("command", ["down", "status", "kubeconfig"])
def test_a_cluster_that_is_not_there_is_bad_input(command):
    done = fabric(command, "no-such-cluster")
    assert done.returncode == 2
    assert "no cluster 'no-such-cluster'" in done.stderr


def test_a_broken_file_builds_nothing_and_exits_with_2(fresh):
    fresh.file.write_text(fresh.file.read_text().replace('"vxlan"', '"vxlam"'))
    done = fabric("up", str(fresh.file))
    assert done.returncode == 2
    assert f"{fresh.file}:1: spec.network.backend" in done.stderr
    assert "host-gw" in done.stderr
    assert fresh.leftovers() == []


async def test_an_unknown_image_is_a_clear_message_and_no_crash(fresh):
    text = fresh.file.read_text().replace('"image": "echo"', '"image": "no-such/thing:1"', 1)
    fresh.file.write_text(text)
    done = fabric("up", str(fresh.file), "--timeout", "5")
    assert done.returncode == 1
    assert "ImagePull" in done.stderr
    assert "no-such/thing" in done.stderr

    def reason():
        status = fresh.get("/api/v1/namespaces/default/pods/pod-1")["status"]
        return "ImagePull" in status["containerStatuses"][0]["state"]["waiting"]["reason"]

    await eventually(reason)
    assert all(process["pid"] for process in fresh.status()["processes"])


async def test_a_pod_that_does_not_fit_says_why(fresh):
    big = json.loads(fresh.file.read_text())
    big["spec"]["manifests"][0]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1000"}}
    fresh.file.write_text(json.dumps(big))
    done = fabric("up", str(fresh.file), "--timeout", "5")
    assert done.returncode == 1
    assert "Insufficient cpu" in done.stderr


def test_an_image_that_the_file_adds_runs_and_is_changed_while_the_cluster_runs(tmp_path):
    pods = [pod("pod-1", image="registry.example/team/greeter:7"), pod("pod-2", image="later")]
    images = {"greeter": {"command": ["sh", "-c", "echo hello; sleep 1000"]}}
    cluster = Cluster(tmp_path, nodes=1, pods=pods, images=images)
    try:
        first = fabric("up", str(cluster.file), "--timeout", "3")
        assert first.returncode == 1
        assert f'{cluster.file}:1: Pod pod-2: image "later": no image of that name' in first.stderr
        assert fabric("logs", "--cluster", cluster.name, "pod-1").stdout == "hello\n"
        assert "greeter" in fabric("images", cluster.name).stdout
        version = cluster.pod_versions()["pod-1"]
        cluster.write(nodes=1, pods=pods, images=images | {"later": {"command": ["sleep", "1000"]}})
        cluster.up()
        assert "later" in fabric("images", cluster.name).stdout
        assert cluster.pod_versions()["pod-1"] == version, "a pod of another image is not touched"
    finally:
        cluster.close()


async def test_the_api_server_answers_pods_on_the_control_planes_address(vxlan):
    def healthy():
        url = "https://192.168.0.2:6443/healthz"
        return vxlan.exec("pod-1", "curl", "-sk", "--max-time", "2", url).stdout == "ok"

    await eventually(healthy)


def test_a_pod_without_credentials_is_not_answered_more_than_that(vxlan):
    url = "https://192.168.0.2:6443/api/v1/pods"
    assert '"code":401' in vxlan.exec("pod-1", "curl", "-sk", url).stdout.replace(" ", "")
