"""A request's query parameters and DeleteOptions body, as the registry's options.

A parameter that cannot be read is a BadRequest that names it; unknown ones are ignored, as upstream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fabric.api.selectors import FieldSelector, LabelSelector
from fabric.apiserver.options import DeleteOptions, ListOptions, WriteOptions
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
        return WriteOptions(warn=warn)
    return WriteOptions(
        dry_run=_dry_run(query.get("dryRun", "")),
        field_manager=query.get("fieldManager", ""),
        field_validation=_one_of("fieldValidation", query.get("fieldValidation", "Ignore"), _VALIDATIONS),
        warn=warn,
    )


def delete_options(query: Query, body: Mapping[str, Any]) -> DeleteOptions:
    """The DeleteOptions of body and query; the body wins."""
    preconditions = body.get("preconditions") or {}
    if not isinstance(preconditions, dict):
        raise BadRequest("preconditions: must be an object")
    return DeleteOptions(
        grace_period_seconds=_grace(query, body),
        propagation=_propagation(query, body),
        uid=_text(preconditions, "uid"),
        resource_version=_text(preconditions, "resourceVersion"),
        dry_run=_dry_run(query.get("dryRun", "")) or body.get("dryRun") == ["All"] or _no_dry_run(body),
    )


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
    if not isinstance(given, int) or isinstance(given, bool) or given < 0:
        raise BadRequest(f"gracePeriodSeconds: {given!r} is not a number of seconds")
    return given


def _propagation(query: Query, body: Mapping[str, Any]) -> str:
    if body.get("orphanDependents"):
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
    """A boolean parameter, as Go reads it: absent is false, empty is true."""
    return query.get(name, "false").lower() in ("", "1", "t", "true")


def _dry_run(text: str) -> bool:
    return _one_of("dryRun", text, ("", "All")) == "All"


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        choices = ", ".join(filter(None, allowed))
        raise BadRequest(f"{name}: {value!r} is not supported; supported values: {choices}")
    return str(value)
