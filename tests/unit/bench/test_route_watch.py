"""The kernel's messages about routes: what is BIRD's and unicast counts, and nothing else."""

from __future__ import annotations

import struct
from ipaddress import ip_network

import pytest

from fabric.bench import route_watch
from fabric.bench.route_watch import BIRD

NEW, DELETED = 24, 25
UNICAST, BLACKHOLE = 1, 6
BOOT = 3


def message(kind: int, network: str, protocol: int = BIRD, type_: int = UNICAST) -> bytes:
    at = ip_network(network)
    attributes = struct.pack("=HH4s", 8, 1, at.network_address.packed) if at.prefixlen else b""
    route = struct.pack("=BBBBBBBBI", 2, at.prefixlen, 0, 0, 254, protocol, 0, type_, 0)
    return struct.pack("=IHHII", 16 + len(route) + len(attributes), kind, 0, 0, 0) + route + attributes


def test_routes_of_bird_come_and_go():
    data = message(NEW, "10.244.1.0/26") + message(DELETED, "10.244.2.0/26") + message(NEW, "0.0.0.0/0")
    assert list(route_watch._changes(data)) == [
        (True, ip_network("10.244.1.0/26")),
        (False, ip_network("10.244.2.0/26")),
        (True, ip_network("0.0.0.0/0")),
    ]


@pytest.mark.parametrize(
    "data",
    [
        message(NEW, "10.244.1.0/26", protocol=BOOT),
        message(NEW, "10.244.1.0/26", type_=BLACKHOLE),
        message(16, "10.244.1.0/26"),
        message(NEW, "10.244.1.0/26")[:20],
        struct.pack("=IHHII", 3, NEW, 0, 0, 0),
        b"",
    ],
)
def test_other_messages_and_pieces_tell_nothing(data):
    assert list(route_watch._changes(data)) == []
