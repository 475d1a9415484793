"""The part of the kernel port's contract that is a bridge and the MAC that it may have from one of its ports.

A test class inherits `BridgeContract` and gives the fixture `kernel`, with `node-1` and `pod:1` empty.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from fabric.netstate.objects import Bridge, Neighbor, Veth
from fabric.netstate.plan import diff
from fabric.netstate.port import Kernel
from support.case_contract import left_to_do, owner_of, put
from support.kernel_cases import VTEP

PORT_1 = Veth("veth1", "eth1", "pod:1", mac=VTEP, master="br1")
PORT_2 = Veth("veth2", "eth2", "pod:1", mac="02:00:00:00:00:05", master="br1")
LOWER_PORT = Veth("veth3", "eth3", "pod:1", mac="02:00:00:00:00:01", master="br1")
PORT_CHANGES: dict[str, set[Veth]] = {
    "the port goes": {PORT_2},
    "all ports go": set(),
    "the port leaves the bridge": {PORT_2, replace(PORT_1, master=None)},
    "the port gets another MAC": {PORT_2, replace(PORT_1, mac="02:00:00:00:00:07")},
    "a port with a lower MAC comes": {PORT_1, PORT_2, LOWER_PORT},
}
"""What becomes of the ports PORT_1 and PORT_2."""


class BridgeContract:
    @pytest.mark.parametrize("of_ports", PORT_CHANGES)
    async def test_a_bridge_keeps_the_mac_that_it_had_from_a_port(self, kernel: Kernel, of_ports: str):
        host = kernel.host("node-1")
        ports = {PORT_1, PORT_2}
        await put(host, Bridge("br1"), *ports)
        peer = Neighbor(ip_address("192.168.0.9"), "02:00:00:00:00:99", "br1")
        await put(host, peer)
        desired = frozenset({Bridge("br1", mac=VTEP), peer, *PORT_CHANGES[of_ports]})
        await host.apply(diff(desired, await host.read(owner_of(desired, ports))))
        assert await left_to_do(host, desired) == ""

    async def test_a_neighbour_of_a_bridge_without_a_mac_of_its_own_outlives_a_change_of_ports(
        self, kernel: Kernel
    ):
        host = kernel.host("node-1")
        peer = Neighbor(ip_address("192.168.0.9"), "02:00:00:00:00:99", "br1")
        await put(host, Bridge("br1"), PORT_1, peer)
        for ports in ({PORT_1, LOWER_PORT}, {LOWER_PORT}, set()):
            desired = frozenset({Bridge("br1"), peer, *ports})
            await host.apply(diff(desired, await host.read(owner_of(desired, {PORT_1, LOWER_PORT}))))
            assert await left_to_do(host, desired) == ""
