"""What a stranger takes away from a node's network comes back."""

import asyncio
import os
import re
import signal

import pytest
from support.cluster_namespaces import namespaces_of
from support.clusters import Cluster, fabric, pod
from support.eventually import eventually
from support.namespaces import run_inside

DRIFT = {
    "a route": ("ip route del {subnet}", "ip route show {subnet}"),
    "an FDB entry": (
        "bridge fdb del $(bridge fdb show dev flannel.1 | awk '/dst/{{print $1; exit}}') dev flannel.1",
        "bridge fdb show dev flannel.1 | grep dst",
    ),
    "a neighbour": (
        "ip neigh flush dev flannel.1 nud permanent",
        "ip neigh show dev flannel.1 nud permanent",
    ),
    "a masquerade rule": (
        "iptables -t nat -D FLANNEL-POSTRTG 5",
        "iptables-save -t nat | grep -- '-j MASQUERADE' | grep -- '-s 10.244.0.0/16 ! -d'",
    ),
    "the jump to the forward rules": (
        "iptables -D FORWARD -m comment --comment 'flanneld forward' -j FLANNEL-FWD",
        "iptables-save -t filter | grep -- '-A FORWARD'",
    ),
    "flannel.1 itself": ("ip link del flannel.1", "ip route show {subnet} | grep flannel.1"),
    "cni0's address": ("ip address flush dev cni0", "ip -o -4 address show cni0"),
}


@pytest.mark.parametrize("what", DRIFT)
async def test_it_is_repaired(vxlan, what):
    subnet = ".".join(vxlan.report["pods"][2]["ip"].split(".")[:3]) + ".0/24"
    take_away, look = (command.format(subnet=subnet) for command in DRIFT[what])
    before = vxlan.exec("node:node-1", "sh", "-c", look).stdout
    assert before.strip()
    assert vxlan.exec("node:node-1", "sh", "-c", take_away).returncode == 0

    def repaired():
        return vxlan.exec("node:node-1", "sh", "-c", look).stdout == before

    await eventually(repaired)
    target = vxlan.report["pods"][2]["ip"]

    def reached():
        return vxlan.exec("pod-1", "ping", "-c", "1", "-W", "1", target).returncode == 0

    await eventually(reached)


async def test_status_tells_a_nodes_last_plan(vxlan):
    subnet = ".".join(vxlan.report["pods"][2]["ip"].split(".")[:3]) + ".0/24"
    assert vxlan.exec("node:node-1", "sh", "-c", f"ip route del {subnet}").returncode == 0

    def told():
        lines = fabric("status", vxlan.name, "-o", "wide").stdout.splitlines()
        (row,) = (line for line in lines if line.split()[:2] == ["node-1", "last-plan"])
        return f"add route {subnet} via" in row

    await eventually(told)


WIRES = {
    "a node's MTU": ("node-1", "eth0", "mtu 1300"),
    "a node's MAC": ("node-1", "eth0", "address 02:00:00:00:00:99"),
    "a node that was lowered": ("node-1", "eth0", "down"),
    "the switch's MTU": ("switch", "node-1", "mtu 1300"),
    "the switch's MAC": ("switch", "node-1", "address 02:00:00:00:00:99"),
    "a pod's MTU and MAC": ("pod-1", "eth0", "mtu 1300 address 02:00:00:00:00:99"),
}


@pytest.mark.parametrize("what", WIRES)
async def test_each_end_of_a_wire_is_as_it_was_promised_again(vxlan, what):
    where, device, change = WIRES[what]
    pid = (await asyncio.to_thread(namespaces_of, vxlan))[where].pid

    def look():
        link = run_inside(pid, "ip", "-o", "link", "show", device)
        return link + run_inside(pid, "ip", "-o", "-4", "address", "show", device)

    before = look()
    assert "state UP" in before
    run_inside(pid, "ip", "link", "set", device, *change.split())
    await eventually(lambda: look() == before, seconds_max=200)
    target = vxlan.report["pods"][2]["ip"]

    def reached():
        return vxlan.exec("pod-1", "ping", "-c", "1", "-W", "1", target).returncode == 0

    await eventually(reached, seconds_max=60)


PODS_SIDE = {
    "its veth is deleted on the node": (
        "node-1",
        "for it in $(ip -o link show type veth | grep -oE '(veth|cali)[0-9a-f]+'); do ip link del $it; done",
    ),
    "its veth is deleted in the pod": ("pod-1", "ip link del eth0"),
    "eth0 is lowered": ("pod-1", "ip link set eth0 down"),
    "its address is flushed": ("pod-1", "ip address flush dev eth0"),
    "its default route is deleted": ("pod-1", "ip route del default"),
}


@pytest.fixture(scope="module")
def calico(tmp_path_factory):
    with Cluster.running(
        tmp_path_factory.mktemp("calico"),
        network={"plugin": "calico"},
        pods=[pod("pod-1", "node-1"), pod("pod-2", "node-1"), pod("pod-3", "node-2")],
    ) as cluster:
        cluster.report = cluster.up()
        yield cluster


@pytest.mark.parametrize("network", ["vxlan", "calico"])
@pytest.mark.parametrize("what", PODS_SIDE)
async def test_a_pods_end_is_put_back_at_once(what, network, request):
    cluster = request.getfixturevalue(network)
    where, change = PODS_SIDE[what]
    spaces = await asyncio.to_thread(namespaces_of, cluster)
    commands = ("ip -br link show eth0", "ip -o -4 address show eth0", "ip route")

    def look():
        words = [run_inside(spaces["pod-1"].pid, "sh", "-c", f"{command} || true") for command in commands]
        return " ".join(re.sub(r"@if\d+|^\d+:", "", "".join(words), flags=re.MULTILINE).split())

    before = look()
    assert "UP" in before
    assert "default via" in before
    run_inside(spaces[where].pid, "sh", "-c", change)

    def put_back():
        assert look() == before
        return True

    await eventually(put_back)
    target = cluster.report["pods"][2]["ip"]

    def reached():
        return cluster.exec("pod-1", "ping", "-c", "1", "-W", "1", target).returncode == 0

    await eventually(reached)


async def test_status_tells_of_a_wire_that_nobody_has_put_back_yet(vxlan):
    def told():
        return [line for line in vxlan.status()["troubles"] if "the underlay" in line]

    assert told() == []
    keeper = vxlan.pid("underlay")
    os.kill(keeper, signal.SIGSTOP)
    try:
        assert vxlan.exec("node:node-1", "ip", "link", "set", "eth0", "mtu", "1300").returncode == 0
        assert told() == [
            "node-1: the underlay is not as the topology says, which needs: replace link eth0 mtu 1500"
        ]
        assert fabric("status", vxlan.name).returncode == 1
    finally:
        os.kill(keeper, signal.SIGCONT)
    await eventually(lambda: told() == [], seconds_max=60)
