"""What the BGP daemon of a router reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.wirings import IPV6, addressed, nodes

from fabric.topology import routed, routers
from fabric.topology.wires import wires

LEAF_SPINE = {"kind": "leaf-spine", "uplinks": 2}


@pytest.mark.parametrize(
    "router, options, peering",
    [
        ("leaf-1", LEAF_SPINE, "internal"),
        ("leaf-2", LEAF_SPINE | IPV6, "external"),
        ("spine-1", LEAF_SPINE, "internal"),
    ],
    ids=["leaf", "leaf-ipv6", "spine"],
)
def test_a_routers_configuration(golden, request, router, options, peering):
    ranges = wires(options, nodes(2), Path()).ranges
    speaker = routed.speakers(*addressed(options, nodes(2)))[router]
    config = routers.config(speaker, ranges, peering, "/run/bird/bird.log")
    golden(f"bird-{request.node.callspec.id}", str(config))
