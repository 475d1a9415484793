"""Groups of policies: neighbours in a tier with one selector have one chain that leads to all of them.

So endpoints with the same policies share the jumps to them. A group's name is a hash over what is in it, as
Felix (3.28 and later) computes it; a policy without such a neighbour is led to by itself.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from calico.calc.node_view import PolicyRef
from calico.calc.objects import Direction, PolicyId
from calico.felix.names import LENGTH_MAX, rules_chain
from calico.felix.options import RuleOptions, mark_is_clear
from calico.felix.rules import FelixRule, chain
from fabric.netstate.objects import Chain, Family
from fabric.netstate.rules import Table

INBOUND, OUTBOUND = "cali-gi-", "cali-go-"
_RETURN_STRIDE = 5
"""Jumps between two looks at whether a policy has decided."""


@dataclass(frozen=True, slots=True)
class PolicyGroup:
    """A group: two or more policies of one selector, in their order."""

    direction: Direction
    selector: str
    policies: tuple[PolicyId, ...]

    @property
    def chain_name(self) -> str:
        prefix, direction = (INBOUND, "inbound") if self.direction == "ingress" else (OUTBOUND, "outbound")
        lines = [self.selector, direction, str(len(self.policies)), *map(_text, self.policies)]
        digest = hashlib.sha3_224("".join(f"{line}\n" for line in lines).encode()).digest()
        return f"{prefix}{base64.urlsafe_b64encode(digest).decode()}"[:LENGTH_MAX]


def grouped(policies: Iterable[PolicyRef], direction: Direction) -> Iterator[PolicyGroup | PolicyId]:
    """The policies of one tier in their order, as groups where neighbours have one selector."""
    for selector, found in groupby(policies, key=lambda it: it.selector):
        ids = tuple(it.id for it in found)
        yield PolicyGroup(direction, selector, ids) if len(ids) > 1 else ids[0]


def group_chain_of(table: Table, group: PolicyGroup, options: RuleOptions, family: Family) -> Chain:
    """The chain of a group: a policy is asked where none before it has accepted or passed."""
    return chain(table, group.chain_name, [*_rules(group, options)], family)


def _rules(group: PolicyGroup, options: RuleOptions) -> Iterator[FelixRule]:
    decided = options.marks.accept | options.marks.passed
    for index, policy in enumerate(group.policies):
        is_first = index % _RETURN_STRIDE == 0
        if index and is_first:
            yield FelixRule("RETURN", (f"-m mark ! --mark 0/{decided:#x}",), ("Return on verdict",))
        matches = () if is_first else (mark_is_clear(decided),)
        yield FelixRule(rules_chain(policy, group.direction), matches)


def _text(policy: PolicyId) -> str:
    return f"{{Name: {policy.name}, Namespace: {policy.namespace}, Kind: {policy.kind}}}"
