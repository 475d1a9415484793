"""Every shipped topology of Calico: all pods reach all, whole, and the wire carries what the mode says.

What is seen is the frame that leaves the source's node, taken apart by scapy: bare, IP protocol 4, or VXLAN
in UDP with its port and VNI; its outer addresses are the nodes', and each router takes one of the TTL.
"""

from __future__ import annotations

import json
from itertools import permutations
from typing import NamedTuple

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from support.capture import Capture, mark
from support.cluster_namespaces import namespaces_of
from support.shipped import Shipped

BARE, IPIP, CALICO_VXLAN, FLANNEL_VXLAN = "bare", "IP protocol 4", "UDP 4789 VNI 4096", "UDP 8472 VNI 1"
OVERHEAD = {BARE: 0, IPIP: 20, CALICO_VXLAN: 50, FLANNEL_VXLAN: 50}


class Expected(NamedTuple):
    """How packets travel, and the pods' MTU."""

    mtu: int
    near: tuple[str, str] | None
    """Two pods on nodes of one rack, or None where there are none."""
    near_way: str
    far: tuple[str, str]
    far_way: str


RACKED = ("pod-1", "pod-2"), ("pod-1", "pod-3")
TOPOLOGIES = {
    "calico-bgp": Expected(1500, None, BARE, ("pod-1", "pod-2"), BARE),
    "route-reflector": Expected(1480, RACKED[0], BARE, RACKED[1], IPIP),
    "as-per-rack": Expected(1500, RACKED[0], BARE, RACKED[1], BARE),
    "calico-ipip": Expected(1480, None, IPIP, ("pod-1", "pod-3"), IPIP),
    "ipip-cross-subnet": Expected(1480, RACKED[0], BARE, RACKED[1], IPIP),
    "calico-vxlan": Expected(1450, None, CALICO_VXLAN, ("pod-1", "pod-3"), CALICO_VXLAN),
    "vxlan-cross-subnet": Expected(1450, RACKED[0], BARE, RACKED[1], CALICO_VXLAN),
    "canal": Expected(1450, None, FLANNEL_VXLAN, ("pod-1", "pod-3"), FLANNEL_VXLAN),
    "flannel-cross-subnet": Expected(1450, RACKED[0], BARE, RACKED[1], FLANNEL_VXLAN),
}


@pytest.fixture(scope="module", params=TOPOLOGIES)
def cluster(request, tmp_path_factory):
    """One shipped topology that is up."""
    found = Shipped(tmp_path_factory.mktemp(request.param), request.param)
    found.expected = TOPOLOGIES[request.param]
    try:
        found.report = found.up()
        found.spaces = namespaces_of(found)
        yield found
    finally:
        found.close()


def crossing(cluster, source, target):
    """The request of a full-size ping, as it left the source's node and as it came to the target."""
    sign, size = mark(), str(cluster.expected.mtu - 28)
    with Capture({name: space.pid for name, space in cluster.spaces.items()}) as capture:
        command = ("ping", "-n", "-c", "1", "-W", "5", "-M", "do", "-s", size, "-p", sign.hex())
        done = cluster.exec(source, *command, cluster.address(target))
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        frames = capture.frames().of(holding=sign)
    sent, came = frames.of(cluster.node_of(source), "eth0").packets, frames.of(target, "eth0").packets
    return (
        next(packet for packet in sent if pods_own(packet)[ICMP].type == 8),
        next(packet for packet in came if pods_own(packet)[ICMP].type == 8),
        frames,
    )


def pods_own(packet):
    """The IP packet as the pod sent it, also inside a tunnel."""
    if VXLAN in packet:
        return packet[VXLAN][Ether][IP]
    return packet[IP].payload if packet[IP].proto == 4 else packet[IP]


def way_of(packet):
    if VXLAN in packet:
        return f"UDP {packet[UDP].dport} VNI {packet[VXLAN].vni}"
    return IPIP if packet[IP].proto == 4 else BARE


def own_address(cluster, node):
    return next(
        it["local"] for it in cluster.spaces[node].device("eth0")["addr_info"] if it["family"] == "inet"
    )


def test_every_pod_reaches_every_pod(cluster):
    told = {"pairs": 12, "reached": 12, "allPairs": True, "failures": [], "closedByPolicies": 0}
    assert cluster.report["reachability"] == told


def test_tcp_and_udp_pass_between_all_pods_with_their_own_addresses(cluster):
    names = [pod["name"] for pod in cluster.report["pods"]]
    for source in names:
        others = [name for name in names if name != source]
        script = "; ".join(
            f"curl -s --max-time 5 http://{cluster.address(name)}:8080/ && echo && "
            f"echo hello | nc -n -u -w 5 -W 1 {cluster.address(name)} 9000"
            for name in others
        )
        done = cluster.exec(source, "sh", "-c", script)
        assert done.returncode == 0, done.stderr
        seen = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        assert [it["hostname"] for it in seen] == [name for name in others for _ in ("tcp", "udp")]
        assert {it["peer"]["address"] for it in seen} == {cluster.address(source)}


def test_a_full_size_packet_passes_between_all_pods_and_one_byte_more_does_not(cluster):
    fits, too_large = cluster.expected.mtu - 28, cluster.expected.mtu - 27
    names = [pod["name"] for pod in cluster.report["pods"]]
    for source in names:
        others = [cluster.address(name) for name in names if name != source]
        ping = "ping -n -c 1 -W 5 -M do -s"
        script = " && ".join(f"{ping} {fits} {address}" for address in others)
        assert cluster.exec(source, "sh", "-c", script).returncode == 0
    done = cluster.exec(names[0], *ping.split(), str(too_large), cluster.address(names[-1]))
    assert done.returncode != 0 and f"mtu={cluster.expected.mtu}" in done.stdout + done.stderr


def test_the_wire_carries_what_the_mode_says(cluster):
    expected = cluster.expected
    for pair, way in ((expected.near, expected.near_way), (expected.far, expected.far_way)):
        if pair is None:
            continue
        source, target = pair
        sent, came, _ = crossing(cluster, source, target)
        assert way_of(sent) == way
        inner = pods_own(sent)
        assert (inner.src, inner.dst) == (cluster.address(source), cluster.address(target))
        assert (inner.len, sent[IP].len) == (expected.mtu, expected.mtu + OVERHEAD[way])
        if way != BARE:
            ends = (
                own_address(cluster, cluster.node_of(source)),
                own_address(cluster, cluster.node_of(target)),
            )
            assert (sent[IP].src, sent[IP].dst) == ends
        assert bytes(pods_own(came).payload) == bytes(inner.payload), "what came is what was sent"


def test_every_hop_takes_one_from_the_ttl_and_a_tunnel_is_one_hop(cluster):
    source, target = cluster.expected.far
    sent, came, frames = crossing(cluster, source, target)
    routers = {frame.place for frame in frames if frame.place.startswith(("leaf-", "spine-"))}
    assert pods_own(sent).ttl == 63
    if way_of(sent) == BARE:
        assert came[IP].ttl == 62 - len(routers)
        return
    assert came[IP].ttl == 62, "routers below the tunnel are not the packet's own"
    assert sent[IP].ttl == (63 if way_of(sent) == IPIP else 64)


def test_a_pod_of_calicos_has_no_neighbours_but_its_gateway(cluster):
    if cluster.document["spec"]["network"]["plugin"] == "flannel":
        return
    (address,) = cluster.spaces["pod-1"].device("eth0")["addr_info"]
    assert address["prefixlen"] == 32
    routes = {(it["dst"], it.get("gateway", "")) for it in cluster.spaces["pod-1"].ask("ip", "route")}
    assert routes == {("default", "169.254.1.1"), ("169.254.1.1", "")}


def test_no_two_pods_share_an_address(cluster):
    found = [pod["ip"] for pod in cluster.report["pods"]]
    assert all(one != other for one, other in permutations(found, 2))
