"""The readers of fields: each takes one JSON value, and refuses what Calico refuses.

Its schema is what kubectl is told: types and bounds; the reader itself knows more than that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_interface, ip_network
from types import UnionType
from typing import Any, TypeVar

from calico.resources.crds import portable
from calico.resources.fields import Reader, read, schema, takes
from calico.resources.notation import is_duration
from calico.resources.refusals import Refusal
from calico.selector import BadSelector, Selector

T = TypeVar("T")
Refusals = list[Refusal]

NAME_LENGTH_MAX = 253
ANYTHING = {"x-kubernetes-preserve-unknown-fields": True}
_INTERFACE = re.compile(r"[-\w.:@*?]{1,15}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_RULE_INTERFACE = re.compile(r"[-\w.:@]{1,15}\+?", re.ASCII)
_SUBNET = "must be a valid subnet such as 10.244.0.0/16"
AS_NUMBER_MAX = 4_294_967_295
PORT_MAX = 65535


@takes(type="string")
def text(value: Any, path: str, refusals: Refusals) -> str:
    return str(_typed(value, str, "a string is expected", path, refusals))


@takes(type="string")
def object_name(value: Any, path: str, refusals: Refusals) -> str:
    """A name that can stand in a key of the store."""
    if not isinstance(value, str) or len(value) > NAME_LENGTH_MAX or not _NAME.fullmatch(value):
        reason = "must consist of letters, digits, '-', '_' or '.', and begin and end with a letter or digit"
        refusals.append(Refusal(path, reason, value))
    return str(value)


@takes(type="string")
def subdomain(value: Any, path: str, refusals: Refusals) -> str:
    """A name as Kubernetes and Calico take it: RFC 1123, in lower case."""
    if not isinstance(value, str) or len(value) > NAME_LENGTH_MAX or not _SUBDOMAIN.fullmatch(value):
        reason = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
            "and must start and end with an alphanumeric character"
        )
        refusals.append(Refusal(path, reason, value))
    return str(value)


@takes(type="object", **ANYTHING)
def document_of(value: Any, path: str, refusals: Refusals) -> dict[str, Any]:
    """An object that is carried and not judged."""
    if isinstance(value, Mapping):
        return dict(value)
    refusals.append(Refusal(path, "an object is expected", value))
    return {}


@takes(type="boolean")
def flag(value: Any, path: str, refusals: Refusals) -> bool:
    return bool(_typed(value, bool, "true or false is expected", path, refusals))


def number(low: int, high: int, reason: str = "") -> Reader:
    """A whole number within both bounds; `reason` for one that has closer bounds later."""
    why = reason or f"must be a whole number between {low} and {high}"

    def reader(value: Any, path: str, refusals: Refusals) -> Any:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            refusals.append(Refusal(path, why, value))
        return value

    return Reader(reader, {"type": "integer", "minimum": low, "maximum": high})


@takes(type="number")
def decimal(value: Any, path: str, refusals: Refusals) -> Any:
    """A number that may have a fraction; a whole one of 64 bits is an integer, as Go writes it."""
    found = _typed(value, int | float, "must be a number", path, refusals)
    is_whole = isinstance(found, float) and found.is_integer() and abs(found) < 1 << 63
    return int(found) if is_whole else found


def choice(*allowed: str) -> Reader:
    """A reader of a word that must be among these, to the letter."""

    def reader(value: Any, path: str, refusals: Refusals) -> Any:
        if value not in allowed:
            refusals.append(Refusal(path, f"must be one of: {', '.join(allowed)}", value))
        return value

    return Reader(reader, {"type": "string", "enum": list(allowed)})


def word(*allowed: str) -> Reader:
    """A reader of a word that must be among these in any case, or empty, as patterns of Calico's CRDs say."""
    folded = {it.lower() for it in allowed} | {""}

    def reader(value: Any, path: str, refusals: Refusals) -> Any:
        if not isinstance(value, str) or value.lower() not in folded:
            refusals.append(Refusal(path, f"must be one of: {', '.join(allowed)}", value))
        return value

    return Reader(reader, {"type": "string", "pattern": portable(f"^(?i)({'|'.join(allowed)})?$")})


def or_empty(reader: Reader) -> Reader:
    """A reader of text that takes the empty one too, which in Go is as if it were not given."""

    return Reader(lambda value, *more: "" if value == "" else reader(value, *more), reader.schema)


def listed(reader: Reader) -> Reader:
    """A list of what `reader` takes, as a tuple."""

    def list_reader(value: Any, path: str, refusals: Refusals) -> Any:
        items = _typed(value, list, "a list is expected", path, refusals)
        if not isinstance(items, list):
            return ()
        return tuple(reader(item, f"{path}[{index}]", refusals) for index, item in enumerate(items))

    return Reader(list_reader, {"type": "array", "items": dict(reader.schema)})


def nested(cls: type[T]) -> Reader:
    """An object with a dataclass of its own."""
    return Reader(lambda value, path, refusals: read(cls, value, path, refusals), schema(cls))


@takes(type="object", additionalProperties={"type": "string"})
def mapping(value: Any, path: str, refusals: Refusals) -> dict[str, str]:
    """Labels and annotations: text to text."""
    if not isinstance(value, Mapping):
        refusals.append(Refusal(path, "an object of strings is expected", value))
        return {}
    reason = "a string is expected; in YAML put it in quotes"
    return {name: _typed(item, str, reason, f"{path}.{name}", refusals) for name, item in value.items()}


@takes(type="string")
def network(value: Any, path: str, refusals: Refusals) -> Any:
    """A CIDR without host bits."""
    meant = _masked(value)
    reason = f"CIDR is not strictly masked; write {meant}" if meant else _SUBNET
    return _parsed(ip_network, value, reason, path, refusals)


@takes(type="string")
def subnet(value: Any, path: str, refusals: Refusals) -> Any:
    """A CIDR with its prefix length, and without host bits."""
    if isinstance(value, str) and "/" not in value:
        refusals.append(Refusal(path, _SUBNET, value))
        return None
    return network(value, path, refusals)


@takes(type="string")
def masked_network(value: Any, path: str, refusals: Refusals) -> Any:
    """A CIDR, or an address (as a network of one); host bits are cut off."""
    return _parsed(
        lambda it: ip_network(it, strict=False), value, "must be a valid IP or CIDR", path, refusals
    )


@takes(type="string")
def address(value: Any, path: str, refusals: Refusals) -> Any:
    return _parsed(ip_address, value, "must be a valid IP address", path, refusals)


@takes(type="string")
def interface(value: Any, path: str, refusals: Refusals) -> Any:
    """An address with the prefix length of its network: 192.168.0.11/24."""
    return _parsed(ip_interface, value, "must be an IP address with its prefix length", path, refusals)


@takes(type="string")
def node_address(value: Any, path: str, refusals: Refusals) -> Any:
    """An address with or without the prefix length of its network, kept as it is written."""
    _parsed(ip_interface, value, "must be an IP address, with or without a prefix length", path, refusals)
    return value


@takes(type="string")
def selector(value: Any, path: str, refusals: Refusals) -> Any:
    """A selector's text, as the user wrote it."""
    if not isinstance(value, str):
        return _typed(value, str, "a selector is text such as has(rack) or rack == '1'", path, refusals)
    try:
        Selector.parse(value)
    except BadSelector as error:
        refusals.append(Refusal(path, f"invalid selector: {error}", value))
    return value


def of_family(reader: Reader, version: int) -> Reader:
    """A reader that takes what `reader` takes, of this IP version alone."""

    def family_reader(value: Any, path: str, refusals: Refusals) -> Any:
        found = reader(value, path, refusals)
        if found is not None and found.version != version:
            refusals.append(Refusal(path, f"must be of IPv{version}", value))
        return found

    return Reader(family_reader, reader.schema)


@takes(**{"x-kubernetes-int-or-string": True})
def as_number(value: Any, path: str, refusals: Refusals) -> Any:
    """An AS number as an integer, a text, or in dotted form (`1.10` is 65546)."""
    found = _as_number(value)
    if found is None:
        refusals.append(Refusal(path, f"AS Number must be between 0 and {AS_NUMBER_MAX}", value))
    return found


@takes(type="string")
def duration(value: Any, path: str, refusals: Refusals) -> Any:
    """Go's notation: `2m0s`, `500ms`; no longer than Go can say, 292 years."""
    if not isinstance(value, str) or not is_duration(value):
        refusals.append(Refusal(path, "must be a duration such as 2m0s", value))
    return value


@takes(type="string")
def iptables_device(value: Any, path: str, refusals: Refusals) -> Any:
    """The name of an interface in a rule of iptables: `eth0`, or with `+` at its end what begins so."""
    if not isinstance(value, str) or not _RULE_INTERFACE.fullmatch(value):
        refusals.append(
            Refusal(path, "must be the name of an interface, with + at its end for any rest", value)
        )
    return value


@takes(**{"x-kubernetes-int-or-string": True})
def ports(value: Any, path: str, refusals: Refusals) -> Any:
    """A port, or a range of ports `1024:65535`, the lower one first; 0 is none."""
    text_ = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    found = [int(part) for part in text_.split(":") if part.isascii() and part.isdigit() and len(part) <= 5]
    whole = len(found) == text_.count(":") + 1 <= 2 and found[0] <= found[-1] <= PORT_MAX
    if not whole or (found[0] == 0 and found[-1] > 0):
        refusals.append(Refusal(path, "must be a port or a range of ports such as 1024:65535", value))
    return value


@takes(type="string")
def interface_pattern(value: Any, path: str, refusals: Refusals) -> Any:
    """The name of an interface, in which `*` is any part."""
    if not isinstance(value, str) or not _INTERFACE.fullmatch(value):
        refusals.append(Refusal(path, "must be the name of an interface, with * for any part", value))
    return value


@takes(**ANYTHING)
def opaque(value: Any, path: str, refusals: Refusals) -> Any:
    """JSON that is carried and not judged."""
    return value


def _as_number(value: Any) -> int | None:
    if isinstance(value, str) and (dotted := re.fullmatch(r"(\d{1,5})\.(\d{1,5})", value)):
        high, low = int(dotted[1]), int(dotted[2])
        return (high << 16) + low if high < 1 << 16 and low < 1 << 16 else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= AS_NUMBER_MAX:
        return None
    return value


def _parsed(parse: Callable[[str], T], value: Any, reason: str, path: str, refusals: Refusals) -> T | None:
    try:
        return parse(value if isinstance(value, str) else "")
    except ValueError:
        refusals.append(Refusal(path, reason, value))
        return None


def _masked(value: Any) -> str:
    """The CIDR that a value with host bits lies in; nothing where it is none."""
    try:
        return str(ip_network(value, strict=False)) if isinstance(value, str) and "/" in value else ""
    except ValueError:
        return ""


def _typed(value: Any, type_: type | UnionType, reason: str, path: str, refusals: Refusals) -> Any:
    if not isinstance(value, type_) or (isinstance(value, bool) and type_ is not bool):
        refusals.append(Refusal(path, reason, value))
    return value
