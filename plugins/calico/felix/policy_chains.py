"""The chains of a policy's or a profile's rules, one for each direction.

A rule becomes one rule of iptables where each of its conditions is one match. Where a condition is a list
(networks, more than 15 ports, names of ports), rules before it find out by two bits of the mark whether one
of the list matches, condition by condition; the last rule asks for the outcome.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from calico.calc.members import SetId
from calico.calc.objects import Direction, Icmp, Policy, PortRange, Profile, Rule, Side
from calico.calc.rules import Rules, port_sets, selector_sets
from calico.felix.names import rules_chain, short_kind
from calico.felix.options import (
    RuleOptions,
    clear_mark,
    mark_is_clear,
    mark_is_set,
    set_mark,
    set_masked_mark,
)
from calico.felix.rules import FelixRule, chain
from fabric.netstate.objects import Chain, Family, IPNetwork
from fabric.netstate.rules import Table

PORT_SLOTS_MAX = 15
"""Of one multiport match; a range takes two."""
_ENDS = {"source": "src", "destination": "dst"}
_EVERYTHING = {4: "0.0.0.0/0", 6: "::/0"}
_SPECIFIER = re.compile("%[tknp]")


def rules_chain_of(
    table: Table, rules: Rules, direction: Direction, options: RuleOptions, family: Family
) -> Chain:
    """The chain of a policy's or profile's rules in one direction."""
    found = list(_rules(rules.of, direction, options, family))
    while found and found[-1].action == "RETURN":
        found.pop()
    first = found[0] if found else FelixRule("", origin=_title(rules.of))
    said = (*first.comments, f"{_title(rules.of)} {direction}")
    return chain(
        table,
        rules_chain(rules.id, direction),
        [replace(first, comments=said), *found[1:]],
        family,
    )


def _title(ruled: Policy | Profile) -> str:
    return str(ruled.id) if isinstance(ruled, Policy) else f"Profile {ruled.name}"


def _rules(
    ruled: Policy | Profile, direction: Direction, options: RuleOptions, family: Family
) -> Iterator[FelixRule]:
    for index, rule in enumerate(ruled.rules(direction)):
        its = _of_family(rule, family)
        if its is None:
            continue
        said = tuple(f"{name}={value}" for name, value in rule.annotations)
        for found in _Rendering(its, ruled, options, family).rules():
            origin = f"{_title(ruled)} {direction} rule {index}"
            yield replace(found, origin=origin, comments=(*found.comments, *said))


def _of_family(rule: Rule, family: Family) -> Rule | None:
    """The rule with the networks of one family; None where it is not for that family.

    A side that names networks, and none of this family, is not; nor is one that excludes every address. A
    protocol that is wanted and excluded matches nothing; beside another one, which iptables takes only once,
    what is excluded says nothing.
    """
    if rule.ip_version not in (None, family) or (rule.protocol and rule.protocol == rule.not_protocol):
        return None
    sides = []
    for side in rule.sides:
        nets = tuple(net for net in side.nets if net.version == family)
        not_nets = tuple(net for net in side.not_nets if net.version == family)
        is_other = (side.nets and not nets) or (side.not_nets and not not_nets)
        if is_other or any(str(net) == _EVERYTHING[family] for net in not_nets):
            return None
        sides.append(replace(side, nets=nets, not_nets=not_nets))
    excluded = "" if rule.protocol else rule.not_protocol
    return replace(rule, source=sides[0], destination=sides[1], not_protocol=excluded)


class _Rendering:
    """The rules of iptables for one rule of one family."""

    def __init__(self, rule: Rule, ruled: Policy | Profile, options: RuleOptions, family: Family) -> None:
        self._rule = rule
        self._ruled = ruled
        self._options = options
        self._marks = options.marks
        self._family = family
        self._blocks: list[FelixRule] = []
        self._has_positive = False
        """True when a block has put its outcome into the first bit."""

    def rules(self) -> Iterator[FelixRule]:
        rule = self._rule
        ports, nets, not_nets = {}, {}, {}
        for end, side in zip(_ENDS, rule.sides, strict=True):
            ports[end] = self._port_matches(end, side)
            if len(ports[end]) > 1:
                self._one_of(ports.pop(end))
        for end, side in zip(_ENDS, rule.sides, strict=True):
            nets[end] = [f"--{end} {net}" for net in side.nets]
            if len(nets[end]) > 1:
                self._one_of([(it,) for it in nets.pop(end)])
        for end, side in zip(_ENDS, rule.sides, strict=True):
            not_nets[end] = side.not_nets
            if len(side.not_nets) + len(nets.get(end, ())) > 1:
                self._none_of(end, not_nets.pop(end))
        matches = [*([f"-p {rule.protocol}"] if rule.protocol else [])]
        for end, side in zip(_ENDS, rule.sides, strict=True):
            matches += nets.get(end, ())
            matches += (self._in_set(it, end) for it in selector_sets(side))
            matches += (it for found in ports.get(end, ()) for it in found if not it.startswith("-p "))
        matches += self._icmp("", rule.icmp)
        matches += [f"! -p {rule.not_protocol}"] if rule.not_protocol else []
        for end, side in zip(_ENDS, rule.sides, strict=True):
            matches += (f"! --{end} {net}" for net in not_nets.get(end, ()))
            matches += [self._in_set(SetId(side.not_selector), end, "! ")] if side.not_selector else []
            split = _split(side.not_ports.ranges)
            matches += (f"-m multiport ! --{end}-ports {','.join(map(str, it))}" for it in split)
            matches += (self._in_port_set(it, end, "! ") for it in port_sets(rule, side, side.not_ports))
        matches += self._icmp("! ", rule.not_icmp)
        if self._blocks:
            matches.append(mark_is_set(self._marks.scratch0))
        yield from self._blocks
        yield from self._verdict(tuple(matches))

    def _verdict(self, matches: tuple[str, ...]) -> Iterator[FelixRule]:
        """Mark what matches, and do with what is marked as the rule says."""
        action, deny = self._rule.action, self._options.deny
        if action == "Log":
            yield FelixRule(f'LOG --log-prefix "{self._log_prefix()}: " --log-level 5', matches)
            return
        mark, then = {
            "Allow": (self._marks.accept, "RETURN"),
            "Pass": (self._marks.passed, "RETURN"),
            "Deny": (self._marks.drop, deny),
        }[action]
        yield FelixRule(set_mark(mark), matches)
        yield FelixRule(then, (mark_is_set(mark),))

    def _log_prefix(self) -> str:
        """The prefix with tier, kind, name and namespace in the places that ask for them."""
        ruled = self._ruled
        if isinstance(ruled, Policy):
            name = ruled.id.name
            full = "/".join(filter(None, (ruled.id.namespace, name)))
            values = {"%t": ruled.tier, "%k": short_kind(ruled.id.kind), "%n": name, "%p": full}
        else:
            values = {"%t": "", "%k": "pro", "%n": ruled.name, "%p": ruled.name}
        prefix = self._options.felix.log_prefix or "calico-packet"
        return _SPECIFIER.sub(lambda found: values[found[0]], prefix)

    def _port_matches(self, end: str, side: Side) -> list[tuple[str, ...]]:
        """The matches of which one must match for a side's ports; none where it names none."""
        protocol = [f"-p {self._rule.protocol}"] if self._rule.protocol else []
        numbers = [
            (*protocol, f"-m multiport --{end}-ports {','.join(map(str, split))}")
            for split in _split(side.ports.ranges)
        ]
        names = [(self._in_port_set(it, end),) for it in port_sets(self._rule, side, side.ports)]
        return [*numbers, *names]

    def _one_of(self, alternatives: Sequence[tuple[str, ...]]) -> None:
        """A block that leaves the first bit set only if one of these matches, and all blocks before did."""
        marks = self._marks
        if not self._blocks:
            self._blocks.append(FelixRule(set_masked_mark(0, marks.scratch0 | marks.scratch1)))
        bit = marks.scratch1 if self._has_positive else marks.scratch0
        self._blocks += (FelixRule(set_mark(bit), matches) for matches in alternatives)
        if self._has_positive:
            self._blocks.append(FelixRule(clear_mark(marks.scratch0), (mark_is_clear(bit),)))
        self._has_positive = True

    def _none_of(self, end: str, nets: Iterable[IPNetwork]) -> None:
        """A block that clears the first bit if one of these matches."""
        marks = self._marks
        if not self._blocks:
            both = marks.scratch0 | marks.scratch1
            self._blocks.append(FelixRule(set_masked_mark(marks.scratch0, both)))
        self._blocks += (FelixRule(clear_mark(marks.scratch0), (f"--{end} {net}",)) for net in nets)

    def _in_set(self, set_id: SetId, end: str, negation: str = "") -> str:
        return f"-m set {negation}--match-set {set_id.name(self._family)} {_ENDS[end]}"

    def _in_port_set(self, set_id: SetId, end: str, negation: str = "") -> str:
        return f"{self._in_set(set_id, end, negation)},{_ENDS[end]}"

    def _icmp(self, negation: str, icmp: Icmp | None) -> list[str]:
        if icmp is None:
            return []
        module, option = ("icmp", "--icmp-type") if self._family == 4 else ("icmp6", "--icmpv6-type")
        code = "" if icmp.code is None else f"/{icmp.code}"
        return [f"-m {module} {negation}{option} {icmp.type}{code}"]


def _split(ranges: Iterable[PortRange]) -> list[list[PortRange]]:
    """Ports in groups that one multiport match can have."""
    groups: list[list[PortRange]] = []
    free = 0
    for it in ranges:
        slots = 1 if it.first == it.last else 2
        if slots > free:
            groups.append([])
            free = PORT_SLOTS_MAX
        groups[-1].append(it)
        free -= slots
    return groups
