"""BGPFilters in BIRD's language: one function for each direction, called by sessions that name the filter.

    function 'bgp_no-lab_importFilterV4'(bool is_same_as) {
        if is_same_as && net ~ 10.99.0.0/16 then { reject; }
    }

A rule accepts or rejects, and ends the filter with it; a route that no rule matches returns to the session,
which goes on as if there were no filter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from calico.bgp import priorities
from calico.bgp.peers import FAMILIES
from calico.resources.bgp_filters import BGPFilter, FilterRule
from calico.resources.notation import is_community
from calico.resources.readers import as_number
from calico.resources.refusals import Refusal
from fabric.bird.language import NAME_LENGTH_MAX, Function, Unwritable, block, name, string
from fabric.netstate.objects import Family

Direction = Literal["import", "export"]
DIRECTIONS: tuple[Direction, Direction] = ("import", "export")

_OPERATORS = {"Equal": "=", "NotEqual": "!=", "In": "~", "NotIn": "!~"}
_LONGEST_PREFIX: Mapping[Family, int] = {4: 32, 6: 128}


def functions(filter_: BGPFilter) -> Iterator[Function]:
    """The functions of a filter; Unwritable when a rule holds what BIRD has no words for."""
    for direction in DIRECTIONS:
        for family in FAMILIES:
            rules = _rules(filter_, direction, family)
            if rules:
                parameters = "bool is_same_as" if _asks_for_type(rules) else ""
                body = "\n".join(_statement(rule, family) for rule in rules)
                yield Function(_name(filter_, direction, family), parameters, body)


def call(filter_: BGPFilter, direction: Direction, family: Family, *, is_internal: bool) -> str:
    """The statement that asks the filter; "" where it has no rule for this direction and family."""
    rules = _rules(filter_, direction, family)
    if not rules:
        return ""
    argument = str(is_internal).lower() if _asks_for_type(rules) else ""
    return f"{name(_name(filter_, direction, family))}({argument});"


def adding(community: str) -> str:
    """The statement that puts a community on a route, `a:b` or the large `a:b:c`."""
    return f"{_attribute(community)}.add({_tuple(community)});"


def _rules(filter_: BGPFilter, direction: Direction, family: Family) -> tuple[FilterRule, ...]:
    spec = filter_.spec
    if direction == "import":
        return spec.import_v4 if family == 4 else spec.import_v6
    return spec.export_v4 if family == 4 else spec.export_v6


def _name(filter_: BGPFilter, direction: Direction, family: Family) -> str:
    """`bgp_<filter>_importFilterV4`; of a long name the beginning, and a hash of all of it."""
    frame = f"bgp_{{}}_{direction}FilterV{family}"
    room = NAME_LENGTH_MAX - len(frame.format(""))
    own = filter_.name
    if len(own) > room:
        digest = hashlib.sha256(own.encode()).hexdigest()[:8]
        own = f"{own[: room - 9]}_{digest}"
    return frame.format(own)


def _asks_for_type(rules: Sequence[FilterRule]) -> bool:
    return any(rule.peer_type for rule in rules)


def _statement(rule: FilterRule, family: Family) -> str:
    body = (*_operations(rule.operations), f"{rule.action.lower()};")
    conditions = " && ".join(_conditions(rule, family))
    if not conditions:
        return "\n".join(body)
    return block(f"if {conditions} then", body)


def _conditions(rule: FilterRule, family: Family) -> Iterator[str]:
    if rule.peer_type:
        yield "is_same_as" if rule.peer_type == "iBGP" else "!is_same_as"
    if rule.cidr is not None:
        yield f"net {_OPERATORS[rule.match_operator]} {_prefixes(rule, family)}"
    if rule.source:
        yield "source = RTS_BGP"
    if rule.interface:
        yield f"ifname ~ {string(rule.interface, 'interface pattern')}"
    for community in (rule.communities or {}).get("values", ()):
        yield f"{_tuple(community)} ~ {_attribute(community)}"
    if rule.as_path_prefix:
        yield f"bgp_path ~ [= {' '.join(map(str, rule.as_path_prefix))} * =]"
    if rule.priority is not None:
        yield f"bgp_local_pref = {priorities.preference(rule.priority)}"


def _prefixes(rule: FilterRule, family: Family) -> str:
    bounds = rule.prefix_length
    if bounds is None or rule.cidr is None:
        return str(rule.cidr)
    low = max(rule.cidr.prefixlen, bounds.min or 0)
    high = _LONGEST_PREFIX[family] if bounds.max is None else min(_LONGEST_PREFIX[family], bounds.max)
    return f"[ {rule.cidr}{{{low},{high}}} ]"


def _operations(operations: Sequence[Any]) -> Iterator[str]:
    for operation in operations:
        match operation:
            case {"addCommunity": {"value": community}}:
                yield adding(community)
            case {"prependASPath": {"prefix": [*numbers]}}:
                # Each one is put before those that were, so that the last goes first.
                yield from (f"bgp_path.prepend({_as_number(number)});" for number in reversed(numbers))
            case {"setPriority": {"value": int(value)}}:
                yield f"bgp_local_pref = {priorities.preference(value)};"
            case _:
                raise Unwritable(f"{operation!r} is no operation that a BGPFilter can have")


def _as_number(value: object) -> str:
    refusals: list[Refusal] = []
    number = as_number(value, "", refusals)
    if refusals:
        raise Unwritable(f"{value!r} is no AS number")
    return str(number)


def _tuple(community: object) -> str:
    if not is_community(community):
        raise Unwritable(f"{community!r} is no community: aa:nn, or aa:nn:mm for a large one")
    return f"({', '.join(community.split(':'))})"


def _attribute(community: object) -> str:
    return "bgp_community" if str(community).count(":") == 1 else "bgp_large_community"
