"""Flows are the conntrack entries that a plan removes, so that no packet goes an old connection's way.

Linux asks the nat table for a connection's first packet only. A UDP client that goes on sending from its port
would be sent to a pod that is gone, or past a mapping that is new, for as long as it sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from fabric.netstate.objects import IPAddress, NetObject, Route
from fabric.netstate.rules import Chain, Family, Rule

_UDP = re.compile(r"(?<!! )-p udp\b")
_PORTS = re.compile(r"(?<!! )--dports? (\S+)")
_DESTINATION = re.compile(r"(?<!! )-d (\S+)")
_DNAT = re.compile(r"-j DNAT --to-destination \[?([0-9a-fA-F.:]+?)\]?(?::(\d+))?(?: |$)")
_ENDING = re.compile(r"-j (?:ACCEPT|RETURN|MARK|LOG)\b")


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow is the entries of conntrack of one address, to some UDP ports, or through one DNAT."""

    family: Family
    address: IPAddress | None = None
    """An end of the connection on either side of a NAT; with ports the destination, as it was sent."""
    ports: tuple[int, int] | None = None
    """UDP destination ports as they were sent, from and to."""
    answered_by: tuple[IPAddress, int] | None = None
    """The UDP address and port that the connection was sent to; port 0 is any."""

    def __str__(self) -> str:
        if self.answered_by is not None:
            return f"flows udp answered by {self.answered_by[0]} port {self.answered_by[1] or 'any'}"
        if self.ports is None:
            return f"flows of {self.address}"
        low, high = self.ports
        text = f"{low}" if low == high else f"{low}-{high}"
        return f"flows udp to {self.address or 'any'} port {text} (IPv{self.family})"


def flows_of(address: IPAddress) -> Flow:
    """Return all flows of an address that is given up."""
    return Flow(_family(address), address)


def outdated(added: Iterable[NetObject], deleted: Iterable[NetObject]) -> tuple[Flow, ...]:
    """Return the flows that are not as they would be begun now, when objects come and others go.

    A changed object is among both. A host's route that goes takes the flows of the host; a UDP rule of nat
    that comes those to its ports, and one that goes those that it sent to its destination.
    """
    old, new = frozenset(_nat_rules(deleted)), frozenset(_nat_rules(added))
    found = {flow for family, rule in new - old for flow in _flows_to(family, rule)}
    found |= {flow for family, rule in old - new for flow in _flows_sent_by(family, rule)}
    found |= {flows_of(address) for address in _hosts(deleted) - _hosts(added)}
    return tuple(sorted(found, key=str))


def _nat_rules(objects: Iterable[NetObject]) -> Iterator[tuple[Family, Rule]]:
    chains = (obj for obj in objects if isinstance(obj, Chain) and obj.table == "nat")
    return ((chain.family, rule) for chain in chains for rule in chain.rules if _UDP.search(rule.match))


def _flows_to(family: Family, rule: Rule) -> Iterator[Flow]:
    """Yield the flows that the rule would send another way, had they come after it."""
    found = _PORTS.search(rule.match)
    if found is None or _ENDING.match(rule.action):
        return
    for port in found[1].split(","):
        low, _, high = port.partition(":")
        yield Flow(family, _destination(rule), (int(low), int(high or low)))


def _flows_sent_by(family: Family, rule: Rule) -> Iterator[Flow]:
    if found := _DNAT.match(rule.action):
        yield Flow(family, answered_by=(ip_address(found[1]), int(found[2] or 0)))


def _destination(rule: Rule) -> IPAddress | None:
    found = _DESTINATION.search(rule.match)
    network = ip_network(found[1], strict=False) if found else None
    return network[0] if network is not None and network.num_addresses == 1 else None


def _hosts(objects: Iterable[NetObject]) -> set[IPAddress]:
    """Return the addresses that are reached over a device of their own."""
    routes = (obj for obj in objects if isinstance(obj, Route) and obj.dev and obj.via is None)
    return {route.dst[0] for route in routes if route.dst.num_addresses == 1}


def _family(address: IPAddress) -> Family:
    return 4 if address.version == 4 else 6
