"""The BGP daemons of a cluster: which hosts have one, and whose each address is.

A daemon is found by its files below its host's: a node's in /run/calico, a router's in /run/bird, a third
party's wherever it keeps them in /run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TypeVar

from fabric.bird.client import BirdClient
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.spec import ClusterSpec
from fabric.cluster.underlay.hosts import wanted_hosts
from fabric.topology.wiring import natural

AT_ONCE = 32
"""Daemons that are asked at one time."""
CONFIG, CONTROL_SOCKET = "bird.conf", "bird.ctl"

T = TypeVar("T")
Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Bird:
    """A BGP daemon of a node or a router."""

    host: str
    control_socket: Path

    @property
    def client(self) -> BirdClient:
        return BirdClient(self.control_socket, name=self.host)


def birds(paths: ClusterPaths, spec: ClusterSpec) -> tuple[Bird, ...]:
    """Every daemon that runs or should, in the hosts' natural order."""
    found = []
    for host in sorted(wanted_hosts(spec), key=natural):
        run = paths.node(host) / "run"
        folders = {path.parent for name in (CONFIG, CONTROL_SOCKET) for path in run.glob(f"*/{name}")}
        found += [Bird(host, folder / CONTROL_SOCKET) for folder in sorted(folders)]
    return tuple(found)


async def ask_each(found: Iterable[Bird], question: Callable[[Bird], Awaitable[T]]) -> list[T]:
    """Put a question to every daemon, a few at a time; the answers are in their order."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def ask(bird: Bird) -> T:
        async with turns:
            return await question(bird)

    return await asyncio.gather(*(ask(bird) for bird in found))


def hosts_by_address(spec: ClusterSpec) -> Mapping[Address, str]:
    """Map each address of the underlay to its host: nodes, routers' ports and loopbacks."""
    taken = spec.interfaces()
    underlay = spec.underlay.addresses(spec.underlay.wiring(), taken)
    found: dict[Address, str] = {interface.ip: router for (router, _), interface in underlay.ports.items()}
    for hosts in (underlay.loopbacks, underlay.hosts, taken):
        found |= {interface.ip: host for host, interface in hosts.items()}
    return found


def host_of(address: str, names: Mapping[Address, str]) -> str:
    """The host with this address, as BIRD writes it (`fe80::1%eth0`); empty where it is nobody's."""
    try:
        return names.get(ip_address(address.partition("%")[0]), "")
    except ValueError:
        return ""
