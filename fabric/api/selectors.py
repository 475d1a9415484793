"""Selectors say which objects a list, a watch or a controller means.

A label selector is a conjunction of requirements on labels, in the grammar of
k8s.io/apimachinery/pkg/labels (`a=b, c!=d, e in (f,g), h notin (i), j, !k, n>3`). A field selector
is a conjunction of `path=value` and `path!=value` on fields of the object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fabric.api import names
from fabric.api.objects import Object
from fabric.errors import BadRequest

_TOKEN = re.compile(r"\s*(!=|==|=|<|>|!|\(|\)|,|[^\s!=<>(),]+)")
_OPERATORS = {"=": "In", "==": "In", "!=": "NotIn", "in": "In", "notin": "NotIn", ">": "Gt", "<": "Lt"}


@dataclass(frozen=True, slots=True)
class Requirement:
    """A condition on a label; `operator` is one of In, NotIn, Exists, DoesNotExist, Gt, Lt."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        if value is None:
            return self.operator in ("NotIn", "DoesNotExist")
        if self.operator in ("In", "NotIn"):
            return (value in self.values) == (self.operator == "In")
        if self.operator in ("Gt", "Lt"):
            return _compares(value, self.operator, self.values)
        return self.operator == "Exists"

    def __str__(self) -> str:
        if self.operator in ("Exists", "DoesNotExist"):
            return "!" * (self.operator == "DoesNotExist") + self.key
        if self.operator in ("Gt", "Lt"):
            return f"{self.key}{'>' if self.operator == 'Gt' else '<'}{self.values[0]}"
        if len(self.values) == 1:
            return f"{self.key}{'=' if self.operator == 'In' else '!='}{self.values[0]}"
        return f"{self.key} {self.operator.lower()} ({','.join(sorted(self.values))})"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements must hold; none matches everything."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False
    """True for the selector that matches no object (an absent selector in an object)."""

    @classmethod
    def parse(cls, text: str) -> LabelSelector:
        """Read the query-string form; BadRequest says what cannot be read."""
        return cls(tuple(_LabelParser(text).requirements())) if text.strip() else EVERYTHING

    @classmethod
    def from_object(cls, selector: Mapping[str, Any] | None) -> LabelSelector:
        """Read metav1.LabelSelector: absent selects nothing, empty selects everything."""
        if selector is None:
            return NOTHING
        pairs = selector.get("matchLabels") or {}
        expressions = selector.get("matchExpressions") or ()
        return cls(
            (
                *(_checked(Requirement(key, "In", (value,))) for key, value in pairs.items()),
                *(_checked(_requirement_of(expression)) for expression in expressions),
            )
        )

    def matches(self, labels: Mapping[str, str]) -> bool:
        return not self.nothing and all(r.matches(labels) for r in self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


EVERYTHING = LabelSelector()
NOTHING = LabelSelector(nothing=True)


def _compares(value: str, operator: str, bounds: tuple[str, ...]) -> bool:
    """False, as for a label that is no number, when there is not exactly one bound."""
    try:
        (bound,) = bounds
        left, right = int(value), int(bound)
    except ValueError:
        return False
    return left > right if operator == "Gt" else left < right


def _requirement_of(expression: Mapping[str, Any]) -> Requirement:
    return Requirement(
        str(expression.get("key", "")),
        str(expression.get("operator", "")),
        tuple(map(str, expression.get("values") or ())),
    )


def _checked(requirement: Requirement) -> Requirement:
    problem = _problem_of(requirement)
    if problem:
        raise BadRequest(f"unable to parse requirement: {problem}")
    return requirement


def _problem_of(requirement: Requirement) -> str:
    operator, values = requirement.operator, requirement.values
    faults = names.qualified_name_faults(requirement.key)
    if faults:
        return f"key: Invalid value: {_quoted(requirement.key)}: {'; '.join(faults)}"
    if operator not in ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"):
        return f"operator: Invalid value: {_quoted(operator)}: not a valid selector operator"
    if operator in ("In", "NotIn") and not values:
        return "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
    if operator in ("Exists", "DoesNotExist") and values:
        return "values: Invalid value: values set must be empty for exists and does not exist"
    if operator in ("Gt", "Lt") and (len(values) != 1 or not re.fullmatch(r"[+-]?[0-9]+", values[0])):
        return "values: Invalid value: for 'Gt', 'Lt' operators, exactly one integer value is required"
    for i, value in enumerate(values):
        faults = list(names.label_value_faults(value))
        if faults:
            at = f"values[{i}][{requirement.key}]"
            return f"{at}: Invalid value: {_quoted(value)}: {'; '.join(faults)}"
    return ""


def is_label_key(text: str) -> bool:
    """True for a qualified name: `name` or `dns.prefix/name`."""
    return not names.qualified_name_faults(text)


def is_label_value(text: str) -> bool:
    """True when empty, or at most 63 letters, digits, `-`, `_`, `.`, with a letter or digit at both ends."""
    return not names.label_value_faults(text)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


class _LabelParser:
    """Recursive descent over tokens; each requirement ends at a comma or at the end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [*_tokens(text), ""]
        self._at = 0

    def requirements(self) -> Iterator[Requirement]:
        while True:
            yield _checked(self._requirement())
            separator = self._next()
            if separator == "":
                return
            if separator != ",":
                raise self._error(f"found '{separator}', expected: ',' or 'end of string'")

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._next()
            return Requirement(self._word("identifier"), "DoesNotExist")
        key = self._word("identifier")
        if self._peek() in ("", ","):
            return Requirement(key, "Exists")
        word = self._next()
        operator = _OPERATORS.get(word)
        if operator is None:
            raise self._error(f"found '{word}', expected: in, notin, =, ==, !=, gt, lt")
        if word in ("in", "notin"):
            return Requirement(key, operator, self._set())
        value = "" if self._peek() in ("", ",") else self._word("identifier")
        return Requirement(key, operator, (value,))

    def _set(self) -> tuple[str, ...]:
        if self._next() != "(":
            raise self._error(f"found '{self._tokens[self._at - 1]}', expected: '('")
        values = []
        while True:
            values.append("" if self._peek() in (",", ")") else self._word("identifier"))
            end = self._next()
            if end == ")":
                return tuple(dict.fromkeys(values))
            if end != ",":
                raise self._error(f"found '{end}', expected: ',' or ')'")

    def _word(self, expected: str) -> str:
        word = self._next()
        if not word or word in "(),!" or word in ("=", "==", "!=", "<", ">"):
            raise self._error(f"found '{word}', expected: {expected}")
        return word

    def _peek(self) -> str:
        return self._tokens[self._at]

    def _next(self) -> str:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _error(self, what: str) -> BadRequest:
        return BadRequest(f"unable to parse requirement: {what} in {_quoted(self._text)}")


def _tokens(text: str) -> Iterator[str]:
    at = 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise BadRequest(f"unable to parse requirement: unexpected {text[at]!r} in {_quoted(text)}")
        at = found.end()
        yield found[1]


@dataclass(frozen=True, slots=True)
class FieldRequirement:
    """`path` equals `value`, or (`equal` false) does not."""

    path: str
    value: str
    equal: bool = True

    def matches(self, obj: Object) -> bool:
        return (field_value(obj, self.path) == self.value) == self.equal

    def __str__(self) -> str:
        return f"{self.path}{'=' if self.equal else '!='}{self.value}"


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All requirements must hold; none matches everything."""

    requirements: tuple[FieldRequirement, ...] = ()

    @classmethod
    def parse(cls, text: str) -> FieldSelector:
        """Read `a.b=c,d.e!=f`, with `\\,`, `\\=` and `\\\\` in values; BadRequest when it cannot be read."""
        return cls(tuple(map(_field_requirement, _split_unescaped(text)))) if text.strip() else EVERYTHING_F

    def matches(self, obj: Object) -> bool:
        return all(requirement.matches(obj) for requirement in self.requirements)

    def exact(self, path: str) -> str | None:
        """The one value that `path` must have, or None when the selector leaves it open."""
        return next((r.value for r in self.requirements if r.equal and r.path == path), None)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


EVERYTHING_F = FieldSelector()

_ALIASES = {"source": "source.component"}
_FALSE_WHEN_ABSENT = frozenset({"spec.unschedulable", "spec.hostNetwork"})


def field_value(obj: Object, path: str) -> str:
    """The field as text: absent is empty, booleans are `true` and `false`."""
    value: Any = obj
    for part in _steps(path):
        value = value.get(part) if isinstance(value, dict) else None
    if value is None:
        return "false" if path in _FALSE_WHEN_ABSENT else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


@lru_cache(maxsize=1024)
def _steps(path: str) -> tuple[str, ...]:
    return tuple(_ALIASES.get(path, path).split("."))


def _split_unescaped(text: str) -> list[str]:
    return [part for part in re.findall(r"((?:\\.|[^,\\])+)", text) if part.strip()]


def _field_requirement(text: str) -> FieldRequirement:
    found = re.fullmatch(r"\s*([^=!\s]+)\s*(!=|==|=)(.*)", text)
    if found is None:
        raise BadRequest(f"invalid selector: '{text}'; can't understand '{text}'")
    path, operator, value = found.groups()
    return FieldRequirement(path, re.sub(r"\\(.)", r"\1", value.strip()), operator != "!=")
