"""The rules of NetworkPolicies (pkg/apis/networking/validation), in upstream's words."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from ipaddress import ip_network
from typing import Any

from fabric.api import names
from fabric.api.kinds import NETWORK_POLICY
from fabric.api.objects import Object
from fabric.apiserver import schema
from fabric.apiserver.refusals import Cause, forbidden_field, invalid_value, required
from fabric.apiserver.schema import Shape
from fabric.apiserver.validation import selectors
from fabric.apiserver.validation.rules import (
    Rules,
    Table,
    each,
    named,
    one_of,
    port_number,
    port_or_name,
    walk,
)

TYPES = ("Ingress", "Egress")
_cidr = named(names.loose_cidr_faults)


def faults(policy: Object) -> Iterator[Cause]:
    """All that is wrong with the policy's spec, by field."""
    yield from walk(_TABLE, _spec_shape(), "spec", policy.get("spec") or {})


def _end_port(path: str, port: Object) -> Iterator[Cause]:
    """A range has two numbers, the lower one first."""
    if (last := port.get("endPort")) is None:
        return
    first = port.get("port")
    if first is None:
        yield invalid_value(f"{path}.endPort", last, "may not be specified when `port` is not specified")
    elif isinstance(first, str):
        yield invalid_value(f"{path}.endPort", last, "may not be specified when `port` is non-numeric")
    else:
        if last < first:
            yield invalid_value(f"{path}.endPort", first, "must be greater than or equal to `port`")
        yield from port_number(f"{path}.endPort", last)


def _peer(path: str, peer: Object) -> Iterator[Cause]:
    given = [name for name in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(name) is not None]
    if not given:
        yield required(path, "must specify a peer")
    elif "ipBlock" in given and len(given) > 1:
        yield forbidden_field(path, "may not specify both ipBlock and another peer")


def _except(path: str, block: Object) -> Iterator[Cause]:
    """Each exception lies inside of the block, and is less than all of it."""
    cidr = block.get("cidr")
    if not cidr or names.loose_cidr_faults(cidr):
        return
    outer = _network(cidr)
    for i, text in enumerate(block.get("except") or ()):
        here = f"{path}.except[{i}]"
        found = list(_cidr(here, text))
        yield from found
        if not found:
            inner = _network(text)
            inside = outer.version == inner.version and outer.overlaps(inner)
            if not inside or outer.prefixlen >= inner.prefixlen:
                yield invalid_value(here, text, "must be a strict subset of `cidr`")


def _network(text: str) -> Any:
    return ip_network(names.without_leading_zeros(text), strict=False)


def _types(path: str, types: list[str]) -> Iterator[Cause]:
    if len(types) > len(TYPES):
        yield invalid_value(path, types, "may not specify more than two policyTypes")
    else:
        yield from each(one_of(*TYPES))(path, types)


@cache
def _spec_shape() -> Shape:
    found = schema.shape(NETWORK_POLICY)
    assert found is not None
    return found.child("spec")


_TABLE: Table = {
    **selectors.RULES,
    "NetworkPolicySpec": Rules(fields={"policyTypes": _types}),
    "NetworkPolicyPort": Rules(
        fields={"protocol": one_of("TCP", "UDP", "SCTP"), "port": port_or_name}, whole=(_end_port,)
    ),
    "NetworkPolicyPeer": Rules(whole=(_peer,)),
    "IPBlock": Rules(
        required={"cidr": ""},
        fields={"cidr": named(names.loose_cidr_faults, or_empty=True)},
        whole=(_except,),
    ),
}
