"""A request's query parameters and DeleteOptions body, as the registry's options.

A parameter that cannot be read is a BadRequest that names it; unknown ones are ignored, as upstream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fabric.api.selectors import FieldSelector, LabelSelector
from fabric.apiserver.options import DeleteOptions, ListOptions, WriteOptions
from fabric.apiserver.refusals import invalid_options, invalid_value
from fabric.errors import BadRequest

Query = Mapping[str, str]

DIGITS_MAX = 18
"""So that every number fits into 64 bits."""

_VALIDATIONS = ("Ignore", "Warn", "Strict")
_PROPAGATIONS = ("Background", "Foreground", "Orphan")


def list_options(query: Query) -> ListOptions:
    """Selectors, paging and the resource version of a list or watch."""
    if not query:
        return ListOptions()
    return ListOptions(
        label_selector=label_selector(query),
        field_selector=field_selector(query),
        limit=whole_number(query, "limit") or 0,
        continue_=query.get("continue", ""),
        resource_version=query.get("resourceVersion", ""),
        resource_version_match=query.get("resourceVersionMatch", ""),
        send_initial_events=truth(query, "sendInitialEvents") if "sendInitialEvents" in query else None,
    )


def label_selector(query: Query) -> LabelSelector:
    """The parameter `labelSelector`."""
    try:
        return LabelSelector.parse(query.get("labelSelector", ""))
    except ValueError as error:
        raise BadRequest(f"unable to parse labelSelector: {error}") from error


def field_selector(query: Query) -> FieldSelector:
    """The parameter `fieldSelector`."""
    try:
        return FieldSelector.parse(query.get("fieldSelector", ""))
    except ValueError as error:
        raise BadRequest(f"unable to parse fieldSelector: {error}") from error


def write_options(query: Query, warn: Callable[[str], None]) -> WriteOptions:
    """The options of a create, update or patch; `warn` is told each warning for the answer."""
    if not query:
        return WriteOptions(field_validation="Warn", warn=warn)
    return WriteOptions(
        dry_run=_dry_run(query.get("dryRun", "")),
        field_manager=query.get("fieldManager", ""),
        field_validation=_one_of("fieldValidation", query.get("fieldValidation") or "Warn", _VALIDATIONS),
        warn=warn,
    )


def delete_options(query: Query, body: Mapping[str, Any]) -> DeleteOptions:
    """The DeleteOptions of body and query; the body wins."""
    _check_delete_options(body)
    preconditions = body.get("preconditions") or {}
    return DeleteOptions(
        grace_period_seconds=_grace(query, body),
        propagation=_propagation(query, body),
        uid=_text(preconditions, "uid"),
        resource_version=_text(preconditions, "resourceVersion"),
        dry_run=_dry_run(query.get("dryRun", "")) or body.get("dryRun") == ["All"] or _no_dry_run(body),
    )


def _check_delete_options(body: Mapping[str, Any]) -> None:
    """BadRequest for a body that is not of the kind, or has a field of another type."""
    if body.get("kind") not in (None, "", "DeleteOptions"):
        raise BadRequest("decoded object cannot be converted to DeleteOptions")
    for name, (type_, word) in _DELETE_FIELDS.items():
        value = body.get(name)
        if value is not None and type(value) is not type_:
            raise BadRequest(f"DeleteOptions: {name}: {value!r} is not {word}")
    if body.get("orphanDependents") is not None and body.get("propagationPolicy") is not None:
        why = "orphanDependents and deletionPropagation cannot be both set"
        cause = invalid_value("propagationPolicy", body["propagationPolicy"], why)
        raise invalid_options("DeleteOptions", [cause])


_DELETE_FIELDS = {
    "gracePeriodSeconds": (int, "a number of seconds"),
    "orphanDependents": (bool, "true or false"),
    "propagationPolicy": (str, "a string"),
    "preconditions": (dict, "an object"),
    "dryRun": (list, "a list of strings"),
}


def _no_dry_run(body: Mapping[str, Any]) -> bool:
    if body.get("dryRun"):
        raise BadRequest(f"dryRun: {body['dryRun']!r} is not supported; supported values: All")
    return False


def _text(obj: Mapping[str, Any], name: str) -> str:
    value = obj.get(name) or ""
    if not isinstance(value, str):
        raise BadRequest(f"{name}: {value!r} is not a string")
    return value


def _grace(query: Query, body: Mapping[str, Any]) -> int | None:
    given = body.get("gracePeriodSeconds")
    if given is None:
        return whole_number(query, "gracePeriodSeconds")
    if given < 0:
        raise BadRequest(f"gracePeriodSeconds: {given!r} is not a number of seconds")
    return int(given)


def _propagation(query: Query, body: Mapping[str, Any]) -> str:
    if body.get("orphanDependents") or (not body and truth(query, "orphanDependents")):
        return "Orphan"
    asked = body.get("propagationPolicy") or query.get("propagationPolicy") or "Background"
    return _one_of("propagationPolicy", asked, _PROPAGATIONS)


def whole_number(query: Query, name: str) -> int | None:
    """The parameter as a number of 0 or more; None when it is not given."""
    text = query.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > DIGITS_MAX:
        raise BadRequest(f"{name}: {text!r} is not a whole number of 0 or more")
    return int(text)


def truth(query: Query, name: str) -> bool:
    """A boolean parameter, as apimachinery reads it: all but absence, `false` and `0` is true."""
    return query.get(name, "false").lower() not in ("false", "0")


def _dry_run(text: str) -> bool:
    return _one_of("dryRun", text, ("", "All")) == "All"


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        choices = ", ".join(filter(None, allowed))
        raise BadRequest(f"{name}: {value!r} is not supported; supported values: {choices}")
    return str(value)
