"""Any process may be killed at any moment: the cluster converges again, and nothing leaks."""

import os
import signal
from pathlib import Path

import pytest
from support.eventually import eventually

COMPONENTS = ["api", "control", "underlay", "worker-0", "worker-1", "runtime-0", "runtime-1", "supervisor"]


@pytest.fixture(scope="module")
def running(vxlan):
    return vxlan


def pods(cluster):
    """What must survive: address and restarts of each pod."""
    return {pod["name"]: (pod["ip"], pod["node"]) for pod in cluster.up()["pods"]}


@pytest.mark.parametrize("component", COMPONENTS)
async def test_a_killed_component_comes_back_and_no_pod_notices(running, component):
    before = pods(running)
    started = running.exec("pod-1", "stat", "-c", "%Y", "/proc/1", container="main").stdout
    pid = running.pid(component)
    os.kill(pid, signal.SIGKILL)
    if component != "supervisor":
        await eventually(lambda: running.pid(component) not in (0, pid))
    assert pods(running) == before
    assert running.exec("pod-1", "stat", "-c", "%Y", "/proc/1", container="main").stdout == started
    assert running.status()["troubles"] == []


async def test_packets_flow_while_every_component_is_killed(running):
    target = pods(running)["pod-3"][0]
    pids = {process["name"]: process["pid"] for process in running.status()["processes"]}
    ping = f"ping -i 0.1 -c 50 -W 1 {target} >/tmp/ping.log 2>&1 &"
    assert running.exec("pod-1", "sh", "-c", ping).returncode == 0
    for component in COMPONENTS:
        os.kill(pids[component], signal.SIGKILL)
    assert running.up()["reachability"]["reached"] == 12

    def lost_none():
        return " 50 received, 0% packet loss" in running.exec("pod-1", "cat", "/tmp/ping.log").stdout

    await eventually(lost_none)


async def test_a_killed_container_is_started_again_and_counted(running):
    running.up()
    script = "kill -9 $(pgrep -x sleep)"
    running.exec("pod-4", "sh", "-c", script, container="second")

    def restarted():
        looked = running.exec("pod-4", "pgrep", "-x", "sleep", container="main")
        return looked.returncode == 0

    await eventually(restarted)


def init_of(cluster, node):
    """The process that is PID 1 on the node, as the host sees it."""
    there = cluster.exec(f"node:{node}", "readlink", "/proc/1/ns/pid", "/proc/1/ns/net").stdout.split()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            here = [os.readlink(process / "ns" / kind) for kind in ("pid", "net")]
            first = (process / "status").read_text().partition("NSpid:")[2].split("\n")[0].split()[-1] == "1"
        except OSError:
            continue
        if here == there and first:
            return int(process.name)
    raise AssertionError(f"no init of {node}")


def test_a_node_that_is_powered_off_comes_back_with_its_pods(running):
    os.kill(init_of(running, "node-2"), signal.SIGKILL)
    assert running.up()["reachability"]["reached"] == 12


async def test_the_api_server_listens_again_in_a_control_plane_that_was_off(running):
    url = "https://192.168.0.2:6443/healthz"

    def healthy():
        return running.exec("pod-1", "curl", "-sk", "--max-time", "2", url).stdout == "ok"

    await eventually(healthy)
    before = init_of(running, "control-plane")
    os.kill(before, signal.SIGKILL)
    await eventually(lambda: init_of(running, "control-plane") != before)
    await eventually(healthy)
