"""The dispatch chains lead a packet by its device to the chains of the endpoint there.

With many endpoints a chain of all devices would be long: they are divided by the first character in which
their names differ, and each part of more than one has a chain of its own. A pod's device that is no
endpoint's is dropped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile

from calico.felix import endpoint_chains as endpoints
from calico.felix.names import limited
from calico.felix.options import RuleOptions
from calico.felix.rules import FelixRule, chain
from fabric.netstate.objects import Chain, Family, NetState
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


def workload_dispatch(devices: Iterable[str], options: RuleOptions, family: Family) -> Mapping[str, NetState]:
    """The chains for pods' devices, in parts: the roots, and those of each first character."""
    end = (FelixRule(options.deny, comments=("Unknown interface",)),)
    names = sorted(set(devices))
    parts: dict[str, set[Chain]] = defaultdict(set)
    for root, option, prefix in (
        (FROM_WORKLOAD, "--in-interface", endpoints.FROM_WORKLOAD),
        (TO_WORKLOAD, "--out-interface", endpoints.TO_WORKLOAD),
    ):
        for part, name, rules in _tree(root, option, prefix, names):
            parts[part].add(chain("filter", name, [*rules, *end], family))
    return {part: frozenset(chains) for part, chains in parts.items()}


def host_dispatch(devices: Iterable[str], options: RuleOptions, family: Family) -> NetState:
    """The chains for host endpoints' devices; `ANY_DEVICE` among them is for all that have no other."""
    names = sorted({*devices} - {ANY_DEVICE})
    has_default = ANY_DEVICE in devices
    found = set()
    for table, root, option, prefix in _HOST:
        last = [FelixRule(limited(prefix, ANY_DEVICE), is_goto=True)] if has_default else []
        if has_default and root == TO_HOST:
            last = [*options.each_device(_to_workload), *last]
        for _, name, rules in _tree(root, option, prefix, names):
            found.add(chain(table, name, [*rules, *(last if name == root else [])], family))
    return frozenset(found)


def _tree(
    root: str, option: str, prefix: str, names: Sequence[str]
) -> Iterator[tuple[str, str, list[FelixRule]]]:
    """Each chain as (part, name, rules), the root last."""
    ends = zip(names[0], names[-1], strict=False) if names else ()
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], ends))
    by_start: dict[str, list[str]] = defaultdict(list)
    for name in names:
        by_start[name[: common + 1]].append(name)
    rules = []
    for start, its in by_start.items():
        if len(its) == 1:
            rules.append(_goto(option, prefix, its[0]))
            continue
        branch = limited(f"{root}-", start[common:])
        rules.append(FelixRule(branch, (f"{option} {start}+",), is_goto=True))
        yield start[common:], branch, [_goto(option, prefix, name) for name in its]
    yield "", root, rules


def _to_workload(device: str) -> FelixRule:
    said = "Skip egress WHEP policy for traffic to local workload"
    return FelixRule("RETURN", (f"--out-interface {device}",), (said,))


def _goto(option: str, prefix: str, device: str) -> FelixRule:
    return FelixRule(limited(prefix, device), (f"{option} {device}",), is_goto=True)
