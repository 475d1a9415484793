"""Objects of a cluster on which policies are tried: pods that serve four ports, their places in the API."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from typing import Any

from fabric.verify.matrix import Port
from support.clusters import pod

Object = dict[str, Any]
SPACES, NAMES = "xyz", "abc"
PODS = tuple(f"{space}/{name}" for space in SPACES for name in NAMES)
PORTS = tuple(Port(protocol, number) for number in (80, 81) for protocol in ("tcp", "udp"))
NODES = {name: f"node-{1 + place % 2}" for place, name in enumerate(PODS)}
"""Neighbours in the table are on different nodes, and each node has pods of every namespace."""
_ADDRESS = re.compile(r"\{([a-z0-9/-]+)\}(/\d+)?")


def serving(
    name: str,
    node: str = "",
    *,
    labels: Mapping[str, str] | None = None,
    first: int = 80,
    address: str = "",
    **spec: Any,
) -> Object:
    """A pod `x/a` that serves the four ports, under their names; the lower of the two numbers is `first`.

    `address`: the one that it asks Calico's IPAM for.
    """
    space, _, short = name.partition("/")
    made = pod(short, node or NODES.get(name, "node-1"), namespace=space, **spec)
    made["metadata"]["labels"] = dict({"pod": short} if labels is None else labels)
    if address:
        made["metadata"]["annotations"] = {"cni.projectcalico.org/ipAddrs": f'["{address}"]'}
    made["spec"]["containers"][0]["ports"] = [
        {
            "containerPort": first + it.number - 80,
            "protocol": it.protocol.upper(),
            "name": f"serve-{it.number}-{it.protocol}",
        }
        for it in PORTS
    ]
    return made


def namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"ns": name}}}


def path_of(obj: Object, *, name: bool = True) -> str:
    """The object's place in the API, or that of its list."""
    root = "/api/v1" if obj["apiVersion"] == "v1" else f"/apis/{obj['apiVersion']}"
    space = obj["metadata"].get("namespace", "")
    plural = f"{obj['kind'].lower()}s".replace("policys", "policies")
    found = f"{root}/namespaces/{space}/{plural}" if space else f"{root}/{plural}"
    return f"{found}/{obj['metadata']['name']}" if name else found


def filled(value: Any, address: Callable[[str], str]) -> Any:
    """Replace `{x/a}` in any text by the address of that pod, and `{x/a}/24` by the network it is in."""
    match value:
        case dict():
            return {key: filled(it, address) for key, it in value.items()}
        case list():
            return [filled(it, address) for it in value]
        case str() if found := _ADDRESS.fullmatch(value):
            text = address(found[1])
            return str(ip_network(text + found[2], strict=False)) if found[2] else text
    return value
