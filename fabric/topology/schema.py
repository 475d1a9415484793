"""The JSON Schema of a topology file (v1): what editors complete, and the first check of every file."""

from __future__ import annotations

from typing import Any

API_VERSION = "fabric.dev/v1"
NODES_MAX = 1000
DNS_LABEL = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

_QUANTITY: dict[str, Any] = {
    "type": ["string", "number"],
    "minimum": 0,
    "pattern": r"^[0-9]+(\.[0-9]+)?([eE][0-9]+|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$",
}

_NODE: dict[str, Any] = {
    "type": "object",
    "description": "One node: a host of its own with a kubelet and the network plugin's agent.",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "pattern": DNS_LABEL, "maxLength": 63},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "taints": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["key", "effect"],
                "properties": {
                    "key": {"type": "string", "minLength": 1},
                    "value": {"type": "string"},
                    "effect": {"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
                },
            },
        },
        "capacity": {
            "type": "object",
            "description": "Resources that the scheduler counts: cpu, memory, pods.",
            "additionalProperties": _QUANTITY,
        },
    },
}

_UNDERLAY: dict[str, Any] = {
    "type": "object",
    "description": "How the nodes are wired to each other.",
    "additionalProperties": False,
    "required": ["kind"],
    "properties": {
        "kind": {"enum": ["l2"], "description": "l2: all nodes on one Ethernet switch."},
        "subnet": {"type": "string", "description": "Addresses of the nodes.", "default": "192.168.0.0/16"},
        "mtu": {"type": "integer", "minimum": 1280, "maximum": 65535, "default": 1500},
    },
}

_NETWORK: dict[str, Any] = {
    "type": "object",
    "description": "The pod network.",
    "additionalProperties": False,
    "required": ["plugin"],
    "properties": {
        "plugin": {"type": "string", "minLength": 1, "description": "Name of an installed network plugin."},
        "backend": {"type": "string", "description": "flannel: vxlan or host-gw."},
        "mtu": {"type": "integer", "minimum": 576, "maximum": 65535},
        "options": {"type": "object", "description": "The plugin's own keys, handed to it as they are."},
    },
}

_MANIFEST: dict[str, Any] = {
    "description": "A path relative to this file, or a Kubernetes object.",
    "type": ["string", "object"],
    "minLength": 1,
    "required": ["apiVersion", "kind", "metadata"],
    "properties": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
    },
}

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "fabric topology",
    "description": "A Kubernetes cluster and its network, for `fabric up`.",
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": API_VERSION},
        "kind": {"const": "Topology"},
        "metadata": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name"],
            "properties": {"name": {"type": "string", "pattern": DNS_LABEL, "maxLength": 40}},
        },
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["nodes", "network"],
            "properties": {
                "nodes": {
                    "description": "How many nodes (node-1, node-2, …), or a list of them.",
                    "type": ["integer", "array"],
                    "minimum": 1,
                    "maximum": NODES_MAX,
                    "minItems": 1,
                    "maxItems": NODES_MAX,
                    "items": _NODE,
                },
                "underlay": _UNDERLAY,
                "podCIDR": {"type": "string", "default": "10.244.0.0/16"},
                "serviceCIDR": {"type": "string", "default": "10.96.0.0/16"},
                "network": _NETWORK,
                "store": {"enum": ["embedded"], "default": "embedded"},
                "manifests": {"type": "array", "items": _MANIFEST},
            },
        },
    },
}
