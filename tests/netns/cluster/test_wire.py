"""What really goes over the wires between pods, seen by packet sockets and told by scapy."""

import json
import uuid

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN
from support.cluster_wires import HOST, Wires

VXLAN_PORT = 8472
VXLAN_OVERHEAD = 20 + 8 + 8 + 14
"""Outer IP and UDP, VXLAN, inner Ethernet."""

CONTROL_PLANE = "192.168.0.2"
"""Nodes send it their heartbeats over the underlay."""


def wires_of(cluster):
    return Wires(cluster, {pod["name"]: pod["ip"] for pod in cluster.report["pods"]})


@pytest.fixture(scope="module")
def tunnel(vxlan):
    return wires_of(vxlan)


@pytest.fixture(scope="module")
def plain(host_gw):
    return wires_of(host_gw)


@pytest.fixture(scope="module", params=["tunnel", "plain"])
def wires(request):
    return request.getfixturevalue(request.param)


def inner(packet):
    return packet[VXLAN][Ether]


def pods_own(packet):
    """The IP packet as the pod sent it, also inside a tunnel."""
    return inner(packet)[IP] if VXLAN in packet else packet[IP]


def is_whole(ip):
    """True for a datagram that is no fragment."""
    return ip.frag == 0 and "MF" not in ip.flags


def has_right_sums(ip):
    """True when the IP and ICMP checksums are what scapy computes anew."""
    blank = ip.copy()
    del blank.chksum, blank[ICMP].chksum
    again = IP(bytes(blank))
    return (again.chksum, again[ICMP].chksum) == (ip.chksum, ip[ICMP].chksum)


def between(frames, one, other):
    """The tunnelled packets of these two pods."""
    inside = [packet for packet in frames.packets if VXLAN in packet and IP in inner(packet)]
    return [packet for packet in inside if {pods_own(packet).src, pods_own(packet).dst} == {one, other}]


def requests(frames):
    return [packet for packet in frames.packets if pods_own(packet)[ICMP].type == 8]


def test_a_ping_between_nodes_is_one_vxlan_datagram_each_way(tunnel):
    frames, _ = tunnel.crossing
    there, back = frames.of("node-1", "eth0").packets
    for packet, source, target in ((there, "node-1", "node-2"), (back, "node-2", "node-1")):
        assert (packet.src, packet.dst) == (tunnel.mac(source), tunnel.mac(target))
        assert (packet[IP].src, packet[IP].dst) == (tunnel.ip[source], tunnel.ip[target])
        assert (packet[UDP].dport, packet[VXLAN].vni, packet[VXLAN].flags) == (VXLAN_PORT, 1, "Instance")
        vteps = (tunnel.mac(source, "flannel.1"), tunnel.mac(target, "flannel.1"))
        assert (inner(packet).src, inner(packet).dst) == vteps
    for packet, source, target, kind in ((there, "pod-1", "pod-3", 8), (back, "pod-3", "pod-1", 0)):
        ip = inner(packet)[IP]
        assert (ip.src, ip.dst, ip[ICMP].type) == (tunnel.ip[source], tunnel.ip[target], kind)
        assert has_right_sums(ip)


def test_host_gw_sends_bare_pod_addresses_between_the_nodes_macs(plain):
    frames, everything = plain.crossing
    there, back = frames.of("node-1", "eth0").packets
    assert (there.src, there.dst) == (plain.mac("node-1"), plain.mac("node-2"))
    assert (back.src, back.dst) == (plain.mac("node-2"), plain.mac("node-1"))
    assert (there[IP].src, there[IP].dst) == (plain.ip["pod-1"], plain.ip["pod-3"])
    assert (back[IP].src, back[IP].dst) == (plain.ip["pod-3"], plain.ip["pod-1"])
    assert has_right_sums(there[IP]) and has_right_sums(back[IP])
    assert [packet for packet in everything.packets if VXLAN in packet] == []


def test_the_switch_passes_on_every_byte_as_it_came(wires):
    frames, _ = wires.crossing
    sent = [frame.data for frame in frames.of("node-1", "eth0")]
    assert len(sent) == 2
    for place, device in (("switch", "node-1"), ("switch", "node-2"), ("node-2", "eth0")):
        assert [frame.data for frame in frames.of(place, device)] == sent


def test_a_packet_takes_the_way_veth_bridge_tunnel_wire_and_up_again(tunnel):
    first, *down = tunnel.crossing[0].of("node-1").devices
    assert first.startswith("veth") and down == ["cni0", "flannel.1", "eth0"]
    *up, last = tunnel.crossing[0].of("node-2").devices
    assert last.startswith("veth") and up == ["eth0", "flannel.1", "cni0"]


def test_without_a_tunnel_the_way_has_one_step_less(plain):
    assert plain.crossing[0].of("node-1").devices[1:] == ["cni0", "eth0"]
    assert plain.crossing[0].of("node-2").devices[:-1] == ["eth0", "cni0"]


def test_each_node_on_the_way_takes_one_from_the_ttl(wires):
    frames, _ = wires.crossing
    ttls = [
        {pods_own(packet).ttl for packet in requests(frames.of(place))}
        for place in ("pod-1", "switch", "pod-3")
    ]
    assert ttls == [{64}, {63}, {62}]


def test_the_last_hop_is_from_the_bridges_mac_to_the_pods(wires):
    came, answer = wires.crossing[0].of("pod-3", "eth0").packets
    assert (came.src, came.dst) == (wires.mac("node-2", "cni0"), wires.mac("pod-3"))
    assert (answer.src, answer.dst) == (came.dst, came.src)


@pytest.mark.parametrize("backend, mtu, overhead", [("tunnel", 1450, VXLAN_OVERHEAD), ("plain", 1500, 0)])
def test_the_largest_packet_fills_the_wire_and_is_never_cut(request, backend, mtu, overhead):
    wires = request.getfixturevalue(backend)
    frames, _ = wires.crossing
    assert wires.mtu("pod-1") == wires.mtu("node-1", "cni0") == mtu
    wire, came = frames.of("switch").packets, frames.of("pod-3").packets
    assert {packet[IP].len for packet in wire} == {mtu + overhead} == {1500}
    assert {pods_own(packet).len for packet in (*wire, *came)} == {mtu}
    assert all(is_whole(packet[IP]) and is_whole(pods_own(packet)) for packet in (*wire, *came))


def test_a_packet_too_large_is_cut_by_the_pod_and_never_on_the_way(tunnel):
    _, frames = tunnel.ping("pod-1", "pod-3", "-s", "3000")
    parts = between(frames.of("switch", "node-1"), tunnel.ip["pod-1"], tunnel.ip["pod-3"])
    assert len(parts) == 6, "three parts each way: 1424, 1424 and 160 bytes of 3008"
    assert all(is_whole(packet[IP]) and packet[IP].len <= 1500 for packet in parts)
    assert [inner(packet)[IP].len - 20 for packet in parts] == [1424, 1424, 160] * 2


def test_pods_of_one_node_talk_over_its_bridge_and_nothing_leaves_it(wires):
    came, answer = wires.staying.of("pod-2").packets
    assert (came.src, came.dst, came[IP].ttl) == (wires.mac("pod-1"), wires.mac("pod-2"), 64)
    assert (answer.src, answer.dst, answer[IP].ttl) == (came.dst, came.src, 64)
    assert {frame.place for frame in wires.staying} == {"pod-1", "pod-2", "node-1"}
    passed = wires.staying.of("node-1").devices
    assert len(passed) == 2 and all(device.startswith("veth") for device in passed)


def test_http_and_udp_pass_with_the_pods_own_addresses(wires):
    word, target = f"hello-{uuid.uuid4().hex}", wires.ip["pod-3"]
    script = (
        f"curl -s --max-time 5 http://{target}:8080/{word} && echo {word} | nc -n -u -w 5 -W 1 {target} 9000"
    )
    said, frames = wires.send("pod-1", "sh", "-c", script)
    assert word in said
    assert {json.loads(line)["peer"]["address"] for line in said.splitlines() if line.startswith("{")} == {
        wires.ip["pod-1"]
    }
    for place in ("switch", "pod-3"):
        found = [pods_own(packet) for packet in frames.of(place, holding=word.encode()).packets]
        assert {(ip.src, ip.dst) for ip in found} >= {(wires.ip["pod-1"], target)}
        assert {ip[TCP].dport for ip in found if TCP in ip and ip.dst == target} == {8080}
        assert {ip[UDP].dport for ip in found if UDP in ip and ip.dst == target} == {9000}


def test_one_conversation_keeps_its_outer_port_so_that_its_order_is_kept(tunnel):
    url = f"http://{tunnel.ip['pod-3']}:8080/"
    _, frames = tunnel.send("pod-1", "curl", "-s", "--max-time", "5", url)
    wire = between(frames.of("switch", "node-1"), tunnel.ip["pod-1"], tunnel.ip["pod-3"])
    sent = [packet[UDP].sport for packet in wire if packet[IP].src == tunnel.ip["node-1"]]
    assert len(sent) >= 4 and len(set(sent)) == 1


def test_nodes_ask_by_arp_for_nodes_and_never_for_a_pod(wires):
    _, everything = wires.crossing
    asked = {packet[ARP].pdst for packet in everything.of("switch").packets if ARP in packet}
    assert asked and asked <= {wires.ip["node-1"], wires.ip["node-2"], CONTROL_PLANE}
    assert [packet for packet in everything.of(device="flannel.1").packets if ARP in packet] == []


def test_a_node_reaches_a_remote_pod_from_its_tunnels_own_address(tunnel):
    sign, frames = tunnel.ping("node-1", "pod-3")
    ip = inner(frames.of("switch", holding=sign).packets[0])[IP]
    (own,) = tunnel.spaces["node-1"].device("flannel.1")["addr_info"]
    assert (ip.src, ip.ttl) == (own["local"], 64)


def test_nothing_of_it_is_seen_in_the_hosts_own_namespace(wires):
    frames, everything = wires.crossing
    assert frames.of("switch") and frames.of(HOST) == ()
    assert [packet for packet in everything.of(HOST).packets if VXLAN in packet] == []
