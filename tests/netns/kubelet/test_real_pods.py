"""Pods as processes: they run, reach each other, end as they are told, and leave nothing."""

from __future__ import annotations

import os
import subprocess
import time

from support.eventually import eventually
from support.namespaces import run_inside
from support.real_node import RealNode

from fabric.api.kinds import CONFIG_MAP, POD
from fabric.api.objects import condition_is

DEAF = "trap '' TERM; echo ready; while :; do sleep 1; done"
POLITE = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done"


async def test_two_pods_run_and_reach_each_other(node: RealNode):
    async with node.kubelet():
        await node.create("pod-1", "echo")
        await node.create("pod-2", "busybox", "sleep", "1000")
        first = await node.phase("pod-1", "Running")
        await node.phase("pod-2", "Running")
        assert condition_is(first, "Ready")
        ip = first["status"]["podIP"]
        code, printed = await node.exec("pod-2", "ping", "-c1", "-W2", ip)
        assert code == 0, printed
        code, printed = await node.exec("pod-2", "curl", "-s", f"http://{ip}:8080/")
        assert code == 0
        assert "pod-1" in printed
        code, printed = await node.exec("pod-2", "ip", "-4", "-br", "address", "show", "eth0")
        assert "10.244.1." in printed


async def test_a_pods_end_is_told_with_its_code_and_its_log_stays(node: RealNode):
    async with node.kubelet():
        uid = await node.create("pod-1", "busybox", "sh", "-c", "echo hello; exit 3", restartPolicy="Never")
        pod = await node.phase("pod-1", "Failed")
        end = pod["status"]["containerStatuses"][0]["state"]["terminated"]
        assert (end["exitCode"], end["reason"]) == (3, "Error")
        assert " stdout F hello\n" in node.log("pod-1", uid)
        assert await eventually(lambda: not node.agent.attachments)


async def test_who_ends_at_sigterm_is_gone_long_before_the_grace_period(node: RealNode):
    async with node.kubelet():
        uid = await node.create("pod-1", "busybox", "sh", "-c", POLITE)
        await eventually(lambda: "ready" in node.log("pod-1", uid))
        start = time.monotonic()
        await node.client.delete(POD, "pod-1", "default")
        await node.gone("pod-1")
        assert time.monotonic() - start < 25, "the grace period is 30 s"
        assert not (node.root / f"var/lib/kubelet/pods/{uid}").exists()
        assert list((node.root / "var/log/pods").iterdir()) == []


async def test_who_is_deaf_to_sigterm_is_killed_after_the_grace_period(node: RealNode):
    async with node.kubelet():
        uid = await node.create("pod-1", "busybox", "sh", "-c", DEAF)
        await eventually(lambda: "ready" in node.log("pod-1", uid))
        start = time.monotonic()
        await node.client.delete(POD, "pod-1", "default", grace_period_seconds=1)
        await node.gone("pod-1")
        assert 0.9 < time.monotonic() - start < 25, "its own grace period would be 30 s"
        veths = ("ip", "-br", "link", "show", "type", "veth")
        await eventually(lambda: run_inside(node.pids["node-1"], *veths) == "")


async def test_a_crashing_container_is_restarted_with_a_log_of_its_own(node: RealNode):
    async with node.kubelet():
        uid = await node.create("pod-1", "busybox", "sh", "-c", "echo try; exit 1")
        await eventually(lambda: "try" in node.log("pod-1", uid, 1))

        async def waits() -> bool:
            pod = await node.pod("pod-1")
            entry = (
                pod["status"]["containerStatuses"][0] if pod and "containerStatuses" in pod["status"] else {}
            )
            return entry.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff"

        assert await eventually(waits)
        assert "try" in node.log("pod-1", uid, 0)


async def test_a_new_kubelet_adopts_running_pods(node: RealNode):
    async with node.kubelet():
        await node.create("pod-1", "busybox", "sleep", "1000")
        before = await node.phase("pod-1", "Running")
    pid = (await node.runtime.containers())[0].pid
    async with node.kubelet():
        await node.create("pod-2", "busybox", "sleep", "1000")
        await node.phase("pod-2", "Running")
        os.kill(pid, 0)
        after = await node.pod("pod-1")
        assert after is not None
        assert after["status"] == before["status"]


async def test_a_deleted_veth_comes_back(node: RealNode):
    async with node.kubelet():
        await node.create("pod-1", "busybox", "sleep", "1000")
        pod = await node.phase("pod-1", "Running")
        run_inside(node.pids["node-1"], "ip", "link", "delete", "veth00000002")

        def answers() -> bool:
            argv = [
                "nsenter",
                "-t",
                str(node.pids["node-1"]),
                "-n",
                "ping",
                "-c1",
                "-W1",
                pod["status"]["podIP"],
            ]
            return subprocess.run(argv, capture_output=True).returncode == 0

        assert await eventually(answers)


async def test_files_and_volumes_are_seen_inside(node: RealNode):
    data = {"metadata": {"name": "settings"}, "data": {"colour": "blue"}}
    await node.client.create(CONFIG_MAP, data, namespace="default")
    mount = {"name": "settings", "mountPath": "/etc/settings"}
    script = "cat /etc/settings/colour /etc/hostname /etc/hosts; echo; sleep 1000"
    container = {"name": "main", "image": "busybox", "command": ["sh", "-c", script], "volumeMounts": [mount]}
    async with node.kubelet():
        uid = await node.create(
            "pod-1",
            "busybox",
            containers=[container],
            volumes=[{"name": "settings", "configMap": {"name": "settings"}}],
        )
        await eventually(lambda: "Kubernetes-managed" in node.log("pod-1", uid))
        log = node.log("pod-1", uid)
        assert "bluepod-1\n" in log
        assert "10.244.1.2\tpod-1" in log


async def test_a_container_has_the_capabilities_that_it_asks_for(node: RealNode):
    wanted = {"add": ["NET_ADMIN"], "drop": ["NET_RAW", "CHOWN"]}
    container = {
        "name": "main",
        "image": "busybox",
        "command": ["sleep", "1000"],
        "securityContext": {"capabilities": wanted},
    }
    async with node.kubelet():
        await node.create("pod-1", "busybox", "sleep", "1000")
        await node.create("pod-2", "busybox", containers=[container])
        await node.phase("pod-1", "Running")
        await node.phase("pod-2", "Running")
        usual, asked = [await _effective(node, pod) for pod in ("pod-1", "pod-2")]
        assert asked == (usual | 1 << 12) & ~(1 << 13) & ~1
        change = ("ip", "address", "add", "10.9.9.9/32", "dev", "lo")
        assert (await node.exec("pod-2", *change))[0] == 0
        assert (await node.exec("pod-1", *change))[0] != 0


async def _effective(node: RealNode, pod: str) -> int:
    """CapEff of a container's process, as the machine sees it."""
    uid = (await node.pod(pod) or {})["metadata"]["uid"]
    (status,) = await node.runtime.containers(uid)
    return _cap_eff(status.pid)


def _cap_eff(pid: int) -> int:
    with open(f"/proc/{pid}/status") as file:
        return int(next(line.split()[1] for line in file if line.startswith("CapEff")), 16)
