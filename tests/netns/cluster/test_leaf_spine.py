"""A Flannel cluster over a routed leaf-spine: two racks, two spines, real BIRD, and what befalls them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from pathlib import Path

import pytest
from support.cluster_namespaces import namespaces_of
from support.clusters import Cluster, fabric, pod
from support.eventually import eventually

RACKS = {"kind": "leaf-spine", "nodesPerRack": 2, "spines": 2}
FAR = "192.168.2.0/24"
SPINES = {"spine-1", "spine-2"}


def pods(count: int) -> list[dict]:
    return [pod(f"pod-{number}", f"node-{number}") for number in range(1, count + 1)]


@pytest.fixture(scope="module")
def racks(tmp_path_factory):
    """Four nodes in two racks, a pod on each, with VXLAN."""
    cluster = Cluster(tmp_path_factory.mktemp("racks"), nodes=4, underlay=RACKS, pods=pods(4))
    try:
        cluster.report = cluster.up()
        yield cluster
    finally:
        cluster.close()


def ip_of(cluster: Cluster, name: str) -> str:
    return next(it["ip"] for it in cluster.report["pods"] if it["name"] == name)


def ways(cluster: Cluster, router: str, to: str) -> set[str]:
    """The devices over which a router's kernel reaches a subnet."""
    said = cluster.exec(f"node:{router}", "ip", "route", "show", to, "proto", "bird").stdout
    return set(re.findall(r"dev (\S+)", said))


def sent(cluster: Cluster, router: str, device: str) -> int:
    """Packets that left a device."""
    return int(cluster.exec(f"node:{router}", "cat", f"/sys/class/net/{device}/statistics/tx_packets").stdout)


def link(cluster: Cluster, *words: str) -> str:
    done = fabric("link", *words, "--cluster", cluster.name)
    assert done.returncode == 0, done.stderr
    return done.stdout


def bird_pid(cluster: Cluster, router: str) -> str:
    return cluster.exec(f"node:{router}", "pgrep", "-x", "bird").stdout.strip()


def sessions_up(cluster: Cluster, router: str) -> int:
    said = cluster.exec(f"node:{router}", "birdc", "-s", "/run/bird/bird.ctl", "show", "protocols").stdout
    return said.count("Established")


def flows(cluster: Cluster, count: int = 60) -> dict[str, int]:
    """Packets that so many UDP flows from pod-1 to pod-3 put on each uplink of leaf-1."""
    before = {spine: sent(cluster, "leaf-1", spine) for spine in SPINES}
    script = f"for p in $(seq {count}); do echo x > /dev/udp/{ip_of(cluster, 'pod-3')}/$((20000+p)); done"
    assert cluster.exec("pod-1", "bash", "-c", script).returncode == 0
    return {spine: sent(cluster, "leaf-1", spine) - before[spine] for spine in SPINES}


def test_all_pods_reach_all_over_the_fabric(racks):
    assert racks.report["reachability"]["reached"] == 12
    addresses = {node["name"]: node["address"] for node in racks.report["nodes"]}
    assert addresses["node-1"] == "192.168.1.11" and addresses["node-4"] == "192.168.2.14"
    assert "fabric routes" in racks.report["stages"]


def test_flows_spread_over_both_spines(racks):
    assert ways(racks, "leaf-1", FAR) == SPINES
    assert all(count >= 10 for count in flows(racks).values())


def test_full_size_packets_pass_whole(racks):
    far = ip_of(racks, "pod-3")
    assert racks.exec("pod-1", "ping", "-c", "1", "-M", "do", "-s", "1422", far).returncode == 0


def test_pods_of_every_rack_reach_the_api_inside_the_fabric(racks):
    for name in ("pod-1", "pod-3"):
        done = racks.exec(name, "curl", "-sk", "-m", "5", "https://192.168.1.2:6443/version")
        assert "gitVersion" in done.stdout, done.stderr


async def test_a_pulled_uplink_moves_traffic_and_comes_back(racks):
    assert link(racks, "down", "leaf-1", "spine-1") == "link leaf-1--spine-1 is down (mtu 1500)\n"
    await eventually(lambda: ways(racks, "leaf-1", FAR) == {"spine-2"})
    await eventually(lambda: ways(racks, "leaf-2", "192.168.1.0/24") == {"spine-2"})
    counts = flows(racks)
    assert counts["spine-1"] == 0 and counts["spine-2"] >= 60
    assert "leaf-1 - spine-1 (down" in fabric("graph", racks.name).stdout
    link(racks, "up", "leaf-1", "spine-1")
    await eventually(lambda: ways(racks, "leaf-1", FAR) == SPINES)


async def test_up_puts_links_as_the_file_has_them(racks):
    link(racks, "set", "leaf-1", "node-1", "rate=10Mbit", "mtu=1400")
    link(racks, "down", "spine-2", "leaf-2")
    shown = json.loads(fabric("link", "show", "--cluster", racks.name, "-o", "json").stdout)
    assert {f"{it['a']}--{it['b']}" for it in shown if it["changed"]} == {"leaf-1--node-1", "leaf-2--spine-2"}
    assert "1400" in racks.exec("node:node-1", "ip", "link", "show", "eth0").stdout
    assert "tbf" in racks.exec("node:leaf-1", "tc", "qdisc", "show", "dev", "node-1").stdout
    assert racks.up()["reachability"]["reached"] == 12
    shown = json.loads(fabric("link", "show", "--cluster", racks.name, "-o", "json").stdout)
    assert not [it for it in shown if it["changed"]]
    await eventually(lambda: "mtu 1500" in racks.exec("node:node-1", "ip", "link", "show", "eth0").stdout)


async def test_a_node_behind_a_pulled_cable_is_back_when_it_is_put_in(racks):
    near = ip_of(racks, "pod-2")
    link(racks, "down", "leaf-1", "node-1")
    assert "state DOWN" in racks.exec("node:node-1", "ip", "link", "show", "eth0").stdout
    assert racks.exec("pod-1", "ping", "-c", "1", "-W", "1", near).returncode != 0
    link(racks, "up", "leaf-1", "node-1")
    assert "default via 192.168.1.1" in racks.exec("node:node-1", "ip", "route").stdout
    await eventually(lambda: racks.exec("pod-1", "ping", "-c", "1", "-W", "1", near).returncode == 0)


async def test_a_killed_bird_costs_no_packet_and_is_back(racks):
    before = bird_pid(racks, "leaf-1")
    script = f"ping -i 0.05 -c 60 -W 1 {ip_of(racks, 'pod-3')} > /tmp/ping.log 2>&1 &"
    assert racks.exec("pod-1", "sh", "-c", script).returncode == 0
    assert racks.exec("node:leaf-1", "kill", "-9", before).returncode == 0
    assert ways(racks, "leaf-1", FAR) == ways(racks, "leaf-1", FAR) == SPINES
    await eventually(lambda: bird_pid(racks, "leaf-1") not in ("", before))
    await eventually(lambda: sessions_up(racks, "leaf-1") == 2)

    def lost_none():
        return " 60 received, 0% packet loss" in racks.exec("pod-1", "cat", "/tmp/ping.log").stdout

    await eventually(lost_none)
    assert ways(racks, "leaf-1", FAR) == SPINES


def test_a_leaf_that_dies_comes_back_with_its_wires_its_bird_and_its_routes(racks):
    before = namespaces_of(racks)["leaf-2"].pid
    os.kill(before, signal.SIGKILL)
    asyncio.run(eventually(lambda: not Path(f"/proc/{before}/ns/net").exists()))
    report = racks.up()
    assert report["reachability"]["reached"] == 12
    assert namespaces_of(racks)["leaf-2"].pid != before
    assert ways(racks, "leaf-2", "192.168.1.0/24") == SPINES


async def test_a_rack_comes_and_goes_and_the_others_keep_addresses_and_sessions(racks):
    bird = ("node:spine-1", "birdc", "-s", "/run/bird/bird.ctl", "show", "protocols", "leaf-1")
    before, nodes = racks.exec(*bird).stdout, racks.report["nodes"]
    racks.write(nodes=5, underlay=RACKS, pods=pods(5))
    larger = racks.up()
    assert larger["reachability"]["reached"] == 20
    assert larger["nodes"] == [*nodes, {"name": "node-5", "address": "192.168.3.15"}]
    assert ways(racks, "leaf-1", "192.168.3.0/24") == SPINES
    assert racks.exec(*bird).stdout == before
    racks.write(nodes=4, underlay=RACKS, pods=pods(4))
    assert racks.up()["reachability"]["reached"] == 12
    await eventually(lambda: not ways(racks, "leaf-1", "192.168.3.0/24"))
    assert racks.exec(*bird).stdout == before


def test_another_kind_of_underlay_is_refused_by_line(racks):
    text = racks.file.read_text()
    try:
        racks.write(nodes=4, pods=pods(4))
        refused = fabric("up", str(racks.file))
        assert refused.returncode == 2
        assert "spec.underlay.kind is l2, and the running cluster has leaf-spine" in refused.stderr
    finally:
        racks.file.write_text(text)


@pytest.mark.parametrize("device", ["node:node-1 eth0", "node:leaf-1 node-1", "node:leaf-1 spine-1"])
@pytest.mark.parametrize("change", ["mtu 1300", "address 02:00:00:00:00:99"])
async def test_each_end_of_a_wire_is_as_it_was_promised_again(racks, device, change):
    where, name = device.split()

    def look():
        return racks.exec(where, "ip", "-o", "link", "show", name).stdout

    before = look()
    assert racks.exec(where, "ip", "link", "set", name, *change.split()).returncode == 0
    await eventually(lambda: look() == before, seconds_max=200)
