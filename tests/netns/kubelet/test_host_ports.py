"""Host ports with real packets: from another machine, from the node, from the pod itself; TCP and UDP."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator

import pytest
from support.eventually import eventually
from support.namespaces import namespaces, run_inside
from support.real_node import RealNode

from fabric.api.kinds import POD

ECHO = [
    {"containerPort": 8080, "hostPort": 18080},
    {"containerPort": 9000, "hostPort": 19000, "protocol": "UDP"},
]
_UDP = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)
s.bind(("", int(sys.argv[3])))
s.connect((sys.argv[1], int(sys.argv[2]))); s.send(b"hello"); print(s.recv(2000).decode())
"""


@pytest.fixture
async def other(node: RealNode) -> AsyncIterator[int]:
    """Another machine on the node's wire: 192.168.0.99; the node has 192.168.0.11 and 192.168.0.12."""
    with namespaces("other") as pids:
        here, there = node.pids["node-1"], pids["other"]
        pair = ("eth0", "type", "veth", "peer", "name", "eth0", "netns", str(there))
        run_inside(here, "ip", "link", "add", *pair)
        for address in ("192.168.0.11/24", "192.168.0.12/24"):
            run_inside(here, "ip", "address", "add", address, "dev", "eth0")
        run_inside(here, "ip", "link", "set", "eth0", "up")
        run_inside(there, "ip", "address", "add", "192.168.0.99/24", "dev", "eth0")
        run_inside(there, "ip", "link", "set", "eth0", "up")
        run_inside(here, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        run_inside(here, "ip", "link", "set", "lo", "up")
        run_inside(here, "ip", "link", "set", "cni0", "up")
        yield there


def http(pid: int, address: str, port: int = 18080) -> str:
    """Return who answered, or nothing."""
    try:
        url = f"http://{address}:{port}/hostname"
        return run_inside(pid, "curl", "-s", "--noproxy", "*", "--max-time", "2", url).strip()
    except subprocess.CalledProcessError:
        return ""


def udp(pid: int, address: str, port: int = 19000, source: int = 0) -> str:
    """Return who answered, or nothing; with `source` all packets are of one connection to conntrack."""
    try:
        answer = run_inside(pid, "python3", "-c", _UDP, address, str(port), str(source))
    except subprocess.CalledProcessError:
        return ""
    return str(json.loads(answer)["hostname"])


def nat(node: RealNode) -> str:
    saved = run_inside(node.pids["node-1"], "iptables-save", "-t", "nat")
    return "\n".join(line for line in saved.splitlines() if "CNI" in line and not line.startswith(":"))


async def create(node: RealNode, name: str, ports: list[dict[str, object]]) -> str:
    uid = await node.create(name, "echo", containers=[{"name": "main", "image": "echo", "ports": ports}])
    await node.phase(name, "Running")
    return uid


async def test_a_host_port_answers_from_everywhere(node: RealNode, other: int):
    async with node.kubelet():
        uid = await create(node, "pod-1", ECHO)
        own, pod = node.pids["node-1"], node.pids[f"pod:{uid}"]
        await eventually(lambda: http(own, "192.168.0.11") == "pod-1")
        for who, pid, address in (
            ("another machine", other, "192.168.0.11"),
            ("another machine", other, "192.168.0.12"),
            ("the node", own, "127.0.0.1"),
            ("the node", own, "192.168.0.11"),
            ("the pod", pod, "192.168.0.11"),
        ):
            assert (who, address, http(pid, address)) == (who, address, "pod-1")
            assert (who, address, udp(pid, address)) == (who, address, "pod-1")


async def test_a_udp_client_that_goes_on_sending_meets_the_mapping_of_the_moment(node: RealNode, other: int):
    async with node.kubelet():
        await create(node, "pod-1", ECHO[:1])
        assert udp(other, "192.168.0.11", source=4000) == "", "nothing is mapped yet, and conntrack notes it"
        await create(node, "pod-2", ECHO[1:])
        assert udp(other, "192.168.0.11", source=4000) == "pod-2"
        assert udp(node.pids["node-1"], "192.168.0.12", source=4001) == "pod-2"
        await node.client.delete(POD, "pod-2", "default", grace_period_seconds=0)
        await eventually(lambda: "19000" not in nat(node))
        await create(node, "pod-3", ECHO[1:])
        assert udp(other, "192.168.0.11", source=4000) == "pod-3"
        assert udp(node.pids["node-1"], "192.168.0.12", source=4001) == "pod-3"


async def test_a_host_ip_narrows_a_port_to_one_address(node: RealNode, other: int):
    async with node.kubelet():
        for name, address in (("pod-1", "192.168.0.11"), ("pod-2", "192.168.0.12")):
            await create(node, name, [{**ECHO[0], "hostIP": address}])
        assert http(other, "192.168.0.11") == "pod-1"
        assert http(other, "192.168.0.12") == "pod-2"
        assert http(node.pids["node-1"], "127.0.0.1") == ""


async def test_two_pods_of_one_host_port_are_not_both_admitted(node: RealNode, other: int):
    async with node.kubelet():
        await create(node, "pod-1", ECHO)
        second = [{"name": "main", "image": "echo", "ports": ECHO[:1]}]
        await node.create("pod-2", "echo", containers=second)
        assert (await node.phase("pod-2", "Failed"))["status"]["reason"] == "NodePorts"
        assert http(other, "192.168.0.11") == "pod-1"


async def test_rules_outlive_the_kubelet_come_back_when_taken_and_go_with_the_pod(node: RealNode, other: int):
    async with node.kubelet():
        await create(node, "pod-1", ECHO)
        before = nat(node)
        assert "CNI-DN-" in before
        run_inside(node.pids["node-1"], "iptables", "-t", "nat", "-F", "CNI-HOSTPORT-DNAT")
        run_inside(node.pids["node-1"], "iptables", "-t", "nat", "-F", "CNI-HOSTPORT-MASQ")
        assert await eventually(lambda: nat(node) == before)
    assert http(other, "192.168.0.11") == "pod-1"
    async with node.kubelet():
        await create(node, "pod-2", [])
        assert http(other, "192.168.0.11") == "pod-1"
        assert nat(node) == before
        await node.client.delete(POD, "pod-1", "default", grace_period_seconds=0)
        assert await eventually(lambda: nat(node) == "")
        assert http(other, "192.168.0.11") == ""


async def test_rules_of_a_pod_that_went_while_the_kubelet_was_dead_are_removed(node: RealNode, other: int):
    async with node.kubelet():
        await create(node, "pod-1", ECHO)
    await node.client.delete(POD, "pod-1", "default", grace_period_seconds=0)
    assert nat(node) != ""
    async with node.kubelet():
        assert await eventually(lambda: nat(node) == "")
