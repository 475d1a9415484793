"""Calico's selectors: which endpoints, nodes or namespaces an expression over labels means.

    app == 'web' && role in {"db", "cache"} || !has(tier) && zone starts with "eu-"

`||` binds weakest, then `&&`, then `!`; parentheses group. A label that is absent fails every test but
`!=`, `not in` and `!has`. The empty text is `all()`. `str` of a selector is Calico's canonical text: two
texts that differ in blanks, quotes or the order of a set are one selector, with one hash and one IP set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from calico.selector_tokens import BadSelector, Token, bad, tokens

__all__ = ["ALL", "And", "Always", "BadSelector", "Comparison", "Has", "Membership", "Not", "Or", "Selector"]

DEPTH_MAX = 100
"""Parentheses inside each other."""

Labels = Mapping[str, str]

_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "==": str.__eq__,
    "!=": str.__ne__,
    "contains": lambda have, want: want in have,
    "starts with": str.startswith,
    "ends with": str.endswith,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of a label with a value."""

    label: str
    operator: str
    """`==`, `!=`, `contains`, `starts with` or `ends with`."""
    value: str

    def matches(self, labels: Labels) -> bool:
        have = labels.get(self.label)
        return self.operator == "!=" if have is None else _TESTS[self.operator](have, self.value)

    def __str__(self) -> str:
        return f"{self.label} {self.operator} {_quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class Membership:
    """A comparison of a label with a set of values."""

    label: str
    values: tuple[str, ...]
    """Sorted, each once."""
    inside: bool = True

    def matches(self, labels: Labels) -> bool:
        have = labels.get(self.label)
        return not self.inside if have is None else (have in self.values) == self.inside

    def __str__(self) -> str:
        return f"{self.label} {'' if self.inside else 'not '}in {{{', '.join(map(_quoted, self.values))}}}"


@dataclass(frozen=True, slots=True)
class Has:
    label: str

    def matches(self, labels: Labels) -> bool:
        return self.label in labels

    def __str__(self) -> str:
        return f"has({self.label})"


@dataclass(frozen=True, slots=True)
class Always:
    """`all()`, and `global()`, which stands for cluster-wide objects where namespaces are selected."""

    word: str = "all"

    def matches(self, labels: Labels) -> bool:
        return True

    def __str__(self) -> str:
        return f"{self.word}()"


@dataclass(frozen=True, slots=True)
class Not:
    operand: Node

    def matches(self, labels: Labels) -> bool:
        return not self.operand.matches(labels)

    def __str__(self) -> str:
        return f"!{self.operand}"


@dataclass(frozen=True, slots=True)
class And:
    operands: tuple[Node, ...]
    """Two or more."""

    def matches(self, labels: Labels) -> bool:
        return all(operand.matches(labels) for operand in self.operands)

    def __str__(self) -> str:
        return f"({' && '.join(map(str, self.operands))})"


@dataclass(frozen=True, slots=True)
class Or:
    operands: tuple[Node, ...]
    """Two or more."""

    def matches(self, labels: Labels) -> bool:
        return any(operand.matches(labels) for operand in self.operands)

    def __str__(self) -> str:
        return f"({' || '.join(map(str, self.operands))})"


Node = Comparison | Membership | Has | Always | Not | And | Or


@dataclass(frozen=True, slots=True)
class Selector:
    """A parsed selector; equal selectors have equal canonical texts."""

    root: Node = Always()

    @staticmethod
    def parse(text: str) -> Selector:
        """Read an expression; BadSelector says what was expected and at which column."""
        return _parse(text)

    def matches(self, labels: Labels) -> bool:
        return self.root.matches(labels)

    def __str__(self) -> str:
        return str(self.root)


ALL = Selector()


@lru_cache(maxsize=4096)
def _parse(text: str) -> Selector:
    return _Parser(text).selector()


def _quoted(value: str) -> str:
    quote = "'" if '"' in value else '"'
    return f"{quote}{value}{quote}"


class _Parser:
    """Recursive descent: or → and → operation."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(tokens(text))
        self._at = 0
        self._depth = 0

    def selector(self) -> Selector:
        if self._peek() == "end":
            return ALL
        root = self._alternatives()
        self._take("end", "unexpected content at end of selector")
        return Selector(root)

    def _alternatives(self) -> Node:
        operands = [self._conjunction()]
        while self._peek() == "||":
            self._next()
            operands.append(self._conjunction())
        return operands[0] if len(operands) == 1 else Or(tuple(operands))

    def _conjunction(self) -> Node:
        operands = [self._operation()]
        while self._peek() == "&&":
            self._next()
            operands.append(self._operation())
        return operands[0] if len(operands) == 1 else And(tuple(operands))

    def _operation(self) -> Node:
        negated = False
        while self._peek() == "!":
            self._next()
            negated = not negated
        node = self._term()
        if negated and isinstance(node, Not):
            return node.operand  # Calico writes `!(!x)` as `!!x`, which it reads as x.
        return Not(node) if negated else node

    def _term(self) -> Node:
        token = self._next()
        if token.kind == "(":
            return self._group(token)
        if token.kind == "has":
            return Has(token.value)
        if token.kind in ("all", "global"):
            return Always(token.kind)
        if token.kind == "label":
            return self._condition(token.value)
        raise bad(self._text, token.column, "expected a label, has(), all(), ! or (")

    def _group(self, opening: Token) -> Node:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise bad(self._text, opening.column, f"more than {DEPTH_MAX} parentheses inside each other")
        node = self._alternatives()
        self._take(")", "expected )")
        self._depth -= 1
        return node

    def _condition(self, label: str) -> Node:
        operator = self._next()
        if operator.kind in ("in", "not in"):
            return Membership(label, self._set(), operator.kind == "in")
        if operator.kind not in _TESTS:
            raise bad(self._text, operator.column, f"expected an operator after label {label}")
        return Comparison(label, operator.kind, self._take("string", "expected string").value)

    def _set(self) -> tuple[str, ...]:
        self._take("{", "expected set literal")
        values = set()
        while self._peek() == "string":
            values.add(self._next().value)
            if self._peek() != ",":
                break
            self._next()
        self._take("}", "expected }")
        return tuple(sorted(values))

    def _peek(self) -> str:
        return self._tokens[self._at].kind

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _take(self, kind: str, complaint: str) -> Token:
        token = self._next()
        if token.kind != kind:
            raise bad(self._text, token.column, complaint)
        return token
