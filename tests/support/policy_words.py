"""Parts of policies, as tests about the pods x/a to z/c say them."""

from __future__ import annotations

from typing import Any

from support.policy_objects import Object

EVERYWHERE: Object = {"namespaceSelector": {}}


def pods(name: str) -> Object:
    """The peer that is pods with the label `pod` of that value."""
    return {"podSelector": {"matchLabels": {"pod": name}}}


def spaces(name: str) -> Object:
    """The peer that is namespaces with the label `ns` of that value."""
    return {"namespaceSelector": {"matchLabels": {"ns": name}}}


def where(operator: str, *values: str, key: str = "pod") -> Object:
    """A selector with one expression."""
    return {
        "matchExpressions": [{"key": key, "operator": operator} | ({"values": [*values]} if values else {})]
    }


def block(cidr: str, *excepted: str) -> Object:
    return {"ipBlock": {"cidr": cidr} | ({"except": [*excepted]} if excepted else {})}


def from_(*peers: Object, ports: list[Object] | None = None) -> Object:
    """A rule of ingress."""
    return {"from": [*peers]} | ({} if ports is None else {"ports": ports})


def to(*peers: Object, ports: list[Object] | None = None) -> Object:
    """A rule of egress."""
    return {"to": [*peers]} | ({} if ports is None else {"ports": ports})


def port(number: Any, protocol: str = "", end: int = 0) -> Object:
    found = {"port": number} | ({"protocol": protocol} if protocol else {})
    return found | ({"endPort": end} if end else {})
