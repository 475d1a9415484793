"""What a namespace tells of itself, heard through `LinuxHost.watch`."""

from __future__ import annotations

import os
from dataclasses import replace
from ipaddress import ip_interface
from pathlib import Path

import pytest
from support.case_contract import NOTHING, owner_of
from support.eventually import eventually
from support.namespaces import namespaces

from fabric.kernel.linux import LinuxKernel
from fabric.kernel.namespaces import inside
from fabric.netstate.objects import Address, Bridge, NetObject, Sysctl
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
