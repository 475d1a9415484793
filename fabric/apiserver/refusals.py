"""Refusals of the API server, in Kubernetes' words and with its Status details.

Each function returns the error, ready to raise. `Cause` is one field's fault within an `Invalid`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fabric.api.kinds import Kind
from fabric.errors import AlreadyExists, Conflict, Forbidden, Gone, Invalid, NotFound, Timeout

Details = dict[str, object]

CAUSES_TOLD_MAX = 100
"""As many as Go's decoder tells strict errors (sigs.k8s.io/json); an object can have 100,000 faults."""
TOLD_CHARACTERS_MAX = 64 * 1024
"""Of all causes of an answer, and of its message."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A StatusCause: the fault of a field, shown as `field: message`."""

    reason: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"

    def as_object(self) -> dict[str, object]:
        return {"reason": self.reason, "message": cut(self.message), "field": cut(self.field)}


def required(field: str, why: str = "") -> Cause:
    return Cause("FieldValueRequired", field, "Required value" + (f": {why}" if why else ""))


def invalid_value(field: str, value: Any, why: str) -> Cause:
    return Cause("FieldValueInvalid", field, f"Invalid value: {shown(value)}: {why}")


def not_supported(field: str, value: Any, allowed: Sequence[str]) -> Cause:
    choices = ", ".join(f'"{choice}"' for choice in allowed)
    return Cause(
        "FieldValueNotSupported", field, f"Unsupported value: {shown(value)}: supported values: {choices}"
    )


def duplicate(field: str, value: Any) -> Cause:
    return Cause("FieldValueDuplicate", field, f"Duplicate value: {shown(value)}")


def forbidden_field(field: str, why: str) -> Cause:
    return Cause("FieldValueForbidden", field, f"Forbidden: {why}")


def too_long(field: str, bytes_max: int) -> Cause:
    return Cause("FieldValueTooLong", field, f"Too long: may not be more than {bytes_max} bytes")


def shown(value: Any) -> str:
    """The value as JSON, cut where it gets long."""
    return cut(json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":")), 200)


def cut(text: str, characters_max: int = TOLD_CHARACTERS_MAX) -> str:
    """The text, or its beginning and an ellipsis where it is longer."""
    return text if len(text) <= characters_max else text[:characters_max] + "…"


def details_of(kind: Kind, name: str = "", **more: object) -> Details:
    """`Status.details` that name the object by its resource."""
    details: Details = {"name": name, "group": kind.group, "kind": kind.plural, **more}
    return {key: value for key, value in details.items() if value != ""}


def not_found(kind: Kind, name: str) -> NotFound:
    return NotFound(f'{kind.group_resource} "{name}" not found', details=details_of(kind, name))


def already_exists(kind: Kind, name: str) -> AlreadyExists:
    return AlreadyExists(f'{kind.group_resource} "{name}" already exists', details=details_of(kind, name))


def conflict(kind: Kind, name: str, why: str) -> Conflict:
    return Conflict(
        f'Operation cannot be fulfilled on {kind.group_resource} "{name}": {why}',
        details=details_of(kind, name),
    )


def modified(kind: Kind, name: str) -> Conflict:
    """The write was based on an old version."""
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(kind, name, why)


def forbidden(kind: Kind, name: str, why: str, *causes: Cause) -> Forbidden:
    details = details_of(kind, name)
    if causes:
        details["causes"] = [cause.as_object() for cause in causes]
    return Forbidden(f'{kind.group_resource} "{name}" is forbidden: {why}', details=details)


def invalid(kind: Kind, name: str, causes: Sequence[Cause]) -> Invalid:
    """The faults of an object at once; of very many the first ones, and how many more there are."""
    return _invalid(kind.group, kind.kind, name, causes)


def invalid_options(kind: str, causes: Sequence[Cause]) -> Invalid:
    """All faults of the options of a request at once; `kind` is ListOptions or DeleteOptions."""
    return _invalid("meta.k8s.io", kind, "", causes)


def _invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> Invalid:
    told = _told(causes)
    faults = ", ".join(map(str, told))
    if more := len(causes) - len(told):
        faults += f", and {more} more"
    group_kind = f"{kind}.{group}" if group else kind
    listed = faults if len(causes) == 1 else f"[{faults}]"
    details: Details = {"name": name, "group": group, "kind": kind}
    details = {key: value for key, value in details.items() if value != ""}
    details["causes"] = [cause.as_object() for cause in told]
    return Invalid(f'{group_kind} "{name}" is invalid: {listed}', details=details)


def _told(causes: Sequence[Cause]) -> Sequence[Cause]:
    """The first causes, as many as an answer has room for, and one at least."""
    size = 0
    for count, cause in enumerate(causes[:CAUSES_TOLD_MAX]):
        size += len(cause.field) + len(cause.message)
        if count and size > TOLD_CHARACTERS_MAX:
            return causes[:count]
    return causes[:CAUSES_TOLD_MAX]


def too_old(asked: int, oldest: int) -> Gone:
    """A watch from before what is remembered."""
    return Gone(f"too old resource version: {asked} ({oldest})")


TOO_LARGE_RETRY_SECONDS = 1


def too_large_version(asked: int, current: int) -> Timeout:
    """A read at least as new as a revision that the store has not reached."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return Timeout(
        f"Timeout: Too large resource version: {asked}, current: {current}",
        details={"causes": [cause], "retryAfterSeconds": TOO_LARGE_RETRY_SECONDS},
    )


def continue_expired() -> Gone:
    return Gone(
        "The provided continue parameter is too old to display a consistent list result. You can start a new "
        "list without the continue parameter."
    )
