"""A rack that is cut off: heartbeats cross the underlay, so that the cluster sees it, and sees it heal."""

from __future__ import annotations

import asyncio

import pytest
from support.clusters import Cluster, fabric, pod
from support.eventually import eventually

RACKS = {"kind": "leaf-spine", "nodesPerRack": 1, "spines": 2}
GRACE_SECONDS = 40
HEARTBEAT_SECONDS = 10


@pytest.fixture(scope="module")
def racks(tmp_path_factory):
    """Two racks of one node, a pod on each."""
    cluster = Cluster(
        tmp_path_factory.mktemp("racks"),
        nodes=2,
        underlay=RACKS,
        pods=[pod("pod-1", "node-1"), pod("pod-2", "node-2")],
    )
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.close()


def link(cluster: Cluster, what: str, spine: str) -> None:
    done = fabric("link", what, "leaf-2", spine, "--cluster", cluster.name)
    assert done.returncode == 0, done.stderr


def ready(cluster: Cluster, node: str) -> str:
    conditions = cluster.get(f"/api/v1/nodes/{node}")["status"]["conditions"]
    return next(it["status"] for it in conditions if it["type"] == "Ready")


def taints(cluster: Cluster, node: str) -> set[str]:
    return {it["key"] for it in cluster.get(f"/api/v1/nodes/{node}")["spec"].get("taints", ())}


async def test_a_rack_that_is_cut_off_is_not_ready_until_it_is_back(racks):
    assert fabric("status", racks.name).returncode == 0
    for spine in ("spine-1", "spine-2"):
        link(racks, "down", spine)
    told = fabric("status", racks.name)
    assert told.returncode == 1
    assert "! link leaf-2--spine-1 is down" in told.stdout, told.stdout
    assert "! BGP session of leaf-2 to spine-1 is " in told.stdout
    assert fabric("bgp", racks.name, "--down").returncode == 1
    await eventually(lambda: ready(racks, "node-2") == "Unknown", seconds_max=GRACE_SECONDS + 20)
    await eventually(lambda: "node.kubernetes.io/unreachable" in taints(racks, "node-2"))
    assert ready(racks, "node-1") == "True"
    assert "! node node-2 is not Ready" in fabric("status", racks.name).stdout
    for spine in ("spine-1", "spine-2"):
        link(racks, "up", spine)
    await eventually(lambda: ready(racks, "node-2") == "True")
    await eventually(lambda: not taints(racks, "node-2"))
    await eventually(lambda: fabric("bgp", racks.name, "--down").returncode == 0)
    await eventually(lambda: fabric("status", racks.name).returncode == 0)


def test_a_rule_of_a_stranger_is_told_until_it_is_gone(racks):
    rule = ("FORWARD", "-d", "10.244.0.0/16", "-j", "DROP")
    assert racks.exec("node:node-1", "iptables", "-I", *rule).returncode == 0
    told = fabric("status", racks.name)
    assert told.returncode == 1
    assert (
        "! node-1: a rule that the network did not make: -A FORWARD -d 10.244.0.0/16 -j DROP" in told.stdout
    )
    assert racks.exec("node:node-1", "iptables", "-D", *rule).returncode == 0
    assert fabric("status", racks.name).returncode == 0
    routing = ("pref", "100", "to", "10.244.0.0/16", "blackhole")
    assert racks.exec("node:node-1", "ip", "rule", "add", *routing).returncode == 0
    told = fabric("status", racks.name)
    assert told.returncode == 1
    assert "that the network did not make: ip rule 100: from all to 10.244.0.0/16 blackhole" in told.stdout
    assert racks.exec("node:node-1", "ip", "rule", "del", *routing).returncode == 0
    assert fabric("status", racks.name).returncode == 0


async def test_heartbeats_leave_from_the_nodes_own_namespace_by_one_kept_connection(racks):
    def connections() -> list[str]:
        show = ("ss", "-tnH", "state", "established", "dport", "=", ":6443")
        return [line.split()[2] for line in racks.exec("node:node-2", *show).stdout.splitlines()]

    # What the partition left unanswered is dropped within its 10 s.
    await eventually(lambda: len(connections()) == 1)
    (kept,) = connections()
    assert kept.startswith("192.168.2.12:")
    await asyncio.sleep(2 * HEARTBEAT_SECONDS)
    assert connections() == [kept]
