"""The language of validation rules: checks of one value, and a table of where in an object they apply.

A table has a row for each OpenAPI definition that has rules (`Container`, `Probe`). `walk` goes through an
object along its schema and applies each row wherever its definition stands, so that a probe is checked in
every place that a probe can have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fabric.api import names
from fabric.api.objects import Object
from fabric.apiserver.refusals import Cause, forbidden_field, invalid_value, not_supported, required
from fabric.apiserver.schema import Shape

Check = Callable[[str, Any], Iterable[Cause]]
"""Yields the faults of a value; the first argument is the path at which it stands."""

INT32_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for objects of one definition."""

    required: Mapping[str, str] = field(default_factory=dict)
    """Fields that may not be absent or empty, each with the reason, which may be empty."""
    fields: Mapping[str, Check] = field(default_factory=dict)
    """Checks of single fields, where they are given."""
    whole: Sequence[Check] = ()
    """Checks of the object, whose fields depend on each other."""


Table = Mapping[str, Rules]


def walk(table: Table, at: Shape, path: str, value: Any) -> Iterator[Cause]:
    """Yield the faults of `value` and of all that stands below it."""
    if isinstance(value, list):
        if at.items is not None:
            for i, item in enumerate(value):
                if isinstance(item, dict | list):
                    yield from walk(table, at.items, f"{path}[{i}]", item)
        return
    rules = table.get(at.name)
    if rules is not None:
        yield from _faults(rules, path, value)
    fields = at.fields
    if fields is None:
        return
    for name, child in value.items():
        if isinstance(child, dict | list) and (below := fields.get(name)) is not None:
            yield from walk(table, below, f"{path}.{name}", child)


def _faults(rules: Rules, path: str, value: Object) -> Iterator[Cause]:
    for name, why in rules.required.items():
        if value.get(name) in (None, "", [], {}):
            yield required(f"{path}.{name}", why)
    for name, check in rules.fields.items():
        if name in value:
            yield from check(f"{path}.{name}", value[name])
    for check in rules.whole:
        yield from check(path, value)


def named(rule: names.Rule, *, or_empty: bool = False) -> Check:
    """The text must obey a rule of names, or (where that is allowed) be empty."""

    def check(path: str, value: Any) -> Iterator[Cause]:
        if value or not or_empty:
            yield from (invalid_value(path, value, fault) for fault in rule(value))

    return check


def each(check: Check) -> Check:
    """Apply the check to each item of a list."""
    return lambda path, value: (
        fault for i, item in enumerate(value) for fault in check(f"{path}[{i}]", item)
    )


def one_of(*allowed: str, empty: bool = False) -> Check:
    choices = tuple(sorted(allowed))

    def check(path: str, value: Any) -> Iterator[Cause]:
        if value not in choices and not (empty and value == ""):
            yield not_supported(path, value, choices)

    return check


def between(low: int, high: int, why: str = "") -> Check:
    fault = why or names.range_fault(low, high)
    return lambda path, value: () if low <= value <= high else (invalid_value(path, value, fault),)


def at_least(low: int) -> Check:
    fault = "must be greater than 0" if low == 1 else f"must be greater than or equal to {low}"
    return lambda path, value: () if value >= low else (invalid_value(path, value, fault),)


port_number = between(1, names.PORT_MAX)
linux_id = between(0, INT32_MAX)
file_mode = between(0, 0o777, "must be a number between 0 and 0777 (octal), both inclusive")
qualified_name = named(names.qualified_name_faults)
label_key = named(names.qualified_name_faults, or_empty=True)
label_value = named(names.label_value_faults)
subdomain = named(names.dns_subdomain_faults)
dns_label = named(names.dns_label_faults)
ip = named(names.ip_faults)
ip_or_none = named(names.ip_faults, or_empty=True)


def labels(path: str, value: Object) -> Iterator[Cause]:
    """Keys and values of a map of labels."""
    for key, text in value.items():
        yield from qualified_name(path, key)
        yield from label_value(path, text)


def port_or_name(path: str, value: Any) -> Iterator[Cause]:
    """A port of a probe or hook: a number, or the name of a container's port."""
    yield from (
        port_number(path, value) if isinstance(value, int) else named(names.port_name_faults)(path, value)
    )


def exactly_one(*members: str, none: str, many: str = "may not specify more than 1 handler type") -> Check:
    """Exactly one of these fields must be given."""

    def check(path: str, value: Object) -> Iterator[Cause]:
        given = [member for member in members if member in value]
        if not given:
            yield required(path, none)
        yield from (forbidden_field(f"{path}.{member}", many) for member in given[1:])

    return check


def relative_path(path: str, value: str) -> Iterator[Cause]:
    """A path that stays below where it starts (validateLocalDescendingPath)."""
    if value.startswith("/"):
        yield invalid_value(path, value, "must be a relative path")
    yield from no_backsteps(path, value)


def file_path(path: str, value: str) -> Iterator[Cause]:
    """A file's path in a volume, which keeps names that begin with two dots to itself."""
    yield from relative_path(path, value)
    if value.startswith("..") and value != ".." and not value.startswith("../"):
        yield invalid_value(path, value, "must not start with '..'")


def no_backsteps(path: str, value: str) -> Iterator[Cause]:
    if ".." in value.split("/"):
        yield invalid_value(path, value, "must not contain '..'")


def no_nul(path: str, value: Any) -> Iterator[Cause]:
    """No word, name or path of Linux holds a NUL byte; it is refused before a node meets it."""
    if isinstance(value, str):
        if "\0" in value:
            yield invalid_value(path, value, "must not contain a NUL byte")
    elif isinstance(value, dict):
        for name, child in value.items():
            yield from no_nul(f"{path}.{name}", child)
    elif isinstance(value, list):
        for i, child in enumerate(value):
            yield from no_nul(f"{path}[{i}]", child)
