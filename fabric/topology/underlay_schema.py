"""The JSON Schema of a topology file, by its kind of underlay: each has keys of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fabric.topology.leafspine import RACKS_MAX, SPINES_MAX, UPLINKS_MAX
from fabric.topology.schema import NAME, file_schema
from fabric.topology.wiring import LINKS_MAX, ROUTERS_MAX

_AS: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": 4_294_967_294}
_NAME: dict[str, Any] = {**NAME, "maxLength": 63}
_MTU: dict[str, Any] = {"type": "integer", "minimum": 1280, "maximum": 65535, "default": 1500}
_SHARE: dict[str, Any] = {
    "type": "string",
    "pattern": r"^[0-9]+(\.[0-9]{1,4})?%$",
    "title": "a share such as 0.1%",
}
_TIME: dict[str, Any] = {
    "type": "string",
    "pattern": r"^[0-9]+(\.[0-9]+)?(us|ms|s)$",
    "title": "a time such as 10ms",
}

SHAPE: dict[str, Any] = {
    "mtu": _MTU,
    "rate": {
        "type": "string",
        "pattern": r"^[0-9]+(\.[0-9]+)?[KMG]?bit$",
        "title": "a rate such as 100Mbit",
        "description": "Bits per second, each way: 100Mbit.",
    },
    "queue": {"enum": ["tbf", "htb"], "default": "tbf", "description": "What keeps the rate."},
    "delay": {**_TIME, "description": "Added one way: 10ms. Needs sch_netem."},
    "jitter": {**_TIME, "description": "How much the delay varies. Needs sch_netem."},
    "loss": {**_SHARE, "description": "Packets lost: 0.1%. Needs sch_netem."},
    "reorder": {**_SHARE, "description": "Packets that overtake those delayed: 25%. Needs sch_netem."},
}
"""The attributes of a link."""

_LINK: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": SHAPE}
_RANGES: dict[str, Any] = {
    "subnet": {"type": "string", "description": "Addresses of the nodes.", "default": "192.168.0.0/16"},
    "subnetPrefix": {
        "type": "integer",
        "minimum": 8,
        "maximum": 120,
        "default": 24,
        "description": "Prefix length of each rack's, or segment's, share of the subnet.",
    },
    "linkSubnet": {"type": "string", "default": "172.16.0.0/16", "description": "A /31 for each link."},
    "loopbackSubnet": {"type": "string", "default": "172.17.0.0/16", "description": "Router ids."},
    "mtu": _MTU,
}
_PEERING: dict[str, Any] = {
    "enum": ["internal", "external", "none"],
    "default": "internal",
    "description": "BGP sessions that routers take from nodes: of their own AS (and reflect), of others.",
}
_ARGUMENTS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": {"type": ["integer", "number", "boolean"]},
}
_ROUTER: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {"name": _NAME, "asn": _AS},
}
_SWITCH: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {"name": _NAME},
}
_CABLE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["between"],
    "properties": {
        "between": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
        **SHAPE,
    },
}


def _kind(name: str, description: str, properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "additionalProperties": False,
        "required": ["kind", *required],
        "properties": {"kind": {"const": name}, **properties},
    }


def _many(items: Mapping[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 0, "maxItems": most}


KINDS: dict[str, dict[str, Any]] = {
    "l2": _kind(
        "l2",
        "All nodes on one Ethernet switch.",
        {"subnet": _RANGES["subnet"], "mtu": _MTU},
    ),
    "leaf-spine": _kind(
        "leaf-spine",
        "Racks of nodes under a routed fabric: a leaf to a rack, every leaf wired to every spine, eBGP.",
        {
            "racks": {"type": "integer", "minimum": 1, "maximum": RACKS_MAX, "default": 2},
            "nodesPerRack": {"type": "integer", "minimum": 1, "maximum": 1000},
            "rackLabel": {"type": "string", "minLength": 1, "description": "A rack for each of its values."},
            "spines": {"type": "integer", "minimum": 1, "maximum": SPINES_MAX, "default": 2},
            "uplinks": {"type": "integer", "minimum": 1, "maximum": UPLINKS_MAX, "default": 1},
            "leafAS": {**_AS, "default": 65001, "description": "The first rack's; they count up."},
            "spineAS": {**_AS, "default": 65000},
            "hostLinks": _LINK,
            "uplinkLinks": _LINK,
            "hostPeering": _PEERING,
            **_RANGES,
        },
    ),
    "graph": _kind(
        "graph",
        "Routers, switches and links by name, or routers by a generator.",
        {
            "routers": _many(_ROUTER, ROUTERS_MAX),
            "switches": _many(_SWITCH, ROUTERS_MAX),
            "links": _many(_CABLE, LINKS_MAX),
            "generator": {"type": "string", "minLength": 1, "description": "ring, fat-tree, waxman, …"},
            "arguments": _ARGUMENTS,
            "firstAS": {**_AS, "default": 4_200_000_000},
            "controlPlane": _NAME,
            "hostLinks": _LINK,
            "coreLinks": _LINK,
            "hostPeering": _PEERING,
            **_RANGES,
        },
    ),
    "mininet": _kind(
        "mininet",
        "A Mininet Topo class: its hosts are the nodes.",
        {
            "topo": {
                "type": "string",
                "pattern": r"^[^:]+\.py:[A-Za-z_][A-Za-z0-9_]*$",
                "title": "a file and its class, such as rack.py:Rack",
            },
            "arguments": _ARGUMENTS,
            "subnet": _RANGES["subnet"],
            "mtu": _MTU,
        },
        "topo",
    ),
}
"""By `kind`."""


def _published() -> dict[str, Any]:
    """Return the schema of `spec.underlay` for editors: what else is allowed follows from the kind."""
    return {
        "type": "object",
        "description": "How the nodes are wired to each other.",
        "required": ["kind"],
        "properties": {"kind": {"enum": list(KINDS)}},
        "allOf": [
            {"if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]}, "then": schema}
            for kind, schema in KINDS.items()
        ],
    }


SCHEMA: dict[str, Any] = file_schema(_published())
"""Of every topology file: what `fabric schema` prints."""


def schema_of(kind: object) -> dict[str, Any]:
    """Return the schema of a file whose underlay is of that kind; errors are of one sentence each."""
    return file_schema(KINDS[kind]) if isinstance(kind, str) and kind in KINDS else SCHEMA
