"""pyroute2 reads what fabric's own netlink wrote, and says the same, field by field."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from socket import AF_BRIDGE

import pytest
from hypothesis import HealthCheck, given, settings
from pyroute2 import IPRoute
from pyroute2.netlink.rtnl import ndmsg
from support.kernel_cases import LAN, NODE, ROUND_TRIPS, TUNNEL, VTEP, route
from support.kernel_contract import put
from support.namespaces import held_by_threads
from support.netstates import NAMESPACES, states
from support.oracle import KINDS, Oracle

from fabric.kernel.linux import LinuxKernel
from fabric.kernel.namespaces import inside
from fabric.netstate.objects import FdbEntry, NetObject, NetState, Veth
from fabric.netstate.plan import matches
from fabric.netstate.port import Owner

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")]
EVERYTHING = Owner("everything", KINDS, lambda obj: True)


@contextmanager
def second_opinion(*objects: NetObject) -> Iterator[tuple[Oracle, NetState]]:
    """Let LinuxKernel write the objects to node-1; yield pyroute2 there, and what LinuxKernel reads."""
    with held_by_threads(*NAMESPACES) as pids:
        ours = asyncio.run(_write_and_read(LinuxKernel(pids), objects))
        with Oracle(pids) as oracle:
            yield oracle, ours


async def _write_and_read(kernel: LinuxKernel, objects: tuple[NetObject, ...]) -> NetState:
    try:
        await put(kernel.host("node-1"), *objects)
        return await kernel.host("node-1").read(EVERYTHING)
    finally:
        kernel.close()


def is_told(wanted: NetObject, found: NetState) -> bool:
    """True when pyroute2 tells of the very object; a field that `wanted` leaves open may be anything."""
    return type(wanted) not in KINDS or any(matches(wanted, obj) for obj in found if obj.key == wanted.key)


CASES = {name: case for name, case in ROUND_TRIPS.items() if {type(obj) for obj in case[1]} & KINDS}


@pytest.mark.parametrize("name", CASES)
def test_what_was_written_is_what_pyroute2_reads(name: str):
    base, objects = CASES[name]
    with second_opinion(*base, *objects) as (oracle, ours):
        theirs = oracle.read("node-1")
    assert [obj for obj in (*base, *objects) if not is_told(obj, theirs)] == []
    assert theirs == ours


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(states)
def test_any_state_reads_the_same_in_both_words(state: NetState):
    with second_opinion(*state) as (oracle, ours):
        theirs = oracle.read("node-1")
    assert [obj for obj in state if not is_told(obj, theirs)] == []
    assert theirs == ours


def test_a_pair_has_one_queue_at_both_ends_and_its_port_sends_back_what_it_received():
    near = Veth("veth1", "eth0", "pod:1", 1450, VTEP, "02:00:00:00:00:03", "br0", hairpin=True)
    with second_opinion(*LAN, near) as (oracle, _):
        (node_end,) = oracle.socket("node-1").link("get", ifname="veth1")
        (pod_end,) = oracle.socket("pod:1").link("get", ifname="eth0")
        for end in (node_end, pod_end):
            assert (end.get("num_tx_queues"), end.get("num_rx_queues"), end.get("mtu")) == (1, 1, 1450)
        assert pod_end.get("address") == "02:00:00:00:00:03"
        assert node_end.get(("linkinfo", "slave_kind")) == "bridge"
        assert node_end.get(("linkinfo", "slave_data", "mode")) == 1
        assert node_end.get("group") == 0


def test_an_ipv4_address_has_its_broadcast_and_an_ipv6_address_skips_duplicate_detection():
    with second_opinion(*LAN) as (oracle, _):
        found = {it.get("local") or it.get("address"): it for it in oracle.socket("node-1").get_addr()}
    ipv4, ipv6 = found["192.168.0.11"], found["fd00::11"]
    assert (ipv4.get("broadcast"), ipv4["scope"], ipv4.get("label")) == ("192.168.0.255", 0, "br0")
    assert ipv6.get("flags") & 0x02 and not ipv6.get("flags") & 0x40


def test_a_tunnels_entries_are_permanent_its_own_and_never_aged():
    remote = FdbEntry(VTEP, ip_address("192.168.0.12"), "flannel.1")
    with second_opinion(*NODE, *ROUND_TRIPS["neighbor"][1], remote) as (oracle, _):
        ip = oracle.socket("node-1")
        (index,) = ip.link_lookup(ifname="flannel.1")
        (entry,) = (it for it in ip.get_neighbours(family=AF_BRIDGE, ifindex=index) if it.get("dst"))
        (arp,) = (it for it in ip.get_neighbours(ifindex=index) if it.get("dst") == "10.244.2.0")
    assert entry["state"] == ndmsg.NUD_PERMANENT | ndmsg.NUD_NOARP
    assert entry["flags"] == ndmsg.NTF_SELF
    assert arp["state"] == ndmsg.NUD_PERMANENT


def test_what_pyroute2_wrote_is_what_fabric_reads():
    with held_by_threads(*NAMESPACES) as pids:
        with inside(pids["node-1"]), IPRoute() as ip:
            ip.link("add", ifname="br0", kind="bridge", state="up", address=VTEP)
            (index,) = ip.link_lookup(ifname="br0")
            ip.addr("add", index=index, address="192.168.0.11", prefixlen=24, broadcast="192.168.0.255")
            ip.link(
                "add",
                ifname="flannel.1",
                kind="vxlan",
                vxlan_id=1,
                vxlan_link=index,
                vxlan_local="192.168.0.11",
                vxlan_port=8472,
                vxlan_learning=False,
                state="up",
                mtu=1450,
            )
            (tunnel,) = ip.link_lookup(ifname="flannel.1")
            ip.fdb("add", lladdr=VTEP, dst="192.168.0.12", ifindex=tunnel)
            ip.route("add", dst="10.244.2.0/24", gateway="10.244.2.0", oif=tunnel, flags=["onlink"])
        wanted = frozenset(
            {
                TUNNEL,
                FdbEntry(VTEP, ip_address("192.168.0.12"), "flannel.1"),
                route("10.244.2.0/24", "10.244.2.0", "flannel.1", onlink=True, proto=4),
            }
        )
        ours = asyncio.run(_write_and_read(LinuxKernel(pids), ()))
    assert [obj for obj in wanted if not is_told(obj, ours)] == []
