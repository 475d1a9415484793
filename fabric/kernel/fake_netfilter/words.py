"""The words of a rule, as `iptables-save` prints them, grouped: what stands before any -m, and each -m's own.

Nothing is guessed: a word that no group is known to have is an `UnknownRule`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fabric.kernel.fake_netfilter.packets import UnknownRule

_WORD = re.compile(r'((?:[^\s"]|"(?:\\.|[^"\\])*")+)')
_QUOTED = re.compile(r'"((?:\\.|[^"\\])*)"')
_ESCAPED = re.compile(r"\\(.)")


@dataclass(slots=True)
class Clause:
    """A match or a target with its options, each with its values and whether `!` stood before it."""

    name: str
    options: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """Of an option with two values these are joined by a space."""

    def value(self, option: str) -> str | None:
        return self.options[option][0] if option in self.options else None


Arities = Mapping[str, Mapping[str, int]]
"""By the name of a clause: its options, and how many values each has."""


def split(text: str) -> list[str]:
    """Return the words of a rule; what is quoted is one word, without its quotes."""
    return [_QUOTED.sub(lambda it: _ESCAPED.sub(r"\1", it[1]), word) for word in _WORD.findall(text)]


def clauses(words: Sequence[str], arities: Arities, first: str, text: str) -> list[Clause]:
    """Group the words: a clause called `first`, then one for each `-m`, with the options of `arities`."""
    found = [Clause(first)]
    head = found[0]
    rest = iter(words)
    inverted = False
    for word in rest:
        if word == "!":
            inverted = True
            continue
        if word == "-m":
            found.append(Clause(_next(rest, text)))
            if found[-1].name not in arities:
                raise UnknownRule(f"{text}: match {found[-1].name!r} is not known to the model")
            continue
        clause = _owner(word, (found[-1], head), arities)
        if clause is None or word in clause.options:
            raise UnknownRule(f"{text}: {word!r} is not known to the model here")
        count = arities[clause.name][word]
        values = [_next(rest, text) for _ in range(count)]
        clause.options[word] = (" ".join(values), inverted)
        inverted = False
    if inverted:
        raise UnknownRule(f"{text}: nothing follows the last '!'")
    return found


def masked(text: str) -> tuple[int, int]:
    """Read `value/mask`, or a value of all 32 bits."""
    value, _, mask = text.partition("/")
    return int(value, 0), int(mask, 0) if mask else 0xFFFFFFFF


def _owner(word: str, candidates: Sequence[Clause], arities: Arities) -> Clause | None:
    return next((it for it in candidates if word in arities[it.name]), None)


def _next(rest: Iterator[str], text: str) -> str:
    try:
        return next(rest)
    except StopIteration:
        raise UnknownRule(f"{text}: a value is missing at the end") from None
