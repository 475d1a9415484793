"""A graph on Linux: what is computed for each namespace is taken, read back, and carries packets.

Routes stand here for what BGP says: from each router, every way to a rack over the fewest links.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import networkx as nx
import pytest
from support.namespaces import namespaces, run_inside
from support.wirings import IPV6, addressed, nodes

from fabric.kernel.linux import LinuxKernel
from fabric.netstate.objects import IPNetwork, NextHop, Route
from fabric.netstate.plan import diff
from fabric.netstate.port import Owner
from fabric.topology import routed
from fabric.topology.addressing import Addresses
from fabric.topology.wiring import Wiring

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")]
LEAF_SPINE: dict[str, Any] = {"kind": "leaf-spine", "racks": 2}
BIRD = 12


@contextmanager
def fabric(options: dict[str, Any], count: int) -> Iterator[tuple[Wiring, Addresses, LinuxKernel]]:
    wiring, given = addressed(options, nodes(count))
    with namespaces(*(it.name for it in wiring.devices)) as pids:
        kernel = LinuxKernel(pids)
        yield wiring, given, kernel
        kernel.close()


async def settle(wiring: Wiring, given: Addresses, kernel: LinuxKernel) -> None:
    """Apply every namespace's state once, routers and switches first."""
    version = next(iter(given.hosts.values())).version
    for device in sorted(wiring.devices, key=lambda it: it.role == "host"):
        host, owner = kernel.host(device.name), routed.owner(device.role, version)
        await host.apply(diff(routed.state(wiring, given, device.name), await host.read(owner)))


def bgp_routes(wiring: Wiring, given: Addresses) -> dict[str, frozenset[Route]]:
    speakers = routed.speakers(wiring, given)
    routers = wiring.graph.subgraph(speakers)
    found: dict[str, set[Route]] = {name: set() for name in speakers}
    for source, speaker in speakers.items():
        for target, far in speakers.items():
            if source == target:
                continue
            nearer = nx.shortest_path_length(routers, source, target) - 1
            hops = tuple(
                NextHop(it.address, it.device)
                for it in speaker.neighbors
                if nx.shortest_path_length(routers, it.name, target) == nearer
            )
            found[source] |= {_route(subnet, hops) for subnet in far.networks}
    return {name: frozenset(routes) for name, routes in found.items()}


def _route(subnet: IPNetwork, hops: tuple[NextHop, ...]) -> Route:
    return Route(subnet, next_hops=hops, proto=BIRD)


async def put_routes(wiring: Wiring, given: Addresses, kernel: LinuxKernel) -> None:
    for name, routes in bgp_routes(wiring, given).items():
        await kernel.host(name).apply(diff(routes, frozenset()))


@pytest.mark.parametrize("options", [LEAF_SPINE, LEAF_SPINE | IPV6, {"kind": "l2"}], ids=["v4", "v6", "l2"])
async def test_linux_takes_every_namespace_and_reads_it_back(options):
    with fabric(options, 3) as (wiring, given, kernel):
        await settle(wiring, given, kernel)
        version = next(iter(given.hosts.values())).version
        for device in wiring.devices:
            actual = await kernel.host(device.name).read(routed.owner(device.role, version))
            assert str(diff(routed.state(wiring, given, device.name), actual)) == ""


@pytest.mark.parametrize("options", [LEAF_SPINE, LEAF_SPINE | IPV6], ids=["v4", "v6"])
async def test_full_size_packets_cross_the_spines_and_flows_spread(options):
    with fabric(options, 2) as (wiring, given, kernel):
        await settle(wiring, given, kernel)
        await put_routes(wiring, given, kernel)
        far = given.hosts["node-2"]
        size = 1500 - (28 if far.version == 4 else 48)
        # IPv6 asks for a router's address only once its own is no longer tentative: until one is answered.
        ping = ("ping", "-c1", "-w10", "-M", "do", "-s", str(size), str(far.ip))
        assert f"ttl={64 - 3}" in run_inside(kernel.pids["node-1"], *ping)
        ways = {
            run_inside(
                kernel.pids["leaf-1"],
                *("ip", "route", "get", str(far.ip), "from", str(given.hosts["node-1"].ip), "iif", "br0"),
                *("ipproto", "tcp", "sport", str(port), "dport", "80"),
            ).split(" dev ")[1].split()[0]
            for port in range(1024, 1054)
        }  # fmt: skip
        assert ways == {"spine-1", "spine-2"}


async def test_a_cut_uplink_and_a_dead_spine_are_put_back_and_birds_routes_are_left_alone():
    with fabric(LEAF_SPINE, 2) as (wiring, given, kernel):
        await settle(wiring, given, kernel)
        await put_routes(wiring, given, kernel)
        run_inside(kernel.pids["leaf-1"], "ip", "link", "del", "spine-1")
        run_inside(kernel.pids["leaf-2"], "ip", "link", "set", "spine-2", "down")
        await settle(wiring, given, kernel)
        await settle(wiring, given, kernel)
        for device in wiring.devices:
            actual = await kernel.host(device.name).read(routed.owner(device.role))
            assert str(diff(routed.state(wiring, given, device.name), actual)) == ""
        bird = Owner("bird", frozenset({Route}), lambda obj: isinstance(obj, Route) and obj.proto == BIRD)
        assert await kernel.host("spine-2").read(bird)


async def test_a_link_has_its_rate_at_both_ends():
    options = LEAF_SPINE | {
        "uplinkLinks": {"rate": "1Gbit"},
        "hostLinks": {"rate": "100Mbit", "queue": "htb"},
    }
    with fabric(options, 2) as (wiring, given, kernel):
        await settle(wiring, given, kernel)
        for name, device, words in (
            ("leaf-1", "spine-1", "tbf"),
            ("spine-1", "leaf-1", "rate 1Gbit"),
            ("leaf-1", "node-1", "htb"),
            ("node-1", "eth0", "htb"),
        ):
            assert words in run_inside(kernel.pids[name], "tc", "qdisc", "show", "dev", device)
