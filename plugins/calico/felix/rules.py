"""Felix's rules for iptables, in Felix's words and in iptables-save's, with the hashes in their comments.

A rule carries a hash over its chain up to it: SHA-224 of the chain's name, then for each rule SHA-224 of the
hash before and of the rule as Felix appends it, with HASH in the place of the comment. 16 characters of it in
base64 are what a real node has to the letter: a rule can be looked up by its comment.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import ip_network

from fabric.netstate.objects import Chain, Family, Jump, Rule
from fabric.netstate.rules import Table

ORIGIN = "felix"
_HASH_BYTES = 12
"""Sixteen characters in base64."""
_HASH_PLACE = "HASH-OF-THE-RULE"
_FRAMES_MAX = 4096
"""How many rules are remembered as they read without their hashes: most stand in many endpoints' chains."""
_COMMENT_LENGTH_MAX = 255
"""Linux' limit of a comment, without its end."""
_UNSAFE = re.compile(r"[^\w @%+=:,./-]", re.ASCII)
_HEADS = {
    "--source": "-s",
    "--destination": "-d",
    "--in-interface": "-i",
    "--out-interface": "-o",
    "-p": "-p",
}
"""Matches of iptables' own, in the order and the words of iptables-save, which prints them first."""
_PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "132": "sctp", "136": "udplite"}
_WORDS = {
    "--source-ports": "--sports",
    "--destination-ports": "--dports",
    "--set-mark": "--set-xmark",
    "-m rpfilter --invert --validmark": "-m rpfilter --validmark --invert",
    "--mark 0/": "--mark 0x0/",
    "--set-xmark 0/": "--set-xmark 0x0/",
    "-j NOTRACK": "-j CT --notrack",
}


@dataclass(frozen=True, slots=True)
class FelixRule:
    """A rule: its matches, and its action."""

    action: str
    """`MASQUERADE --random-fully`, or a chain's name; empty for none."""
    matches: tuple[str, ...] = ()
    """In the order and the words in which Felix writes them: `-p tcp`, `-m set --match-set … src`."""
    comments: tuple[str, ...] = ()
    is_goto: bool = False
    origin: str = ORIGIN

    def __str__(self) -> str:
        """The rule as Felix appends it, behind the place of its hash."""
        action = [f"--{'goto' if self.is_goto else 'jump'} {self.action}"] if self.action else []
        return " ".join((*map(_comment, self.comments), *self.matches, *action))

    def saved(self, hashed: str) -> str:
        """The rule as iptables-save prints it: devices and protocol come before the comment."""
        comments = map(_comment, (f"cali:{hashed}", *self.comments))
        heads = [match for match in self.matches if _option(match) in _HEADS]
        rest = [_reworded(match) for match in self.matches if _option(match) not in _HEADS]
        ordered = sorted(heads, key=lambda match: list(_HEADS).index(_option(match)))
        action = [_reworded(f"-{'g' if self.is_goto else 'j'} {self.action}")] if self.action else []
        return " ".join((*map(_head, ordered), *comments, *rest, *action))


def chain(table: Table, name: str, rules: Iterable[FelixRule], family: Family) -> Chain:
    """A chain of Felix's own; what stands in it is whose origin each rule says."""
    return Chain(table, name, tuple(_hashed(name, rules)), family)


def jump(table: Table, name: str, target: str, family: Family, *, is_first: bool = True) -> Jump:
    """The rule by which a chain of the kernel's own leads to one of Felix's, at its top or at its end."""
    return hook(table, name, FelixRule(target), family, is_first=is_first)


def hook(table: Table, name: str, rule: FelixRule, family: Family, *, is_first: bool, order: int = 0) -> Jump:
    """A rule of Felix's in a chain of the kernel's own, at its top or at its end."""
    (hashed,) = _hashed(name, [rule])
    return Jump(table, name, replace(hashed, origin=""), "insert" if is_first else "append", family, order)


def _hashed(name: str, rules: Iterable[FelixRule]) -> Iterator[Rule]:
    """The rules of a chain, each with its hash in its first comment."""
    digest = hashlib.sha224(name.encode()).digest()
    for rule in rules:
        appended, before, after, action = _frame(rule)
        digest = hashlib.sha224(digest + f"-A {name} HASH {appended}".encode()).digest()
        text = base64.urlsafe_b64encode(digest[:_HASH_BYTES]).decode()
        yield Rule(f"{before}{text}{after}", action, rule.origin)


@lru_cache(maxsize=_FRAMES_MAX)
def _frame(rule: FelixRule) -> tuple[str, str, str, str]:
    """A rule as Felix appends it; then its match as saved, before and after the hash, and its action."""
    saved = Rule.parse(rule.saved(_HASH_PLACE))
    before, _, after = saved.match.partition(_HASH_PLACE)
    return str(rule), before, after, saved.action


def _comment(text: str) -> str:
    return f'-m comment --comment "{_UNSAFE.sub("_", text)[:_COMMENT_LENGTH_MAX]}"'


def _option(match: str) -> str:
    """The option that a match begins with, without the `!` before it."""
    return match.removeprefix("! ").split(" ", 1)[0]


def _head(match: str) -> str:
    option, value = match.removeprefix("! ").split(" ", 1)
    if option in ("--source", "--destination"):
        value = str(ip_network(value))
    return f"{'! ' * match.startswith('! ')}{_HEADS[option]} {_PROTOCOLS.get(value, value)}"


def _reworded(text: str) -> str:
    for felix, saved in _WORDS.items():
        text = text.replace(felix, saved)
    return text
