"""Amounts of resources: their names, their units, and requests that do not exceed limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

from fabric.api.names import qualified_name_faults
from fabric.api.objects import Object
from fabric.api.quantity import parse_quantity
from fabric.api.resources import CPU, HUGE_PAGES, MEMORY, is_pod_level
from fabric.apiserver.refusals import Cause, forbidden_field, invalid_value, not_supported, required

Check = Callable[[str, Object], Iterable[Cause]]
STANDARD = ("cpu", "memory", "ephemeral-storage")
_NOT_NEGATIVE = "must be greater than or equal to 0"
_NO_QUANTITY = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_DIVISORS = {
    "cpu": ("1m", "1"),
    "memory": ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"),
}


def is_extended(name: str) -> bool:
    """A resource that somebody's device plugin offers (`example.com/gpu`)."""
    return "/" in name and not name.rpartition("/")[0].endswith("kubernetes.io")


def amount(path: str, value: Any) -> Iterator[Cause]:
    """A quantity that is not negative."""
    try:
        if parse_quantity(value) < 0:
            yield invalid_value(path, value, _NOT_NEGATIVE)
    except ValueError:
        yield invalid_value(path, value, _NO_QUANTITY)


def amounts(path: str, value: Object) -> Iterator[Cause]:
    """Quantities by the name of a resource, as a node has them."""
    for name, text in value.items():
        at = f"{path}[{name}]"
        yield from (invalid_value(at, name, fault) for fault in qualified_name_faults(name))
        yield from amount(at, text)
        if is_extended(name) and not _is_whole(text):
            yield invalid_value(at, text, "must be an integer")


def _container_amounts(path: str, value: Object) -> Iterator[Cause]:
    yield from amounts(path, value)
    for name in value:
        if "/" not in name and name not in STANDARD and not name.startswith(HUGE_PAGES):
            yield invalid_value(f"{path}[{name}]", name, "must be a standard resource for containers")


def _is_whole(text: Any) -> bool:
    try:
        quantity = parse_quantity(text)
    except ValueError:
        return True
    return quantity == quantity.to_integral_value()


def container_resources(path: str, resources: Object) -> Iterator[Cause]:
    """Requests and limits of a container: each amount by itself, then requests against limits."""
    yield from _resources(path, resources, _container_amounts)


def pod_resources(path: str, resources: Object) -> Iterator[Cause]:
    """Requests and limits of a pod as a whole."""
    yield from _resources(path, resources, _pod_amounts)
    if resources.get("claims"):
        yield forbidden_field(f"{path}.claims", "claims may not be set for pod resources")


def _pod_amounts(path: str, value: Object) -> Iterator[Cause]:
    yield from amounts(path, value)
    for name in value:
        if not is_pod_level(name):
            yield not_supported(f"{path}[{name}]", name, (CPU, HUGE_PAGES, MEMORY))


def _resources(path: str, resources: Object, check: Check) -> Iterator[Cause]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    # A request that was taken over from the limit has the limit's faults, and they are told once.
    own = {name: text for name, text in requests.items() if limits.get(name) != text}
    faults = [
        *check(f"{path}.limits", limits),
        *check(f"{path}.requests", own),
    ]
    yield from faults
    if faults:
        return
    for name, text in requests.items():
        yield from _against_limit(f"{path}.requests", name, text, limits.get(name))
    for name in limits:
        if _must_be_equal(name) and name not in requests:
            yield required(f"{path}.requests[{name}]", "Request must be set for extended resources")
    names = limits.keys() | requests.keys()
    if any(name.startswith(HUGE_PAGES) for name in names) and not names & {CPU, MEMORY}:
        yield forbidden_field(path, "HugePages require cpu or memory")


def _against_limit(path: str, name: str, request: Any, limit: Any) -> Iterator[Cause]:
    if limit is None:
        if _must_be_equal(name):
            yield required(
                path.replace(".requests", ".limits"), "Limit must be set for non overcommitable resources"
            )
        return
    more = parse_quantity(request).compare(parse_quantity(limit))
    if _must_be_equal(name) and more != 0:
        yield invalid_value(path, request, f"must be equal to {name} limit of {limit}")
    elif more == Decimal(1):
        yield invalid_value(path, request, f"must be less than or equal to {name} limit of {limit}")


def _must_be_equal(name: str) -> bool:
    """True for what cannot be promised to two containers."""
    return is_extended(name) or name.startswith(HUGE_PAGES)


_FIELDS = tuple(
    f"{kind}.{name}" for kind in ("limits", "requests") for name in ("cpu", "ephemeral-storage", "memory")
)


def resource_field(path: str, reference: Object) -> Iterator[Cause]:
    """A `resourceFieldRef`: an amount of a container, in units of the divisor."""
    resource = reference.get("resource") or ""
    if not resource:
        yield required(f"{path}.resource")
        return
    name = resource.partition(".")[2]
    if resource not in _FIELDS and not name.startswith(HUGE_PAGES):
        yield not_supported(f"{path}.resource", resource, _FIELDS)
        return
    divisor = reference.get("divisor")
    if divisor in (None, "", "0", 0):
        return
    allowed = _DIVISORS.get(name, _DIVISORS["memory"])
    if str(divisor) not in allowed:
        shown = "1m and 1" if name == "cpu" else ", ".join(allowed)
        kind = "local ephemeral storage" if name == "ephemeral-storage" else name
        yield invalid_value(
            f"{path}.divisor",
            divisor,
            f"only divisor's values {shown} are supported with the {kind} resource",
        )
