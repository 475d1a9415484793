"""The description of a policy: what each of its parts means among the endpoints of a world.

A rule is covered by an earlier one where each condition of the earlier one is as wide or wider; selectors
are compared as they are written, so a rule that is called covered is, and others may be too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

from calico.policy.members import Members
from calico.policy.policies import Policy
from calico.policy.rules import LOG, Entity, PortMatch, Rule
from fabric.api.objects import Object
from fabric.netstate.objects import IPAddress, IPNetwork
from fabric.plugin.policies import (
    PROTOCOLS,
    WITH_PORTS,
    Description,
    Direction,
    Endpoint,
    PeerDescription,
    PortDescription,
    RuleDescription,
    World,
)

_DIRECTIONS: tuple[Direction, ...] = ("ingress", "egress")


class Describer:
    """The describer of a world's policies."""

    def __init__(self, world: World, members: Members, tiers: Collection[str]) -> None:
        self._world = world
        self._members = members
        self._tiers = tiers

    def describe(self, obj: Object, policy: Policy, selected: Sequence[Endpoint]) -> Description:
        rules = [it for direction in _DIRECTIONS for it in self._rules(policy, direction)]
        return Description(obj, tuple(selected), policy.types, tuple(rules), tuple(self._faults(policy)))

    def _rules(self, policy: Policy, direction: Direction) -> Iterator[RuleDescription]:
        """Describe each rule as it is written; a rule of Kubernetes was read as several."""
        every = policy.rules(direction)
        for index, group in groupby(every, key=lambda it: it.index):
            pieces = tuple(group)
            entities = (it.source if direction == "ingress" else it.destination for it in pieces)
            peers = {it.path: self._peer(it) for it in entities if it.restricts_peer()}
            ports = {port.path: _port(it, port) for it in pieces for port in it.destination.ports}
            covering = [_covering(every, it) for it in pieces]
            is_covered = None not in covering
            yield RuleDescription(
                direction,
                index,
                tuple(peers.values()),
                tuple(ports.values()),
                next((it for it in covering if it is not None), None) if is_covered else None,
            )

    def _peer(self, entity: Entity) -> PeerDescription:
        sets = (network for it in self._members.sets for network in it.networks)
        networks = (Endpoint("address", str(it), addresses=(it.network_address,)) for it in sets)
        candidates = (*self._world.endpoints, *networks)
        found = (it for it in candidates if any(self._means(entity, address) for address in it.addresses))
        return PeerDescription(entity.path, tuple(found), bool(entity.networks or entity.not_networks))

    def _means(self, entity: Entity, address: IPAddress) -> bool:
        members, service = self._members, entity.service
        places = members.services.places(*service) if service else None
        return (
            (not entity.networks or any(address in it for it in entity.networks))
            and not any(address in it for it in entity.not_networks)
            and (entity.selector is None or members.selects(entity.selector, address))
            and not (entity.not_selector is not None and members.selects(entity.not_selector, address))
            and (places is None or any(it[0] == address for it in places))
        )

    def _faults(self, policy: Policy) -> Iterator[tuple[str, str]]:
        if policy.tier not in self._tiers:
            yield "spec.tier", f"no tier {policy.tier!r}: the policy is read behind all others"
        entities = {
            it.path: it
            for rule in (*policy.ingress, *policy.egress)
            for it in (rule.source, rule.destination)
            if it.networks
        }
        for path, entity in entities.items():
            inside = ", ".join(map(str, entity.networks))
            for network in entity.not_networks:
                if not any(_overlap(network, it) for it in entity.networks):
                    yield path, f"{network} is outside of {inside}: it excepts nothing"
            if all(any(_within(it, [other]) for other in entity.not_networks) for it in entity.networks):
                yield path, f"all of {inside} is excepted: it means nobody"


def _port(rule: Rule, port: PortMatch) -> PortDescription:
    protocol = rule.protocol if rule.protocol in WITH_PORTS else PROTOCOLS["tcp"]
    assert protocol is not None
    return PortDescription(port.path, protocol, port.first, port.last, port.name)


def _covering(every: Sequence[Rule], rule: Rule) -> int | None:
    """The index of an earlier rule that decides all that this one could."""
    earlier = (it for it in every if it.index < rule.index and it.action != LOG)
    return next((it.index for it in earlier if _covers(it, rule)), None)


def _covers(wider: Rule, rule: Rule) -> bool:
    fields = ("version", "protocol", "not_protocol", "icmp", "not_icmp")
    return (
        all(getattr(wider, it) in (None, getattr(rule, it)) for it in fields)
        and _covers_entity(wider.source, rule.source)
        and _covers_entity(wider.destination, rule.destination)
    )


def _covers_entity(wider: Entity, entity: Entity) -> bool:
    return (
        (
            not wider.networks
            or (bool(entity.networks) and all(_within(it, wider.networks) for it in entity.networks))
        )
        and all(_within(it, entity.not_networks) for it in wider.not_networks)
        and wider.selector in (None, entity.selector)
        and wider.not_selector in (None, entity.not_selector)
        and (not wider.ports or (bool(entity.ports) and all(_among(it, wider.ports) for it in entity.ports)))
        and all(_among(it, entity.not_ports) for it in wider.not_ports)
        and wider.service in (None, entity.service)
    )


def _within(network: IPNetwork, others: Sequence[IPNetwork]) -> bool:
    return any(_overlap(network, it) and network.prefixlen >= it.prefixlen for it in others)


def _overlap(one: IPNetwork, other: IPNetwork) -> bool:
    return one.version == other.version and one.overlaps(other)


def _among(port: PortMatch, others: Sequence[PortMatch]) -> bool:
    return any(
        it.name == port.name and (bool(it.name) or (it.first <= port.first and port.last <= it.last))
        for it in others
    )
