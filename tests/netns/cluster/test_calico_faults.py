"""What breaks under Calico: daemons, reflectors, nodes and the datastore. Packets go on, and all heals."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import contextmanager

import pytest
from support.cluster_namespaces import namespaces_of
from support.eventually import eventually
from support.pinging import pinging
from support.shipped import Shipped

REFLECTOR = {"route-reflector": "true"}
OUTAGE_SECONDS = 30
RESYNC_SECONDS_MAX = 100
"""What the kernel does not tell of is found by the next reading, 60 to 90 s later."""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    """Four nodes in a mesh, without encapsulation."""
    yield from up(Shipped(tmp_path_factory.mktemp("mesh"), "calico-bgp"))


@pytest.fixture(scope="module")
def reflected(tmp_path_factory):
    """The same four nodes; node-1 and node-2 reflect, and there is no mesh."""
    cluster = Shipped(tmp_path_factory.mktemp("reflected"), "calico-bgp")
    spec = cluster.document["spec"]
    spec["nodes"] = [
        {"name": f"node-{number}", "labels": REFLECTOR if number < 3 else {}} for number in range(1, 5)
    ]
    by_label = "route-reflector == 'true'"
    spec["network"]["options"] |= {
        "nodes": [{"nodeSelector": by_label, "routeReflectorClusterID": "244.0.0.1"}],
        "resources": [
            resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False),
            resource("BGPPeer", "reflectors", nodeSelector="all()", peerSelector=by_label),
        ],
    }
    cluster.write_document()
    yield from up(cluster)


def resource(kind, name, **spec):
    return {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": {"name": name}, "spec": spec}


def up(cluster):
    try:
        cluster.report = cluster.up()
        cluster.spaces = namespaces_of(cluster)
        yield cluster
    finally:
        cluster.close()


def kill_bird(cluster, node):
    assert cluster.exec(f"node:{node}", "pkill", "-KILL", "-x", "bird").returncode == 0


def blocks(cluster, node):
    """The routes of that node that BIRD wrote."""
    said = cluster.exec(f"node:{node}", "ip", "-j", "route", "show", "proto", "bird").stdout
    return {route["dst"] for route in json.loads(said or "[]")}


def established(cluster, node):
    """How many sessions of the node are up."""
    said = cluster.exec(f"node:{node}", "birdc", "-s", "/run/calico/bird.ctl", "show", "protocols").stdout
    return said.count("Established")


def has_recovered(cluster, node):
    """All three sessions of a node are up, and its BIRD has done with its restart."""
    said = cluster.exec(f"node:{node}", "birdc", "-s", "/run/calico/bird.ctl", "show", "status").stdout
    return "Daemon is up" in said and "recovery" not in said and established(cluster, node) == 3


def test_each_node_speaks_with_each_other(mesh):
    assert {node: established(mesh, node) for node in ("node-1", "node-2", "node-3", "node-4")} == {
        f"node-{number}": 3 for number in range(1, 5)
    }


def test_with_reflectors_the_others_have_two_sessions_each(reflected):
    assert [established(reflected, f"node-{number}") for number in range(1, 5)] == [3, 3, 2, 2]


async def test_a_bird_that_is_killed_costs_no_packet(mesh):
    before = blocks(mesh, "node-1")
    assert len(before) == 4, "three peers' blocks, and the own one as a blackhole"
    with pinging(mesh, "pod-1", "pod-4") as lost:
        for node in ("node-1", "node-4"):
            kill_bird(mesh, node)
            await eventually(lambda node=node: has_recovered(mesh, node))
        assert blocks(mesh, "node-1") == before
    assert lost == [0]


async def test_birds_that_are_killed_together_find_each_other_again(mesh):
    """A BIRD that restarts does not wait for the routes of a peer that restarts too (RFC 4724, 4.1).

    Its kernel may be without that peer's block from when the session is up until the first update: packets
    may be lost for a moment, and are with Calico.
    """
    nodes = [f"node-{number}" for number in range(1, 5)]
    before = {node: blocks(mesh, node) for node in nodes}
    for node in nodes:
        kill_bird(mesh, node)
    await eventually(lambda: all(has_recovered(mesh, node) for node in nodes))
    await eventually(lambda: {node: blocks(mesh, node) for node in nodes} == before)
    assert mesh.up()["reachability"]["reached"] == 12


async def test_a_reflector_that_dies_costs_no_packet(reflected):
    with pinging(reflected, "pod-3", "pod-4") as lost:
        os.kill(reflected.spaces["node-1"].pid, signal.SIGKILL)
        await eventually(lambda: established(reflected, "node-4") == 2)
    assert lost == [0]
    assert reflected.up()["reachability"]["reached"] == 12


async def test_packets_flow_while_the_datastore_is_away(mesh):
    api = mesh.pid("api")
    with pinging(mesh, "pod-1", "pod-3") as lost:
        os.kill(api, signal.SIGSTOP)
        try:
            await asyncio.sleep(OUTAGE_SECONDS)
            assert len(blocks(mesh, "node-1")) == 4
        finally:
            os.kill(api, signal.SIGCONT)
    assert lost == [0]
    assert mesh.up()["reachability"]["reached"] == 12


def test_a_node_that_is_powered_off_comes_back_with_its_pods_and_their_addresses(mesh):
    before = {pod["name"]: pod["node"] for pod in mesh.report["pods"]}
    os.kill(namespaces_of(mesh)["node-2"].pid, signal.SIGKILL)
    report = mesh.up()
    assert report["reachability"]["reached"] == 12
    assert {pod["name"]: pod["node"] for pod in report["pods"]} == before
    mesh.report = report


async def test_a_node_that_leaves_the_file_leaves_no_route_and_no_block(mesh):
    mesh.document["spec"]["nodes"] = 3
    manifests = mesh.document["spec"]["manifests"]
    mesh.document["spec"]["manifests"] = []
    mesh.write_document()
    gone = blocks(mesh, "node-1")
    mesh.up()
    await eventually(lambda: len(blocks(mesh, "node-1")) == 3 and established(mesh, "node-1") == 2)
    mesh.document["spec"] |= {"nodes": 4, "manifests": manifests}
    mesh.write_document()
    mesh.report = mesh.up()
    assert mesh.report["reachability"]["reached"] == 12
    assert len(blocks(mesh, "node-1")) == len(gone)


DRIFT = {
    "tunl0": ("ip link del tunl0", "ip -br address show tunl0; ip route show dev tunl0"),
    "the tunnel's address": ("ip address flush dev tunl0", "ip -o -4 address show tunl0"),
    "a route": (
        "ip route del $(ip route show dev tunl0 | awk '/via/{print $1; exit}')",
        "ip route show dev tunl0",
    ),
    "the blackhole": ("ip route flush type blackhole", "ip route show type blackhole"),
    "a chain": ("iptables -t nat -F cali-nat-outgoing", "iptables -t nat -S cali-nat-outgoing"),
    "the jump": (
        "iptables -t nat -F POSTROUTING",
        "iptables -t nat -S POSTROUTING",
    ),
    "a set's member": ("ipset flush cali40all-ipam-pools", "ipset list cali40all-ipam-pools | grep 10.244"),
    "a pod's route": (
        "ip route del $(ip -o route show scope link | awk '/cali/{print $1; exit}')",
        "ip route show scope link | grep cali",
    ),
    "a pod's veth": (
        "ip link del $(ip -o route show scope link | awk '/cali/{print $3; exit}')",
        "ip -o link show type veth | grep -o 'cali[0-9a-f]*' | sort",
    ),
    "proxy ARP": (
        "for f in /proc/sys/net/ipv4/conf/cali*/proxy_arp; do echo 0 > $f; done",
        "cat /proc/sys/net/ipv4/conf/cali*/proxy_arp",
    ),
}


@pytest.fixture(scope="module")
def tunnelled(tmp_path_factory):
    """Two nodes with IPIP."""
    yield from up(Shipped(tmp_path_factory.mktemp("ipip"), "calico-ipip"))


@contextmanager
def frozen(cluster, *components):
    """Repair is quicker than a look: what repairs is stopped for as long as the block lasts."""
    pids = [cluster.pid(component) for component in components]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("what", DRIFT)
async def test_what_a_stranger_takes_away_comes_back(tunnelled, what):
    take_away, look = DRIFT[what]

    def seen():
        return tunnelled.exec("node:node-1", "sh", "-c", look).stdout

    before = seen()
    assert before.strip()
    with frozen(tunnelled, "worker-0", "worker-1"):
        # BIRD puts its own routes back at once, so that it is stopped too.
        script = (
            f"pkill -STOP -x bird && {{ {take_away}; }}; code=$?; {look}; pkill -CONT -x bird; exit $code"
        )
        done = tunnelled.exec("node:node-1", "sh", "-c", script)
        assert done.returncode == 0, done.stderr
        assert done.stdout != before, "the stranger's command did something"
    await eventually(lambda: seen() == before, seconds_max=RESYNC_SECONDS_MAX)

    def reached():
        target = tunnelled.address("pod-3")
        return tunnelled.exec("pod-1", "ping", "-c", "1", "-W", "1", target).returncode == 0

    await eventually(reached)


async def test_the_carrier_of_the_tunnel_is_killed_and_comes_back(tunnelled):
    if "ipip-carrier" not in tunnelled.exec("node:node-1", "ps", "ax").stdout:
        assert "ipip" in tunnelled.exec("node:node-1", "ip", "-d", "link", "show", "tunl0").stdout
        return
    assert tunnelled.exec("node:node-1", "pkill", "-KILL", "-f", "^ipip-carrier").returncode == 0

    def reached():
        target = tunnelled.address("pod-3")
        return tunnelled.exec("pod-1", "ping", "-c", "1", "-W", "1", target).returncode == 0

    await eventually(reached)
