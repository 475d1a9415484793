"""Felix's rules for iptables, in Felix's words and in iptables-save's, with the hashes in their comments.

A rule carries a hash over its chain up to it: SHA-224 of the chain's name, then for each rule SHA-224 of the
hash before and of the rule as Felix appends it, with HASH in the place of the comment. 16 characters of it in
base64 are what a real node has to the letter: a rule can be looked up by its comment.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fabric.netstate.objects import Chain, Family, Jump
from fabric.netstate.rules import Table

ORIGIN = "felix"
_HASH_LENGTH = 16


@dataclass(frozen=True, slots=True)
class FelixRule:
    """A rule: its matches, and its action (`MASQUERADE --random-fully`, or a chain's name)."""

    action: str
    matches: tuple[str, ...] = ()
    """In the order and the words in which Felix writes them: `-p tcp`, `-m set --match-set … src`."""
    comments: tuple[str, ...] = ()
    is_goto: bool = False
    origin: str = ORIGIN

    def __str__(self) -> str:
        """The rule as Felix appends it, behind the place of its comment.

        Sets come before the protocol and the device, other matches after the device.
        """
        early = [match for match in self.matches if match.startswith("-m set ")]
        late = [match for match in self.matches if match not in early]
        middle = [f"-p {self.protocol}"] if self.protocol else []
        middle += [f"--out-interface {self.out_interface}"] if self.out_interface else []
        return " ".join((*early, *middle, *late, f"--jump {self.action}"))

    def saved(self, hashed: str) -> str:
        """The rule as iptables-save prints it: devices and protocol come before the comment."""
        head = [f"-o {self.out_interface}"] if self.out_interface else []
        head += [f"-p {self.protocol}"] if self.protocol else []
        return " ".join((*head, f'-m comment --comment "cali:{hashed}"', *self.matches, f"-j {self.action}"))


def chain(table: Table, name: str, rules: Sequence[FelixRule], family: Family) -> Chain:
    """A chain of Felix's own."""
    found = (rule.saved(hashed) for rule, hashed in zip(rules, _hashes(name, rules), strict=True))
    return Chain.parse(table, name, found, family, ORIGIN)


def jump(table: Table, name: str, target: str, family: Family, *, is_first: bool = True) -> Jump:
    """The rule by which a chain of the kernel's own leads to one of Felix's, at its top or at its end."""
    rule = FelixRule(target)
    (hashed,) = _hashes(name, [rule])
    return Jump.parse(table, name, rule.saved(hashed), "insert" if is_first else "append", family)


def _hashes(name: str, rules: Sequence[FelixRule]) -> Iterator[str]:
    digest = hashlib.sha224(name.encode()).digest()
    for rule in rules:
        digest = hashlib.sha224(digest + f"-A {name} HASH {rule}".encode()).digest()
        yield base64.urlsafe_b64encode(digest).decode()[:_HASH_LENGTH]
