"""Clusters on other graphs: a generator's ring, and a Mininet Topo class."""

from __future__ import annotations

import re

import pytest
from support.clusters import Cluster, fabric, pod
from support.eventually import eventually

from fabric.kernel.features import probe

RING = {"kind": "graph", "generator": "ring", "arguments": {"n": 4}, "coreLinks": {"rate": "1Gbit"}}
TOPO = """\
from mininet.topo import Topo

class Campus(Topo):
    def build(self, floors=2):
        core = self.addSwitch("core")
        for number in range(1, floors + 1):
            floor = self.addSwitch(f"floor{number}")
            self.addLink(core, floor, bw=1000)
            self.addLink(self.addHost(f"h{number}"), floor, bw=100)
"""


def pods(count: int) -> list[dict]:
    return [pod(f"pod-{number}", f"node-{number}") for number in range(1, count + 1)]


@pytest.fixture
def started(tmp_path):
    """Start a cluster; it is down again after the test."""
    clusters: list[Cluster] = []

    def start(**spec) -> Cluster:
        cluster = Cluster(tmp_path, **spec)
        clusters.append(cluster)
        cluster.report = cluster.up()
        return cluster

    yield start
    for cluster in clusters:
        cluster.close()


def hops(cluster: Cluster, source: str, target: str) -> int:
    """Routers between two nodes: what a reply's TTL lacks of 64."""
    ip = next(it["address"] for it in cluster.report["nodes"] if it["name"] == target)
    said = cluster.exec(f"node:{source}", "ping", "-c", "1", "-W", "2", ip).stdout
    found = re.search(r"ttl=(\d+)", said)
    assert found, said
    return 64 - int(found[1])


async def test_a_ring_goes_round_the_other_way_when_it_is_cut(started):
    ring = started(nodes=4, underlay=RING, pods=pods(4))
    assert ring.report["reachability"]["reached"] == 12
    assert (hops(ring, "node-1", "node-2"), hops(ring, "node-1", "node-3")) == (2, 3)
    assert "tbf" in ring.exec("node:r1", "tc", "qdisc", "show", "dev", "r2").stdout
    cut = fabric("link", "down", "r1", "r2", "--cluster", ring.name)
    assert cut.returncode == 0, cut.stderr
    await eventually(lambda: hops(ring, "node-1", "node-2") == 4)


def test_a_mininet_topo_is_an_underlay(started, tmp_path):
    (tmp_path / "campus.py").write_text(TOPO)
    underlay = {"kind": "mininet", "topo": "campus.py:Campus", "arguments": {"floors": 3}}
    campus = started(nodes=3, underlay=underlay, pods=pods(3))
    assert campus.report["reachability"]["reached"] == 6
    assert campus.report["nodes"][2]["address"] == "192.168.0.13"
    assert hops(campus, "node-1", "node-3") == 0
    assert "rate 100Mbit" in campus.exec("node:floor3", "tc", "qdisc", "show", "dev", "node-3").stdout
    drawn = fabric("graph", campus.name).stdout
    assert "floor2 switch [link to core: rate 1Gbit]" in drawn and "pod pod-3" in drawn


@pytest.mark.skipif(probe(["netem"])["netem"].present, reason="this kernel has sch_netem")
def test_a_delay_is_refused_where_the_kernel_has_no_netem(tmp_path):
    slow = RING | {"coreLinks": {"delay": "10ms"}}
    cluster = Cluster(tmp_path, nodes=2, underlay=slow)
    refused = fabric("up", str(cluster.file))
    assert refused.returncode == 1
    assert "netem: link r1--r2 has delay 10ms, r1--r4 has delay 10ms" in refused.stderr
    assert "this kernel has no sch_netem; modprobe sch_netem, or boot a kernel that has it" in refused.stderr
    assert cluster.leftovers() == []
