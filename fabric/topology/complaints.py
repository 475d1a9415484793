"""A schema's error as a sentence: what stands there, and what is allowed."""

from __future__ import annotations

import difflib
import ipaddress
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsonschema_rs

from fabric.netstate.objects import IPNetwork
from fabric.topology.document import Document, Path, cut

_TYPE_NAMES = {"object": "a mapping", "array": "a list", "string": "text", "integer": "a whole number"}


def complaints(document: Document, schema: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield (path, sentence) for everything in the document that breaks the schema."""
    validator = jsonschema_rs.validator_for(dict(schema))
    told: dict[tuple[Path, str], None] = {}
    for error in validator.iter_errors(document.value):
        path = _real(document.value, error.instance_path)
        *parents, keyword = error.schema_path
        told |= dict.fromkeys(_sentences(path, str(keyword), _at(schema, parents), _at(document.value, path)))
    yield from told


def show(value: Any) -> str:
    """The offending value, short enough for one line."""
    return cut(json.dumps(value, ensure_ascii=False, default=str))


def not_allowed(value: Any, allowed: str, *, is_text: bool) -> str:
    """The sentence's end on a value of another type; a text that YAML read as `true` or 8 has its remedy."""
    is_plain = value is None or isinstance(value, bool | int | float)
    remedy = "; YAML reads no text here: put it into quotes" if is_text and is_plain else ""
    return f"is {show(value)}; allowed: {allowed}{remedy}"


def dotted(path: Path) -> str:
    """`spec.nodes[0].name`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.lstrip(".") or "the file"


_NOT_OF_HOSTS = {
    "0.0.0.0/8": "means this network",
    "127.0.0.0/8": "is of loopbacks",
    "169.254.0.0/16": "is link-local",
    "224.0.0.0/4": "is of multicast groups",
    "255.255.255.255/32": "is the broadcast",
}


def range_of(text: str) -> IPNetwork:
    """Read a range for hosts; ValueError says which rule is broken, and how it would be right."""
    found = _network(text)
    for other, what in _NOT_OF_HOSTS.items():
        if found.version == 4 and found.overlaps(ipaddress.ip_network(other)):
            raise ValueError(f"no host can have an address of {other}, which {what}")
    return found


def _network(text: str) -> IPNetwork:
    if not text.rpartition("/")[2].isdigit() or "/" not in text:
        raise ValueError("it needs the length of its prefix, as in 10.244.0.0/16")
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        try:
            meant = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise error from None
        raise ValueError(f"{text} has host bits set; the range that it is in is {meant}") from None


def _sentences(path: Path, keyword: str, rule: Mapping[str, Any], value: Any) -> Iterator[tuple[Path, str]]:
    where = dotted(path)
    if keyword == "additionalProperties" and rule["additionalProperties"] is False:
        allowed = sorted(rule["properties"])
        for name in value:
            if name not in rule["properties"]:
                close = _closest(name, allowed)
                hint = f"; did you mean {close!r}?" if close else ""
                yield (*path, name), f"{where} has no key {name!r}{hint} (allowed: {', '.join(allowed)})"
    elif keyword == "required":
        missing = [name for name in rule["required"] if name not in value]
        yield path, f"{where} lacks {', '.join(map(repr, missing))}"
    else:
        yield path, f"{where} {not_allowed(value, _allowed(rule), is_text=rule.get('type') == 'string')}"


def _closest(name: str, allowed: Sequence[str]) -> str | None:
    folded = {other.lower(): other for other in allowed}
    found = difflib.get_close_matches(name.lower(), folded, 1)
    return folded[found[0]] if found else None


def _allowed(rule: Mapping[str, Any]) -> str:
    if "const" in rule:
        return json.dumps(rule["const"])
    if "enum" in rule:
        return ", ".join(rule["enum"])
    types = rule.get("type", "object")
    types = [types] if isinstance(types, str) else types
    size = f"{rule['minimum']} to {rule['maximum']}" if "maximum" in rule else ""
    length = f"{rule['minItems']} to {rule['maxItems']} entries" if "maxItems" in rule else ""
    names = [_TYPE_NAMES.get(name, name) for name in types]
    if size and length:
        own = {"integer": size, "number": size, "array": length}
        names = [f"{name} ({own[it]})" if it in own else name for it, name in zip(types, names, strict=True)]
        size = length = ""
    limits = [
        size,
        length,
        str(rule["title"]) if "pattern" in rule else "",
        f"at most {rule['maxLength']} characters" if "maxLength" in rule else "",
        "not empty" if rule.get("minLength") else "",
    ]
    return " or ".join(names) + "".join(f", {limit}" for limit in limits if limit)


def _real(value: Any, path: Sequence[str | int]) -> Path:
    """Return a path whose keys are text: the validator takes the key `2` of a mapping for a number."""
    found: list[str | int] = []
    for step in path:
        found.append(str(step) if isinstance(value, Mapping) else step)
        value = value[found[-1]]
    return tuple(found)


def _at(value: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        value = value[step]
    return value
