"""Fields tie a dataclass to its JSON: each attribute names its key and the reader that checks it.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class IPReservationSpec:
        reserved_cidrs: tuple[IPNetwork, ...] = key("reservedCIDRs", listed(network), default=())

`read` collects every refusal of a document before it gives up; `document` writes back what `read` takes.
A key that a dataclass does not know is refused, unless it keeps the rest of its document (`rest()`): then
`unknown_fields` refuses those that Calico does not have either, where users write.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any, TypeVar

from calico.resources import crds
from calico.resources.refusals import Refusal

T = TypeVar("T")
ALLOWED_SHOWN_MAX = 40
"""FelixConfiguration has more than a reader reads."""
Read = Callable[[Any, str, list[Refusal]], Any]
"""(value, path, refusals) → what the attribute holds; adds to the refusals when the value is wrong."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader takes one value, and says in OpenAPI's words which it takes."""

    read: Read
    schema: Mapping[str, Any]

    def __call__(self, value: Any, path: str, refusals: list[Refusal]) -> Any:
        return self.read(value, path, refusals)


def takes(**schema: Any) -> Callable[[Read], Reader]:
    """Make a function a reader: `@takes(type="string")`."""
    return lambda function: Reader(function, schema)


def key(name: str, reader: Reader, *, default: Any = MISSING, always: bool = False) -> Any:
    """An attribute stored under `name`; without a default it must be given.

    `always` writes it even when it is empty, false or zero, as Calico does where Go's omitempty is missing.
    """
    metadata = {"json": name, "reader": reader, "always": always}
    if isinstance(default, Mapping):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


def rest(carried: Mapping[str, Mapping[str, Any]]) -> Any:
    """The attribute that keeps all keys that no other attribute names.

    `carried` are those that Calico has too, with the schema of each.
    """
    return field(default_factory=dict, metadata={"rest": True, "carried": carried})


def read(cls: type[T], value: Any, path: str, refusals: list[Refusal]) -> T | None:
    """Return the dataclass, or None with the reasons added to `refusals`."""
    if not isinstance(value, Mapping):
        refusals.append(Refusal(path, "an object is expected", value))
        return None
    before = len(refusals)
    given: dict[str, Any] = {}
    known = set()
    rest_name = ""
    for attribute in fields(cls):  # type: ignore[arg-type]
        if "rest" in attribute.metadata:
            rest_name = attribute.name
            continue
        name = attribute.metadata["json"]
        known.add(name)
        here = f"{path}.{name}" if path else name
        found = value.get(name)
        if found is not None:
            given[attribute.name] = attribute.metadata["reader"](found, here, refusals)
        elif attribute.default is MISSING and attribute.default_factory is MISSING:
            refusals.append(Refusal(here, "must be specified"))
    others = {name: found for name, found in value.items() if name not in known and found is not None}
    if rest_name:
        given[rest_name] = others
    else:
        refusals.extend(unknown(path, name, known, found) for name, found in others.items())
    return cls(**given) if len(refusals) == before else None


def unknown_fields(cls: type, value: Any, path: str, before: Any = None) -> Iterator[Refusal]:
    """The refusals of keys that `read` keeps and Calico has not; keys that were there `before` may stay."""
    known = _read_keys(cls).union(_carried(cls))
    there = before if isinstance(before, Mapping) else {}
    if _carried(cls) and isinstance(value, Mapping):
        for name, found in value.items():
            if name not in known and name not in there:
                yield unknown(path, name, known, found)


def unread_refusals(cls: type, value: Any, path: str, before: Any = None) -> Iterator[Refusal]:
    """The refusals of values that `read` keeps unread, by their published schemas; old values may stay."""
    carried, read_keys = _carried(cls), _read_keys(cls)
    there = before if isinstance(before, Mapping) else {}
    for name, found in value.items() if isinstance(value, Mapping) else ():
        is_old = name in there and there[name] == found
        if name in carried and name not in read_keys and found is not None and not is_old:
            yield from crds.refusals(f"{path}.{name}", carried[name], found)


def _carried(cls: type) -> Mapping[str, Mapping[str, Any]]:
    return next((it.metadata["carried"] for it in fields(cls) if "rest" in it.metadata), {})


def _read_keys(cls: type) -> frozenset[str]:
    return frozenset(it.metadata["json"] for it in fields(cls) if "json" in it.metadata)


def document(instance: Any) -> dict[str, Any]:
    """The JSON of a dataclass, keys in the order of its attributes, empty ones left out."""
    written: dict[str, Any] = {}
    for attribute in fields(instance):
        value = getattr(instance, attribute.name)
        if "rest" in attribute.metadata:
            written |= value
        elif attribute.metadata["always"] or not _is_empty(value, attribute.default):
            written[attribute.metadata["json"]] = _plain(value)
    return written


def schema(cls: type) -> dict[str, Any]:
    """The OpenAPI schema of what `read` takes."""
    described: dict[str, Any] = {"type": "object", "properties": {}}
    required = []
    for attribute in fields(cls):
        if "rest" in attribute.metadata:
            carried = attribute.metadata["carried"]
            described["properties"] |= {
                name: crds.explained(carried[name]) for name in carried.keys() - _read_keys(cls)
            }
            continue
        name = attribute.metadata["json"]
        described["properties"][name] = dict(attribute.metadata["reader"].schema)
        if attribute.default is MISSING and attribute.default_factory is MISSING:
            required.append(name)
    return described | ({"required": required} if required else {})


def unknown(path: str, name: str, known: Collection[str], value: object) -> Refusal:
    """The refusal of a key that is not among the known ones: the nearest of them, or what they are."""
    folded = {other.lower(): other for other in known}
    close = difflib.get_close_matches(str(name).lower(), folded, 1)
    allowed = f" (allowed: {', '.join(sorted(known))})" if len(known) <= ALLOWED_SHOWN_MAX else ""
    hint = f"; did you mean {folded[close[0]]}?" if close else allowed
    return Refusal(f"{path}.{name}" if path else str(name), f"unknown field{hint}", value)


def _is_empty(value: object, default: object) -> bool:
    """Go's omitempty: false and no items are written where absent means something else (nil, here None)."""
    if value is False or value == ():
        return default is not None
    if value is None or (isinstance(value, str | tuple | dict) and not value):
        return True
    return is_dataclass(value) and value == default


def _plain(value: Any) -> Any:
    if hasattr(value, "to_json"):
        return value.to_json()
    if is_dataclass(value):
        return document(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
