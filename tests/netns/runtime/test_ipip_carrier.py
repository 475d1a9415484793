"""The carrier does on real namespaces what the kernel's ipip driver does."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP
from support.capture import Capture, mark
from support.eventually import eventually
from support.ipip_lab import IpipLab, ipip_lab

from fabric.runtime.contract import DaemonSpec

POD_1, POD_2, POD_3 = (f"10.244.{n}.5" for n in (1, 2, 3))
NODE_1, NODE_2, NODE_3 = (f"192.168.0.1{n}" for n in (1, 2, 3))
EVERYWHERE = "10.244.2.7"
"""An address of the second block that more than one node may have."""
FULL = str(1480 - 28)
"""Bytes that `ping -s` takes for a packet as long as the tunnel's MTU."""


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[IpipLab]:
    async with ipip_lab(tmp_path) as lab:
        await lab.reaches("pod-1", POD_2)
        yield lab


def on_the_wire(lab: IpipLab, host: str, to: str, *options: str) -> list[Any]:
    """Ping once and return the packets of it that leave or reach node-1's eth0."""
    known = mark()
    with Capture({"node-1": lab.pids["node-1"]}) as capture:
        assert lab.pings(host, to, "-p", known.hex(), *options)
        return [packet[IP] for packet in capture.frames().of("node-1", "eth0", holding=known).packets]


async def test_the_wire_has_protocol_4_between_the_nodes_with_the_inner_ttl(lab: IpipLab):
    request, reply = on_the_wire(lab, "pod-1", POD_2, "-t", "33")
    assert (request.proto, request.src, request.dst, request.ttl) == (4, NODE_1, NODE_2, 32)
    assert (request.payload.src, request.payload.dst, request.payload.ttl) == (POD_1, POD_2, 32)
    assert (reply.proto, reply.src, reply.dst, reply.ttl) == (4, NODE_2, NODE_1, 63)
    for packet in (request, reply):
        again = packet.copy()
        del again.chksum, again.len
        assert bytes(again) == bytes(packet)


async def test_a_full_size_packet_that_must_not_be_fragmented_passes(lab: IpipLab):
    request, reply = on_the_wire(lab, "pod-1", POD_2, "-M", "do", "-s", FULL)
    assert (request.len, str(request.flags)) == (1500, "DF")
    assert reply.len == 1500
    assert not lab.pings("pod-1", POD_2, "-M", "do", "-s", str(int(FULL) + 1))


async def test_the_identification_counts_also_where_fragments_are_forbidden(lab: IpipLab):
    numbers = [on_the_wire(lab, "pod-1", POD_2, "-M", "do")[0].id for _ in range(3)]
    assert 0 not in numbers and {(after - before) % 65536 for before, after in pairwise(numbers)} <= {1, 2}


async def test_the_identifications_of_packets_that_may_be_fragmented_differ(lab: IpipLab):
    sent = [on_the_wire(lab, "pod-1", POD_2, "-M", "dont")[0] for _ in range(3)]
    assert len({packet.id for packet in sent}) == 3
    assert {str(packet.flags) for packet in sent} == {""}


async def test_a_node_reaches_pods_from_its_tunnel_address(lab: IpipLab):
    request, _ = on_the_wire(lab, "node-1", POD_2)
    assert (request.src, request.payload.src, request.ttl) == (NODE_1, "10.244.1.0", 64)


async def test_a_changed_route_moves_the_traffic(lab: IpipLab):
    for node in ("node-2", "node-3"):
        lab.shell(node, f"ip addr add {EVERYWHERE} dev lo")
    assert on_the_wire(lab, "pod-1", EVERYWHERE)[0].dst == NODE_2
    lab.shell("node-1", lab.route(2, through=3))
    assert on_the_wire(lab, "pod-1", EVERYWHERE)[0].dst == NODE_3


async def test_the_longest_prefix_decides(lab: IpipLab):
    lab.shell("node-3", f"ip addr add {EVERYWHERE} dev lo")
    lab.shell("node-1", f"ip route add {EVERYWHERE} via {NODE_3} dev tunl0 onlink")
    assert on_the_wire(lab, "pod-1", EVERYWHERE)[0].dst == NODE_3
    assert on_the_wire(lab, "pod-1", POD_2)[0].dst == NODE_2


async def test_without_a_gateway_the_sender_is_told_that_the_host_is_unreachable(lab: IpipLab):
    lab.shell("node-1", "ip route replace 10.244.9.0/26 dev tunl0")
    lines = lab.shell("pod-1", "ping -c 1 -W 1 10.244.9.1 || true")
    assert "From 192.168.0.11 icmp_seq=1 Destination Host Unreachable" in lines


async def test_a_gateway_behind_the_tunnel_itself_is_none(lab: IpipLab):
    lab.shell("node-1", "ip route replace 10.244.9.0/26 via 10.244.2.5 dev tunl0 onlink")
    assert "Destination Host Unreachable" in lab.shell("pod-1", "ping -c 1 -W 1 10.244.9.1 || true")


async def test_a_device_of_the_underlay_that_is_too_small_is_told_to_the_sender(lab: IpipLab):
    lab.shell("node-1", "ip link set eth0 mtu 1400")
    for sender in ("pod-1", "node-1"):
        lines = lab.shell(sender, f"ping -c 1 -W 1 -M do -s {FULL} {POD_2} || true")
        assert "Frag needed and DF set (mtu = 1380)" in lines
        assert lab.pings(sender, POD_2, "-M", "do", "-s", str(1380 - 28))


async def test_what_may_be_fragmented_passes_in_fragments(lab: IpipLab):
    for node in ("node-1", "node-2"):
        lab.shell(node, "ip link set eth0 mtu 1400")
    with Capture({"node-1": lab.pids["node-1"]}) as capture:
        assert lab.pings("pod-1", POD_2, "-M", "dont", "-s", FULL)
        sent = [frame[IP] for frame in capture.frames().of("node-1", "eth0").packets if IP in frame]
    first, last = [packet for packet in sent if packet.src == NODE_1]
    assert (first.len, str(first.flags), first.frag) == (1396, "MF", 0)
    assert (last.len, str(last.flags), last.frag) == (20 + 1480 - 1376, "", 1376 // 8)
    assert first.id == last.id


async def test_a_narrow_link_far_away_is_learned_from_icmp(lab: IpipLab):
    """node-1 reaches node-2's second address through node-3, over a link of 1300 bytes."""
    lab.shell("node-3", f"ip link add eth1 type veth peer name eth1 netns {lab.pids['node-2']}")
    for node, address in (("node-3", "192.168.9.3"), ("node-2", "192.168.9.2")):
        lab.shell(node, f"ip addr add {address}/24 dev eth1; ip link set eth1 mtu 1300 up")
    lab.shell("node-1", "ip route add 192.168.9.0/24 via 192.168.0.13")
    lab.shell("node-1", "ip route replace 10.244.2.0/26 via 192.168.9.2 dev tunl0 onlink")
    await lab.reaches("pod-1", POD_2)
    lines = lab.shell("pod-1", f"ping -c 2 -i 0.3 -W 1 -M do -s {FULL} {POD_2} || true")
    assert "(mtu = 1280)" in lines
    assert lab.pings("pod-1", POD_2, "-M", "do", "-s", str(1280 - 28))
    assert lab.pings("pod-1", POD_2, "-M", "dont", "-s", FULL)


async def test_a_peer_without_a_carrier_costs_no_packet_of_the_others(lab: IpipLab):
    """Its node answers with ICMP protocol unreachable, which the socket hears of at its next send."""
    await lab.client.stop_daemon("node-3", "carrier")
    assert not lab.pings("pod-1", POD_3)
    sent = lab.shell(
        "pod-1", f"ping -i 0.002 -c 50 -W 1 {POD_3} >/dev/null & ping -q -i 0.002 -c 50 {POD_2}; wait"
    )
    assert " 50 received" in sent


async def test_a_deleted_tunnel_heals_when_it_is_made_again(lab: IpipLab):
    before = await lab.carrier(1)
    for _ in range(3):
        lab.shell("node-1", "ip link del tunl0")
        assert not lab.pings("pod-1", POD_2)
        lab.make_tunnel(1)
        await lab.reaches("pod-1", POD_2)
    assert await lab.carrier(1) == before
    gone = "tunl0 is not carried: there is no such device"
    assert lab.said(1) == ["tunl0 is carried"] + 3 * [gone, "tunl0 is carried"]


async def test_a_killed_carrier_comes_back_and_the_routes_stay(lab: IpipLab):
    routes = lab.shell("node-1", "ip route")
    before = await lab.carrier(1)
    os.kill(before.pid, signal.SIGKILL)
    await eventually(lambda: "NO-CARRIER" in lab.shell("node-1", "ip link show tunl0"))
    assert lab.shell("node-1", "ip route").replace(" linkdown", "") == routes
    await lab.reaches("pod-1", POD_2)
    after = await lab.carrier(1)
    assert (after.restarts, after.pid != before.pid) == (1, True)


async def test_a_tunnel_that_another_carries_is_taken_over_when_that_ends(lab: IpipLab):
    spare = DaemonSpec("node-1", "spare", ("ipip-carrier", "tunl0"), log_path=lab.log(9))
    await lab.client.start_daemon(spare)
    await eventually(lambda: lab.said(9) == ["tunl0 is not carried: another program carries it"])
    await lab.client.stop_daemon("node-1", "carrier")
    await lab.reaches("pod-1", POD_2)


async def test_it_is_called_by_its_name_and_has_nothing_of_the_runtimes(lab: IpipLab):
    status = await lab.carrier(1)
    root = f"/proc/{status.pid}"
    assert lab.shell("node-1", f"tr -d '\\0' < {root}/cmdline") == "ipip-carrier tunl0"
    held = [os.readlink(f"{root}/fd/{fd}") for fd in range(3, 9)]
    assert sorted(re.sub(r":?\[.*", "", name) for name in held) == [
        "/dev/net/tun",
        "anon_inode",
        *(4 * ["socket"]),
    ]
    assert len(os.listdir(f"{root}/fd")) == 9


async def test_a_device_of_another_kind_is_said_to_be_none(lab: IpipLab):
    spec = DaemonSpec("node-1", "other", ("ipip-carrier", "eth0"), log_path=lab.log(9))
    await lab.client.start_daemon(spec)
    await eventually(lambda: lab.said(9) == ["eth0 is not carried: it is no TUN device"])


async def test_wrong_words_are_refused_with_a_message(lab: IpipLab):
    await lab.client.start_daemon(DaemonSpec("node-1", "wrong", ("ipip-carrier",), log_path=lab.log(9)))
    await eventually(lambda: lab.said(9)[0] == "usage: ipip-carrier DEVICE")


async def test_iperf_runs_through_the_tunnel(lab: IpipLab):
    lab.shell("pod-2", "iperf3 -s -D -1 >/dev/null")
    await eventually(lambda: "5201" in lab.shell("pod-2", "ss -ltn"))
    printed = lab.shell("pod-1", f"iperf3 -c {POD_2} -n 20M -f m")
    assert "receiver" in printed
