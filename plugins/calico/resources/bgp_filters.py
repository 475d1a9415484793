"""BGPFilter: which routes a BGPPeer takes and gives; the first rule that matches decides.

A route that no rule matches passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from calico.resources.envelope import Resource
from calico.resources.fields import key
from calico.resources.notation import COMMUNITY_FORM, is_community
from calico.resources.readers import (
    as_number,
    choice,
    document_of,
    interface_pattern,
    listed,
    nested,
    network,
    number,
    opaque,
)
from calico.resources.refusals import Refusal
from fabric.netstate.objects import Family, IPNetwork

OPERATORS = ("Equal", "NotEqual", "In", "NotIn")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixLength:
    """Bounds of a route's prefix length, both inclusive; None is open."""

    min: int | None = key("min", number(0, 128), default=None)
    max: int | None = key("max", number(0, 128), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterRule:
    """All conditions must hold; a rule without any matches every route."""

    cidr: IPNetwork | None = key("cidr", network, default=None)
    prefix_length: PrefixLength | None = key("prefixLength", nested(PrefixLength), default=None)
    match_operator: str = key("matchOperator", choice(*OPERATORS), default="")
    source: str = key("source", choice("RemotePeers"), default="")
    interface: str = key("interface", interface_pattern, default="")
    """May hold `*`."""
    peer_type: str = key("peerType", choice("eBGP", "iBGP"), default="")
    communities: Mapping[str, Any] | None = key("communities", document_of, default=None)
    as_path_prefix: tuple[int, ...] = key("asPathPrefix", listed(as_number), default=())
    priority: int | None = key("priority", number(0, 2**31 - 1), default=None)
    operations: tuple[Any, ...] = key("operations", listed(opaque), default=())
    action: str = key("action", choice("Accept", "Reject"))


def _rules(name: str) -> Any:
    return key(name, listed(nested(FilterRule)), default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class BGPFilterSpec:
    export_v4: tuple[FilterRule, ...] = _rules("exportV4")
    import_v4: tuple[FilterRule, ...] = _rules("importV4")
    export_v6: tuple[FilterRule, ...] = _rules("exportV6")
    import_v6: tuple[FilterRule, ...] = _rules("importV6")


@dataclass(frozen=True, slots=True, kw_only=True)
class BGPFilter(Resource):
    KIND: ClassVar[str] = "BGPFilter"
    SPEC: ClassVar[type] = BGPFilterSpec

    spec: BGPFilterSpec

    def refusals(self) -> list[Refusal]:
        spec = self.spec
        return [
            *_refusals("spec.exportV4", 4, spec.export_v4),
            *_refusals("spec.importV4", 4, spec.import_v4),
            *_refusals("spec.exportV6", 6, spec.export_v6),
            *_refusals("spec.importV6", 6, spec.import_v6),
        ]


def _refusals(path: str, family: Family, rules: tuple[FilterRule, ...]) -> Iterator[Refusal]:
    for index, rule in enumerate(rules):
        here = f"{path}[{index}]"
        if rule.cidr is not None and rule.cidr.version != family:
            yield Refusal(f"{here}.cidr", f"must be an IPv{family} subnet", rule.cidr)
        if rule.cidr is not None and not rule.match_operator:
            reason = f"must be given with cidr, one of: {', '.join(OPERATORS)}"
            yield Refusal(f"{here}.matchOperator", reason)
        if rule.cidr is None and rule.match_operator:
            yield Refusal(f"{here}.cidr", "CIDR must be specified with MatchOperator")
        if rule.cidr is None and rule.prefix_length is not None:
            yield Refusal(f"{here}.cidr", "CIDR must be specified with PrefixLength")
        yield from _lengths(f"{here}.prefixLength", rule)
        yield from _matched(f"{here}.communities", rule.communities)
        if rule.operations and rule.action != "Accept":
            yield Refusal(f"{here}.operations", "operations may only be used with action Accept")
        for place, operation in enumerate(rule.operations):
            yield from _operation(f"{here}.operations[{place}]", operation)


def _lengths(path: str, rule: FilterRule) -> Iterator[Refusal]:
    """A pattern that no route can match is a mistake, and BIRD takes none."""
    if rule.cidr is None or rule.prefix_length is None:
        return
    least, most = rule.prefix_length.min or 0, rule.prefix_length.max
    longest = rule.cidr.max_prefixlen
    if least > longest:
        yield Refusal(f"{path}.min", f"must be between 0 and {longest}", least)
    if most is not None and not max(least, rule.cidr.prefixlen) <= most <= longest:
        reason = f"must be at least min, and between {rule.cidr.prefixlen} and {longest} as cidr is"
        yield Refusal(f"{path}.max", reason, most)


def _matched(path: str, given: Mapping[str, Any] | None) -> Iterator[Refusal]:
    if given is None:
        return
    values = given.get("values")
    if not isinstance(values, list) or len(values) != 1:
        yield Refusal(f"{path}.values", "exactly one value is expected", values)
    elif not is_community(values[0]):
        yield Refusal(f"{path}.values[0]", COMMUNITY_FORM, values[0])


def _operation(path: str, operation: Any) -> Iterator[Refusal]:
    match operation:
        case {"addCommunity": {"value": value}} if len(operation) == 1:
            if not is_community(value):
                yield Refusal(f"{path}.addCommunity.value", COMMUNITY_FORM, value)
        case {"prependASPath": {"prefix": [_, *_] as numbers}} if len(operation) == 1:
            refusals: list[Refusal] = []
            for index, value in enumerate(numbers):
                as_number(value, f"{path}.prependASPath.prefix[{index}]", refusals)
            yield from refusals
        case {"setPriority": {"value": value}} if len(operation) == 1:
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31 - 1:
                yield Refusal(f"{path}.setPriority.value", "must be a whole number from 1 on", value)
        case _:
            yield Refusal(path, "must be one of: addCommunity, prependASPath, setPriority", operation)
