"""The JSON Schema of a topology file (v1) around its underlay, which is `underlay_schema`'s."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fabric.topology import images

API_VERSION = "fabric.dev/v1"
NODES_MAX = 1000
DNS_LABEL = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
NAME: Mapping[str, Any] = {
    "type": "string",
    "pattern": DNS_LABEL,
    "title": "lower-case letters, digits and -, such as node-1",
}
"""A rule for names; the title of a pattern is what a complaint says of it."""

_QUANTITY: dict[str, Any] = {
    "type": ["string", "number"],
    "minimum": 0,
    "pattern": r"^[0-9]+(\.[0-9]+)?([eE][0-9]+|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$",
    "title": "a quantity such as 2, 500m or 1Gi",
}

_NODE: dict[str, Any] = {
    "type": "object",
    "description": "One node: a host of its own with a kubelet and the network plugin's agent.",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {**NAME, "maxLength": 63},
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


_METADATA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {"name": {**NAME, "maxLength": 40}},
}

_NODES: dict[str, Any] = {
    "description": "How many nodes (node-1, node-2, …), or a list of them.",
    "type": ["integer", "array"],
    "minimum": 1,
    "maximum": NODES_MAX,
    "minItems": 1,
    "maxItems": NODES_MAX,
    "items": _NODE,
}


def file_schema(underlay: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a file whose `spec.underlay` has that one."""
    spec = {
        "type": "object",
        "additionalProperties": False,
        "required": ["nodes", "network"],
        "properties": {
            "nodes": _NODES,
            "underlay": dict(underlay),
            "podCIDR": {"type": "string", "default": "10.244.0.0/16"},
            "serviceCIDR": {"type": "string", "default": "10.96.0.0/16"},
            "network": _NETWORK,
            "images": images.SCHEMA,
            "store": {"enum": ["embedded"], "default": "embedded"},
            "manifests": {"type": "array", "items": _MANIFEST},
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fabric topology",
        "description": "A Kubernetes cluster and its network, for `fabric up`.",
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": "Topology"},
            "metadata": _METADATA,
            "spec": spec,
        },
    }
