"""What a namespace tells of itself, heard through `LinuxHost.watch`."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path

import pytest
from support.case_contract import NOTHING, owner_of
from support.eventually import eventually
from support.namespaces import namespaces, run_inside

from fabric.kernel.attach import attach
from fabric.kernel.linux import LinuxKernel
from fabric.kernel.namespaces import inside
from fabric.netstate.objects import (
    Address,
    Bridge,
    LinkMac,
    LinkMtu,
    LinkUp,
    NetObject,
    Route,
    Sysctl,
    Veth,
)
from fabric.netstate.plan import Plan, Step, diff

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")]


async def test_a_new_device_is_told_of_once_however_often_it_changed_and_its_address_with_its_name():
    bridge, address = Bridge("br0", 1400), Address(ip_interface("192.168.0.1/24"), "br0")
    changes = [replace(bridge, mtu=mtu) for mtu in (1410, 1420, 1430)]
    told: list[NetObject | None] = []
    with namespaces("node-1") as pids:
        kernel = LinuxKernel(pids)
        host = kernel.host("node-1")
        try:
            stop = host.watch(lambda medium, obj, gone: told.append(obj))
            await host.read(owner_of(frozenset({bridge, address})))
            # In this thread, so that the loop hears nothing until all is done.
            host.carry_out(diff(frozenset({bridge, address}), NOTHING))
            for old, new in zip((bridge, *changes), changes, strict=False):
                host.carry_out(Plan((Step("replace", new, old),)))
            await eventually(lambda: address in told)
            assert [obj.mtu for obj in told if isinstance(obj, Bridge)] == [1430]
            stop()
        finally:
            kernel.close()


def write(sysctls):
    for path, value in sysctls.items():
        Path("/proc/sys", path).write_text(value)


async def test_a_sysctl_of_forwarding_or_a_filter_is_told_of_whoever_wrote_it():
    told: list[tuple[str, NetObject | None]] = []
    with namespaces("node-1") as pids:
        kernel = LinuxKernel(pids)
        host = kernel.host("node-1")
        try:
            bridge = Bridge("br0", 1400)
            await host.read(owner_of(frozenset({bridge})))
            host.carry_out(diff(frozenset({bridge}), NOTHING))
            stop = host.watch(lambda medium, obj, gone: told.append((medium, obj)))
            await host.read(owner_of(frozenset({bridge})))
            written = {
                "net/ipv4/ip_forward": "1",
                "net/ipv4/conf/all/rp_filter": "2",
                "net/ipv4/conf/br0/proxy_arp": "1",
                "net/ipv6/conf/all/forwarding": "1",
            }
            with inside(pids["node-1"]):
                write(written)
            wanted = {("sysctl", Sysctl(path, value)) for path, value in written.items()}
            await eventually(lambda: wanted <= set(told))
            assert ("sysctl", Sysctl("net/ipv4/conf/br0/forwarding", "1")) in told, "it follows ip_forward"
            stop()
        finally:
            kernel.close()


POD = frozenset(
    {
        LinkUp("lo"),
        LinkUp("eth0"),
        LinkMtu("eth0", 1450),
        LinkMac("eth0", "02:00:00:00:00:01"),
        Address(ip_interface("10.244.1.2/24"), "eth0"),
        Route(ip_network("0.0.0.0/0"), via=ip_address("10.244.1.1"), dev="eth0"),
    }
)
ON_NODE = frozenset({Veth("veth1", "eth0", "pod:1", 1450, peer_mac="02:00:00:00:00:01")})
STRANGERS = {
    "eth0 is lowered": "link set eth0 down",
    "lo is lowered": "link set lo down",
    "eth0 has another MTU": "link set eth0 mtu 1300",
    "eth0 has another MAC": "link set eth0 address 02:00:00:00:00:99",
    "eth0 is deleted": "link delete eth0",
    "its address is flushed": "address flush dev eth0",
    "its route is deleted": "route delete default",
    "its route leads elsewhere": "route replace default via 10.244.1.9",
}


@asynccontextmanager
async def followed_pod():
    """A wired pod's pid, and how often it was told that it may lack something."""
    told: list[None] = []
    with namespaces("node-1", "pod:1", "pod:2") as pids:
        kernel = LinuxKernel(pids)
        try:
            await attach(kernel, "node-1", "pod:1", ON_NODE, POD)
            stop = kernel.follow("pod:1", POD, lambda: told.append(None))
            yield kernel, pids, told, stop
        finally:
            kernel.close()


@pytest.mark.parametrize("what", STRANGERS)
async def test_a_followed_pod_tells_of_what_it_lost_and_another_of_nothing(what):
    async with followed_pod() as (kernel, pids, told, _):
        others: list[None] = []
        kernel.follow("pod:2", frozenset({LinkUp("lo")}), lambda: others.append(None))
        await asyncio.to_thread(run_inside, pids["pod:1"], "ip", *STRANGERS[what].split())
        await eventually(lambda: told)
        assert others == []


async def test_a_followed_pod_says_nothing_of_what_harms_none_of_it_nor_after_its_end():
    async with followed_pod() as (kernel, pids, told, stop):
        later: list[None] = []
        kernel.follow("pod:2", frozenset({LinkUp("lo")}), lambda: later.append(None))
        harmless = "ip address add 10.9.0.1/24 dev eth0; ip -6 address add fd00::2/64 dev eth0"
        await asyncio.to_thread(run_inside, pids["pod:1"], "sh", "-c", harmless)
        await asyncio.to_thread(run_inside, pids["node-1"], "ip", "link", "set", "veth1", "down")
        await asyncio.to_thread(run_inside, pids["pod:2"], "ip", "link", "set", "lo", "mtu", "1300")
        await eventually(lambda: later)
        assert told == []
        stop()
        later.clear()
        await asyncio.to_thread(run_inside, pids["pod:1"], "ip", "link", "set", "eth0", "down")
        await asyncio.to_thread(run_inside, pids["pod:2"], "ip", "link", "set", "lo", "mtu", "1400")
        await eventually(lambda: later)
        assert told == []


async def test_a_pod_more_that_is_followed_is_no_descriptor_more():
    async with followed_pod() as (kernel, *_):
        before = len(os.listdir("/proc/self/fd"))
        kernel.follow("pod:2", POD, lambda: None)
        assert len(os.listdir("/proc/self/fd")) == before


async def test_a_pod_that_ended_is_followed_by_nobody_and_no_reason_to_fail():
    with namespaces("node-1") as pids:
        kernel = LinuxKernel(pids)
        try:
            kernel.follow("pod:9", POD, lambda: None)()
        finally:
            kernel.close()
