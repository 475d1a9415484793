"""The net loop on Linux: what a device takes along comes back, and a refused value tears nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from support.eventually import eventually
from support.namespaces import namespaces, run_inside
from support.owned_task import running

from fabric.control.netloop import NetLoop
from fabric.kernel.linux import LinuxKernel
from fabric.netstate.objects import (
    Address,
    Chain,
    FdbEntry,
    IpSet,
    Jump,
    Neighbor,
    NetState,
    Route,
    Veth,
    Vxlan,
)
from fabric.netstate.plan import diff
from fabric.netstate.port import Owner

MACS = "0e:00:00:00:00:01", "0e:00:00:00:00:02"
KINDS = frozenset({Vxlan, Address, Neighbor, FdbEntry, Route, Chain, Jump, IpSet})
LOOK = (
    "ip neigh show dev flannel.1 nud permanent; bridge fdb show dev flannel.1; "
    "ip route show dev flannel.1; ip -o -4 addr show flannel.1"
)
"""What hangs on the device."""
NEW_DEVICES = {
    "dstport 4789": {"port": 4789},
    "id 7": {"vni": 7},
    "local 192.168.0.99": {"local": ip_address("192.168.0.99")},
}


@dataclass
class Node:
    """One of two nodes on a wire: its namespace, its loop, and what that keeps."""

    number: int
    pid: int
    loop: NetLoop

    @property
    def tunnel(self) -> Vxlan:
        own = ip_address(f"192.168.0.{10 + self.number}")
        return Vxlan("flannel.1", 1, "eth0", own, mac=MACS[self.number - 1], mtu=1450)

    @property
    def own(self) -> NetState:
        return frozenset({self.tunnel, Address(ip_interface(f"10.244.{self.number}.0/32"), "flannel.1")})

    @property
    def peer(self) -> NetState:
        other = 3 - self.number
        gateway, mac = ip_address(f"10.244.{other}.0"), MACS[other - 1]
        return frozenset(
            {
                Neighbor(gateway, mac, "flannel.1"),
                FdbEntry(mac, ip_address(f"192.168.0.{10 + other}"), "flannel.1"),
                Route(ip_network(f"10.244.{other}.0/24"), via=gateway, dev="flannel.1", onlink=True),
            }
        )

    def want(self, **changes: object) -> None:
        """Want the node's own part with another tunnel."""
        self.loop.want("node", {*(self.own - {self.tunnel}), replace(self.tunnel, **changes)})  # type: ignore[arg-type]

    def shell(self, command: str) -> str:
        return run_inside(self.pid, "sh", "-c", command)

    def reaches(self) -> bool:
        """Ping the other node's tunnel address once."""
        return "1 received" in self.shell(f"ping -c 1 -W 1 10.244.{3 - self.number}.0; true")


def owned(obj: object) -> bool:
    return "flannel" in str(obj) or "FLANNEL" in str(obj)


@pytest.fixture
async def nodes() -> AsyncIterator[list[Node]]:
    """Two nodes whose loops have converged."""
    with namespaces("node-1", "node-2") as pids:
        kernel = LinuxKernel(pids)
        pair = Veth("eth0", peer="eth0", peer_ns="node-2", mtu=1500)
        await kernel.host("node-1").apply(diff(frozenset({pair}), frozenset()))
        found = []
        for number, (name, pid) in enumerate(pids.items(), start=1):
            for command in (f"ip addr add 192.168.0.{10 + number}/24 dev eth0", "ip link set eth0 up"):
                run_inside(pid, *command.split())
            node = Node(number, pid, NetLoop(kernel.host(name), Owner("flannel", KINDS, owned)))
            node.loop.want("node", node.own)
            node.loop.want("peer", node.peer)
            found.append(node)
        try:
            async with running(*(node.loop.run() for node in found)):
                await eventually(lambda: all(node.loop.is_converged for node in found))
                await eventually(found[0].reaches)
                yield found
        finally:
            kernel.close()


def hanging(node: Node) -> set[str]:
    """The lines of what hangs on the device, without its number."""
    return {line.split(": ", 1)[-1] for line in node.shell(LOOK).splitlines()}


@pytest.mark.parametrize("word", NEW_DEVICES)
async def test_converged_is_never_said_while_something_of_a_device_made_anew_is_missing(nodes, word):
    node = nodes[0]
    node.shell("ip addr add 192.168.0.99/24 dev eth0")
    before = hanging(node)
    node.want(**NEW_DEVICES[word])
    assert not node.loop.is_converged
    await node.loop.until_converged()
    assert hanging(node) == before
    assert word in node.shell("ip -d link show flannel.1")


async def test_a_refused_mtu_is_told_and_no_packet_is_lost(nodes):
    node = nodes[0]
    events = asyncio.create_task(_neighbour_events(node, 3.0))
    await asyncio.sleep(0.2)
    node.want(mtu=1500)
    for _ in range(20):
        await asyncio.sleep(0.1)
        assert node.reaches()
    assert "mtu 1500" in node.loop.last_error
    assert not node.loop.is_converged and node.loop.is_programmed
    assert "mtu 1450" in node.shell("ip link show flannel.1")
    assert not await events, "the neighbours were not flushed"
    node.shell(f"ip neigh flush dev flannel.1 nud permanent; bridge fdb del {MACS[1]} dev flannel.1")
    await eventually(node.reaches)
    node.want()
    await node.loop.until_converged()
    assert node.loop.last_error == ""


async def test_a_device_that_goes_on_a_narrowed_wire_comes_back_and_carries_packets(nodes):
    node = nodes[0]
    for each in nodes:
        each.shell("ip link set eth0 mtu 1400")
    node.shell("ip link del flannel.1")
    await eventually(node.reaches)
    await asyncio.sleep(1)
    for _ in range(10):
        assert node.reaches()
    assert "mtu 1450" in node.loop.last_error or "mtu 1450" in node.shell("ip link show flannel.1")


async def test_a_jump_at_the_bottom_is_put_back_to_the_top(nodes):
    node = nodes[0]
    hook = Jump.parse("filter", "FORWARD", "-j FLANNEL-FWD", "insert")
    node.loop.want("rules", {Chain("filter", "FLANNEL-FWD"), hook})
    await node.loop.until_converged()
    node.shell("iptables -D FORWARD -j FLANNEL-FWD; iptables -A FORWARD -s 10.9.9.9 -j DROP")
    node.shell("iptables -A FORWARD -j FLANNEL-FWD")

    def is_on_top():
        return node.shell("iptables -S FORWARD").splitlines()[1:2] == ["-A FORWARD -j FLANNEL-FWD"]

    node.loop.trigger()
    await eventually(is_on_top)


async def _neighbour_events(node: Node, seconds: float) -> list[str]:
    """Return what the kernel tells of the tunnel's permanent neighbours in that time."""
    process = await asyncio.create_subprocess_exec(
        *("nsenter", "-t", str(node.pid), "-n", "timeout", str(seconds), "ip", "monitor", "neigh"),
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate()
    return [line for line in told.decode().splitlines() if "flannel.1" in line and "PERMANENT" in line]
