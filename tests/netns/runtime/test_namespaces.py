"""Which namespaces nodes, pods and containers have, and who sees whose processes."""

from __future__ import annotations

import os

import pytest
from support.eventually import eventually
from support.pod_shell import PodShell, mounts_of

from fabric.runtime.contract import HostSpec, SandboxSpec


def namespace(pid: int, kind: str) -> str:
    return os.readlink(f"/proc/{pid}/ns/{kind}")


async def test_a_pod_has_namespaces_of_its_own_and_its_containers_share_them(shell: PodShell):
    (sandbox,) = await shell.client.sandboxes()
    one = await shell.start("sleep", "1000")
    two = await shell.start("sleep", "1000")
    node = (await shell.client.nodes())["node-1"]
    for kind in ("net", "uts", "ipc", "pid"):
        assert len({namespace(pid, kind) for pid in (sandbox.pid, one.pid, two.pid)}) == 1
        assert len({namespace(pid, kind) for pid in (os.getpid(), node, sandbox.pid)}) == 3
    assert len({namespace(pid, "mnt") for pid in (os.getpid(), node, one.pid, two.pid)}) == 4


async def test_a_pod_on_the_host_network_has_its_nodes_network_and_name(shell: PodShell):
    status = await shell.client.start_sandbox(SandboxSpec("pod-2", "node-1", "pod-2", host_network=True))
    node = (await shell.client.nodes())["node-1"]
    assert namespace(status.pid, "net") == namespace(node, "net")
    assert await shell.run("hostname", sandbox="pod-2") == "node-1\n"
    assert namespace(status.pid, "pid") != namespace(node, "pid")


async def test_a_node_sees_its_pods_and_a_pod_sees_itself(shell: PodShell):
    await shell.start("sleep", "12345")
    await shell.client.start_sandbox(SandboxSpec("pod-2", "node-1", "pod-2"))
    code, on_node = await shell.exec_node("ps -eo args")
    assert code == 0 and "sleep 12345" in on_node
    assert on_node.count("catatonit") == 3
    in_pod = await shell.run("ps -eo pid,args")
    assert "1 catatonit -P" in in_pod and "sleep 12345" in in_pod
    assert "sleep 12345" not in await shell.run("ps -eo args", sandbox="pod-2")


async def test_names_are_the_nodes_and_the_pods(shell: PodShell):
    assert await shell.run("hostname") == "pod-1\n"
    assert await shell.exec_node("hostname") == (0, "node-1\n")


@pytest.mark.parametrize("ipv6", [False, True])
async def test_ipv6_is_off_unless_asked_for(shell: PodShell, ipv6: bool):
    settings = "cat /proc/sys/net/ipv6/conf/all/disable_ipv6 /proc/sys/net/ipv6/conf/default/disable_ipv6"
    await shell.client.start_node(HostSpec("node-2", ipv6=ipv6))
    await shell.client.start_sandbox(SandboxSpec("pod-2", "node-2", "pod-2", ipv6=ipv6))
    expected = "0\n0\n" if ipv6 else "1\n1\n"
    assert await shell.run(settings, sandbox="pod-2") == expected


async def test_orphans_of_a_container_are_reaped(shell: PodShell):
    started = await shell.start("sh", "-c", "(sleep 0.01 &) ; exec sleep 1000")

    async def no_zombies() -> bool:
        _, printed = await shell.exec(started.id, "ps -eo stat,args")
        return "sleep 0.01" not in printed and "defunct" not in printed

    await eventually(no_zombies)


async def test_nothing_is_left_when_the_runtime_and_its_nodes_are_killed(shell: PodShell):
    mounts = mounts_of("self")
    await shell.start("sleep", "1000")
    await shell.client.start_node(HostSpec("node-2"))
    for node in ("node-1", "node-2"):
        await shell.client.stop_node(node)
    assert shell.process.pids == [shell.process.pid]
    assert mounts_of("self") == mounts


async def test_the_hosts_mounts_and_names_are_untouched_while_pods_run(shell: PodShell):
    await shell.start("sleep", "1000")
    assert str(shell.directory) not in mounts_of("1")
    assert os.uname().nodename not in ("node-1", "pod-1")
