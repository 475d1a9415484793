"""Flannel on Linux: packets arrive, a node reads like a real one, and what is deleted comes back."""

from __future__ import annotations

import os

import pytest
from support.eventually import eventually
from support.flannel_cluster import config
from support.flannel_lab import flannel_lab

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")]

POSTROUTING = [
    '-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG',
    '-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN',
    '-A FLANNEL-POSTRTG -s 10.244.1.0/24 -d 10.244.0.0/16 -m comment --comment "flanneld masq" -j RETURN',
    '-A FLANNEL-POSTRTG -s 10.244.0.0/16 -d 10.244.1.0/24 -m comment --comment "flanneld masq" -j RETURN',
    '-A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.1.0/24 -m comment --comment "flanneld masq" -j RETURN',
    '-A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" '
    "-j MASQUERADE --random-fully",
    '-A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.0.0/16 -m comment --comment "flanneld masq" '
    "-j MASQUERADE --random-fully",
]
FORWARD = [
    '-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD',
    '-A FLANNEL-FWD -s 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT',
    '-A FLANNEL-FWD -d 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT',
]


@pytest.fixture(params=["nft", "legacy"])
def flavour(request, monkeypatch, tmp_path):
    monkeypatch.setenv("FABRIC_IPTABLES", request.param)
    monkeypatch.setenv("XTABLES_LOCKFILE", str(tmp_path / "xtables.lock"))
    return request.param


async def four_pods(lab):
    """Pods 1 and 2 on node-1, 3 on node-2, 4 on node-3; their addresses."""
    return {number: await lab.attach(number, node) for number, node in ((1, 1), (2, 1), (3, 2), (4, 3))}


def rules(lab, flavour, table):
    saved = lab.shell("node-1", f"iptables-{flavour}-save -t {table}").splitlines()
    return [line for line in saved if line.startswith("-A")]


def kernel_text(lab, flavour):
    """All of node-1 that flannel answers for, as the tools print it."""
    return {
        "routes": lab.lines("node-1", "ip route"),
        "neighbours": sorted(lab.lines("node-1", "ip neigh show nud permanent")),
        "fdb": sorted(lab.lines("node-1", "bridge fdb show dev flannel.1")),
        "nat": rules(lab, flavour, "nat"),
        "filter": rules(lab, flavour, "filter"),
        "vtep": lab.lines("node-1", "ip -brief address show dev flannel.1"),
    }


async def test_vxlan_carries_packets_reads_like_a_real_node_and_repairs_itself(tmp_path, flavour):
    async with flannel_lab(tmp_path, config("vxlan")) as lab:
        ips = await four_pods(lab)
        assert list(ips.values()) == ["10.244.1.2", "10.244.1.3", "10.244.2.2", "10.244.3.2"]
        for source in (1, 2):
            for target in set(ips) - {source}:
                await lab.ping(f"pod:uid-{source}", ips[target])
        await lab.ping("node-1", ips[3])
        await lab.ping("pod:uid-1", ips[4], "-M", "do", "-s", "1422")
        with pytest.raises(AssertionError, match="mtu=1450"):
            await lab.ping("pod:uid-1", ips[4], "-M", "do", "-s", "1423")
        _check_text_of_node_1(lab, flavour)
        await _check_repairs(lab, flavour)
        await lab.ping("pod:uid-1", ips[3])


def _check_text_of_node_1(lab, flavour):
    device = " ".join(lab.lines("node-1", "ip -d link show flannel.1"))
    assert "mtu 1450" in device and "state UNKNOWN" in device and "qlen" not in device
    assert "vxlan id 1 local 192.168.0.11 dev eth0 srcport 0 0 dstport 8472 nolearning" in device
    text = kernel_text(lab, flavour)
    macs = {n: lab.agents[n - 1].status().details["vtep-mac"] for n in (1, 2, 3)}
    assert text["routes"] == [
        "default via 192.168.0.1 dev eth0",
        "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1",
        "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
        "10.244.3.0/24 via 10.244.3.0 dev flannel.1 onlink",
        "192.168.0.0/16 dev eth0 proto kernel scope link src 192.168.0.11",
    ]
    assert text["neighbours"] == [f"10.244.{n}.0 dev flannel.1 lladdr {macs[n]} PERMANENT" for n in (2, 3)]
    assert text["fdb"] == sorted(f"{macs[n]} dst 192.168.0.1{n} self permanent" for n in (2, 3))
    assert text["nat"] == POSTROUTING and text["filter"] == FORWARD
    assert text["vtep"][0].startswith("flannel.1 UNKNOWN 10.244.1.0/32")
    bridge = " ".join(lab.lines("node-1", "ip -d link show cni0"))
    assert "mtu 1450" in bridge and "link/ether 0a:58:0a:f4:01:01" in bridge


async def _check_repairs(lab, flavour):
    before = kernel_text(lab, flavour)
    mac = lab.agents[1].status().details["vtep-mac"]
    for command in (
        "ip route del 10.244.2.0/24",
        "ip neigh del 10.244.3.0 dev flannel.1",
        f"bridge fdb del {mac} dev flannel.1",
        f"iptables-{flavour} -t nat -D FLANNEL-POSTRTG 2",
        f"iptables-{flavour} -D FORWARD 1",
    ):
        lab.shell("node-1", command)
    assert kernel_text(lab, flavour) != before
    if (
        flavour == "legacy"
    ):  # The legacy tables tell nobody of a change: the resync would find it in 60 to 90 s.
        lab.agents[0].powered_on()
    await eventually(lambda: kernel_text(lab, flavour) == before)
    lab.shell("node-1", "ip link del flannel.1")
    await eventually(lambda: kernel_text(lab, flavour) == before)


async def test_host_gw_carries_full_packets_by_plain_routes(tmp_path, flavour):
    async with flannel_lab(tmp_path, config("host-gw")) as lab:
        ips = await four_pods(lab)
        for target in (2, 3, 4):
            await lab.ping("pod:uid-1", ips[target], "-M", "do", "-s", "1472")
        assert lab.lines("node-1", "ip route") == [
            "default via 192.168.0.1 dev eth0",
            "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1",
            "10.244.2.0/24 via 192.168.0.12 dev eth0",
            "10.244.3.0/24 via 192.168.0.13 dev eth0",
            "192.168.0.0/16 dev eth0 proto kernel scope link src 192.168.0.11",
        ]
        assert rules(lab, flavour, "nat") == POSTROUTING and rules(lab, flavour, "filter") == FORWARD
        lab.shell("node-1", "ip route replace 10.244.2.0/24 via 192.168.0.13")
        await eventually(
            lambda: "10.244.2.0/24 via 192.168.0.12 dev eth0" in lab.lines("node-1", "ip route"),
        )
