"""Rules and sets as frozen values: what `iptables-save` and `ipset save` print of one owner.

`fabric.netstate.objects` names them all; they stand here because nothing of them is a device's.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

Family = Literal[4, 6]
Table = Literal["filter", "nat", "mangle", "raw"]


@dataclass(frozen=True, slots=True)
class IpSet:
    """An ipset with all its members, in the words of `ipset save`."""

    name: str
    type: str = "hash:net"
    family: Family = 4
    members: frozenset[str] = frozenset()

    @property
    def key(self) -> Hashable:
        return ("ipset", self.name)

    def __str__(self) -> str:
        return f"ipset {self.name} {self.type} family inet{'6' * (self.family == 6)} {sorted(self.members)}"


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of our own with all its rules in order.

    A rule is written exactly as `iptables-save` prints it, without `-A CHAIN`: what is read back
    must equal it to the letter, or drift would be seen where there is none.
    """

    table: Table
    name: str
    rules: tuple[str, ...] = ()
    family: Family = 4

    @property
    def key(self) -> Hashable:
        return ("chain", self.family, self.table, self.name)

    def __str__(self) -> str:
        head = f"chain {self.table} {self.name}{_family(self.family)}"
        return head + "".join(f"\n  -A {self.name} {rule}" for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Jump:
    """A rule of ours in a built-in chain: inserted at its top, or appended at its end."""

    table: Table
    chain: str
    rule: str
    """As `iptables-save` prints it, without `-A CHAIN`."""
    position: Literal["insert", "append"] = "append"
    family: Family = 4

    @property
    def key(self) -> Hashable:
        return ("jump", self.family, self.table, self.chain, self.rule)

    def __str__(self) -> str:
        flag = "-A" if self.position == "append" else "-I"
        return f"rule {self.table} {flag} {self.chain} {self.rule}{_family(self.family)}"


def _family(family: Family) -> str:
    return " (IPv6)" if family == 6 else ""
