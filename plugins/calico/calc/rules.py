"""The sets that rules refer to: one for each selector, and one for each named port of the ends it selects.

Felix's way: where a side names only ports by name, the sets of these are of the selected ends alone, and no
set of the selector is needed beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from calico.calc.members import SetId
from calico.calc.objects import DIRECTIONS, Policy, PolicyId, Ports, Profile, Rule, Side
from calico.selector import ALL

RulesId = PolicyId | str
"""The identity of what has rules: a policy's, or a profile's name."""
DEFAULT_PROTOCOL = "tcp"
"""The protocol of named ports where the rule says none."""


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """A policy or profile with the sets that its rules refer to; equal to itself alone."""

    of: Policy | Profile
    sets: frozenset[SetId]

    @property
    def id(self) -> RulesId:
        return self.of.id if isinstance(self.of, Policy) else self.of.name


def rules_of(ruled: Policy | Profile) -> Rules:
    """A policy or profile, looked through once for all nodes."""
    rules = (rule for direction in DIRECTIONS for rule in ruled.rules(direction))
    return Rules(ruled, frozenset(found for rule in rules for found in _sets(rule)))


def selector_sets(side: Side) -> tuple[SetId, ...]:
    """The sets in all of which an address must be for a side to match, beside those of its ports."""
    if side.selector is None or (side.ports.names and not side.ports.ranges):
        return ()
    return (SetId(side.selector),)


def port_sets(rule: Rule, side: Side, ports: Ports) -> tuple[SetId, ...]:
    """The sets of a side's named ports."""
    selector = side.selector if side.selector is not None and ports is side.ports else ALL
    protocol = rule.protocol or DEFAULT_PROTOCOL
    return tuple(SetId(selector, protocol, name) for name in ports.names)


def _sets(rule: Rule) -> Iterator[SetId]:
    for side in rule.sides:
        yield from selector_sets(side)
        if side.not_selector is not None:
            yield SetId(side.not_selector)
        yield from port_sets(rule, side, side.ports)
        yield from port_sets(rule, side, side.not_ports)
