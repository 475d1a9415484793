"""Underlays for tests: options as a file has them, wired to node-1 … node-n and addressed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fabric.topology.addressing import Addresses, Numbers, addresses
from fabric.topology.model import NodeEntry
from fabric.topology.wires import wires
from fabric.topology.wiring import Wiring

IPV6: dict[str, Any] = {
    "subnet": "fd00::/48",
    "linkSubnet": "fd01::/112",
    "loopbackSubnet": "fd02::/112",
}
TWO_SITES: dict[str, Any] = {
    "kind": "graph",
    "routers": [{"name": "west", "asn": 65001}, {"name": "east", "asn": 65002}],
    "switches": [{"name": "hall"}],
    "controlPlane": "hall",
    "links": [
        {"between": ["west", "east"], "rate": "100Mbit", "delay": "10ms"},
        {"between": ["node-1", "west"]},
        {"between": ["hall", "east"], "mtu": 9000},
        {"between": ["node-2", "hall"], "rate": "1Gbit"},
    ],
}


def nodes(count: int) -> list[NodeEntry]:
    return [NodeEntry(f"node-{number}") for number in range(1, count + 1)]


def wired(options: dict[str, Any], count: int = 4) -> Wiring:
    return wires(options, nodes(count), Path()).wiring


def addressed(
    options: dict[str, Any], entries: list[NodeEntry], before: Addresses | None = None
) -> tuple[Wiring, Addresses]:
    """Wire and address the entries; what `before` gave them is kept."""
    found = wires(options, entries, Path())
    taken = before.hosts if before else {}
    numbers = before.numbers if before else Numbers()
    return found.wiring, addresses(found.wiring, found.ranges, taken, numbers)
