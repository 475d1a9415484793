"""The description of a NetworkPolicy: what each of its parts means among the endpoints of a world."""

from __future__ import annotations

from collections.abc import Iterator

from fabric.api.objects import Object
from fabric.plugin.policies import (
    Description,
    Direction,
    PeerDescription,
    PortDescription,
    RuleDescription,
    World,
)
from fabric.policy.network_policies import SIDES, Peer, Policy, PortRange, Rule


def of(obj: Object, policy: Policy, world: World) -> Description:
    rules = [
        _rule(direction, rule, policy.rules(direction), world)
        for direction in SIDES
        for rule in policy.rules(direction)
    ]
    selected = tuple(it for it in world.endpoints if policy.selects(it))
    return Description(obj, selected, policy.types, tuple(rules), tuple(_faults(policy)))


def _rule(direction: Direction, rule: Rule, every: tuple[Rule, ...], world: World) -> RuleDescription:
    place = f"spec.{direction}[{rule.index}]"
    earlier = (it.index for it in every[: rule.index] if _covers(it, rule))
    peers = (
        PeerDescription(
            f"{place}.{SIDES[direction]}[{index}]",
            tuple(it for it in world.endpoints if any(peer.matches(it, at, world) for at in it.addresses)),
            peer.block is not None,
        )
        for index, peer in enumerate(rule.peers)
    )
    ports = (
        PortDescription(f"{place}.ports[{index}]", it.protocol, it.first, it.last, it.name)
        for index, it in enumerate(rule.ports)
    )
    return RuleDescription(direction, rule.index, tuple(peers), tuple(ports), next(earlier, None))


def _covers(wider: Rule, rule: Rule) -> bool:
    """Whether all that a rule allows another one allows."""
    peers = not wider.peers or (bool(rule.peers) and all(_has_peer(wider.peers, it) for it in rule.peers))
    ports = not wider.ports or (bool(rule.ports) and all(_has_port(wider.ports, it) for it in rule.ports))
    return peers and ports


def _has_peer(peers: tuple[Peer, ...], wanted: Peer) -> bool:
    return any(
        it == wanted
        or (
            it.block is not None
            and wanted.block is not None
            and it.block.version == wanted.block.version
            and it.block.prefixlen <= wanted.block.prefixlen
            and it.block.overlaps(wanted.block)
            and not any(inner.overlaps(wanted.block) for inner in it.excepted)
        )
        for it in peers
    )


def _has_port(ports: tuple[PortRange, ...], wanted: PortRange) -> bool:
    return any(
        it.protocol == wanted.protocol
        and (
            (it.name == wanted.name and bool(it.name))
            or (not it.name and (it.first, it.last) == (0, 65535))
            or (not it.name and not wanted.name and it.first <= wanted.first and wanted.last <= it.last)
        )
        for it in ports
    )


def _faults(policy: Policy) -> Iterator[tuple[str, str]]:
    for direction, side in SIDES.items():
        for rule in policy.rules(direction):
            for index, peer in enumerate(rule.peers):
                place = f"spec.{direction}[{rule.index}].{side}[{index}].ipBlock.except"
                yield from ((f"{place}[{number}]", what) for number, what in _exceptions(peer))


def _exceptions(peer: Peer) -> Iterator[tuple[int, str]]:
    for number, inner in enumerate(peer.excepted):
        if peer.block is not None and (inner.version != peer.block.version or not inner.overlaps(peer.block)):
            yield number, f"{inner} is outside of {peer.block}: it excepts nothing"
        elif inner == peer.block:
            yield number, f"{inner} is the whole block: the peer means nobody"
