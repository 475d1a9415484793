"""Zero values: what a status must say and does not say is empty, as a server of Go structs keeps it.

So whoever reads a status finds each required field, whatever a client left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from fabric.api.kinds import Kind
from fabric.api.objects import Object
from fabric.apiserver import schema
from fabric.apiserver.schema import FREE_FORM, Shape

_STEP = re.compile(r"[^.\[\]]+")


def filled(kind: Kind, obj: Object, missing: Iterable[str]) -> Object:
    """The object with the zero value at each path, such as `status.conditions[0].status`."""
    at = schema.shape(kind) or FREE_FORM
    for path in missing:
        obj = _filled(at, obj, _STEP.findall(path))
    return obj


def _filled(at: Shape, value: Any, steps: Sequence[str]) -> Any:
    step, rest = steps[0], steps[1:]
    if isinstance(value, list):
        i, below = int(step), at.items or FREE_FORM
        return [*value[:i], _filled(below, value[i], rest), *value[i + 1 :]]
    if rest:
        return {**value, step: _filled(at.child(step), value[step], rest)} if step in value else value
    zero = at.child(step).zero
    return value if zero is None else {**value, step: zero}


def for_nulls(at: Shape, value: Any) -> Any:
    """The value with the zero value for each null in a list or map, as Go's decoder leaves it there."""
    if isinstance(value, list) and at.items is not None:
        below = at.items
        return [_zero(below) if item is None else for_nulls(below, item) for item in value]
    if not isinstance(value, dict):
        return value
    if at.fields is not None:
        return {name: for_nulls(at.child(name), child) for name, child in value.items()}
    if at.values is not None:
        below = at.values
        return {
            name: _zero(below) if child is None else for_nulls(below, child) for name, child in value.items()
        }
    return value


def _zero(at: Shape) -> Any:
    return "0" if at.name == "Quantity" else at.zero
