"""The dispatch chains lead a packet by its device to the chains of the endpoint there.

With many endpoints a chain of all devices would be long: they are divided by the first character in which
their names differ, and each part of more than one has a chain of its own. A pod's device that is no
endpoint's is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, takewhile
from typing import NamedTuple

from calico.felix import endpoint_chains as endpoints
from calico.felix.names import limited
from calico.felix.options import RuleOptions
from calico.felix.rules import FelixRule, chain
from fabric.netstate.objects import Family, NetState
from fabric.netstate.rules import Table

FROM_WORKLOAD, TO_WORKLOAD = "cali-from-wl-dispatch", "cali-to-wl-dispatch"
FROM_HOST, TO_HOST = "cali-from-host-endpoint", "cali-to-host-endpoint"
FROM_HOST_FORWARD, TO_HOST_FORWARD = "cali-from-hep-forward", "cali-to-hep-forward"
ANY_DEVICE = "any-interface-at-all"
"""The device in the names of the chains of a host endpoint for all devices (`*`)."""
_HOST: tuple[tuple[Table, str, str, str], ...] = (
    ("filter", FROM_HOST, "--in-interface", endpoints.FROM_HOST),
    ("filter", TO_HOST, "--out-interface", endpoints.TO_HOST),
    ("filter", FROM_HOST_FORWARD, "--in-interface", endpoints.FROM_HOST_FORWARD),
    ("filter", TO_HOST_FORWARD, "--out-interface", endpoints.TO_HOST_FORWARD),
    ("mangle", FROM_HOST, "--in-interface", endpoints.FROM_HOST),
    ("mangle", TO_HOST, "--out-interface", endpoints.TO_HOST),
    ("raw", FROM_HOST, "--in-interface", endpoints.FROM_HOST),
    ("raw", TO_HOST, "--out-interface", endpoints.TO_HOST),
)


class Way(NamedTuple):
    """A rule's way out of a dispatch chain: to the chain of a device, or to that of a part."""

    start: str
    """The device, or what the names of all the part's devices begin with."""
    part: str = ""
    """Empty for a device."""


Ways = Mapping[str, tuple[Way, ...]]
"""By part: the character that its devices differ in, and empty for the root."""


def divided(devices: Iterable[str]) -> Ways:
    """Divide devices by the first character in which they differ: the root's ways, and those of each part."""
    names = sorted(set(devices))
    ends = zip(names[0], names[-1], strict=False) if names else ()
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], ends))
    found: dict[str, tuple[Way, ...]] = {}
    root = []
    for start, group in groupby(names, key=lambda name: name[: common + 1]):
        its = tuple(map(Way, group))
        if len(its) == 1:
            root.append(its[0])
            continue
        root.append(Way(start, start[common:]))
        found[start[common:]] = its
    return {**found, "": tuple(root)}


def workload_dispatch(part: str, ways: Iterable[Way], options: RuleOptions, family: Family) -> NetState:
    """The two chains of a part for pods' devices: they follow from its ways alone."""
    end = FelixRule(options.deny, comments=("Unknown interface",))
    return frozenset(
        chain("filter", _name(root, part), [*_rules(root, option, prefix, ways), end], family)
        for root, option, prefix in (
            (FROM_WORKLOAD, "--in-interface", endpoints.FROM_WORKLOAD),
            (TO_WORKLOAD, "--out-interface", endpoints.TO_WORKLOAD),
        )
    )


def host_dispatch(devices: Iterable[str], options: RuleOptions, family: Family) -> NetState:
    """The chains for host endpoints' devices; `ANY_DEVICE` among them is for all that have no other."""
    ways = divided({*devices} - {ANY_DEVICE})
    has_default = ANY_DEVICE in devices
    found = set()
    for table, root, option, prefix in _HOST:
        last = [FelixRule(limited(prefix, ANY_DEVICE), is_goto=True)] if has_default else []
        if has_default and root == TO_HOST:
            last = [*options.each_device(_to_workload), *last]
        for part, its in ways.items():
            rules = (*_rules(root, option, prefix, its), *([] if part else last))
            found.add(chain(table, _name(root, part), rules, family))
    return frozenset(found)


def _name(root: str, part: str) -> str:
    return limited(f"{root}-", part) if part else root


def _rules(root: str, option: str, prefix: str, ways: Iterable[Way]) -> Iterator[FelixRule]:
    for way in ways:
        target = _name(root, way.part) if way.part else limited(prefix, way.start)
        yield FelixRule(target, (f"{option} {way.start}{'+' * bool(way.part)}",), is_goto=True)


def _to_workload(device: str) -> FelixRule:
    said = "Skip egress WHEP policy for traffic to local workload"
    return FelixRule("RETURN", (f"--out-interface {device}",), (said,))
