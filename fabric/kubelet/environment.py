"""A container's environment: `envFrom`, then `env` in order, each value expanded with those before it.

The maps and secrets it refers to are fetched before; a missing one that is not optional is a ConfigError
in Kubernetes' words.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping

from fabric.api.kinds import CONFIG_MAP, SECRET, Kind
from fabric.api.objects import Object
from fabric.kubelet.expansion import check_room, expand
from fabric.kubelet.fields import PodFacts, field_value, resource_value
from fabric.kubelet.records import ConfigError

Sources = Mapping[tuple[Kind, str], Object | None]
"""(ConfigMap or Secret, name) -> the object in the pod's namespace, None when it does not exist."""

_NAME = re.compile(r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")


def references(container: Object) -> frozenset[tuple[Kind, str]]:
    """The maps and secrets that the container's environment refers to."""
    found = set()
    for source in container.get("envFrom") or ():
        for kind, field in ((CONFIG_MAP, "configMapRef"), (SECRET, "secretRef")):
            if source.get(field):
                found.add((kind, _name(source[field])))
    for variable in container.get("env") or ():
        origin = variable.get("valueFrom") or {}
        for kind, field in ((CONFIG_MAP, "configMapKeyRef"), (SECRET, "secretKeyRef")):
            if origin.get(field):
                found.add((kind, _name(origin[field])))
    return frozenset(found)


def environment(container: Object, facts: PodFacts, sources: Sources) -> dict[str, str]:
    """Return the variables that the pod asks for; ConfigError or CreateFailed says why there are none."""
    variables: dict[str, str] = {}
    size = 0
    for found in _found(container, facts, sources, variables):
        size += sum(len(value) - len(variables.get(name, "")) for name, value in found.items())
        check_room(size)
        variables |= found
    return variables


def _found(
    container: Object, facts: PodFacts, sources: Sources, before: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """Yield the variables source by source; `before` holds all that came before the one asked for."""
    for source in container.get("envFrom") or ():
        yield _all_of(source, sources, facts)
    for variable in container.get("env") or ():
        value = _value(variable, container, facts, sources, before)
        if value is not None:
            yield {variable["name"]: value}


def texts(kind: Kind, obj: Object) -> dict[str, bytes]:
    """The data of a ConfigMap or Secret, decoded."""
    plain, encoded = ("data", "binaryData") if kind is CONFIG_MAP else ("stringData", "data")
    values = {key: str(value).encode() for key, value in (obj.get(plain) or {}).items()}
    for key, value in (obj.get(encoded) or {}).items():
        try:
            values[key] = base64.b64decode(value)
        except (binascii.Error, ValueError):
            raise ConfigError(
                f"{label(kind)} {obj['metadata']['name']!r}: key {key!r} is not base64"
            ) from None
    return values


def label(kind: Kind) -> str:
    """Return a kind's name in the kubelet's messages: configmap, secret."""
    return kind.singular


def _all_of(source: Object, sources: Sources, facts: PodFacts) -> dict[str, str]:
    kind, ref = (
        (CONFIG_MAP, source.get("configMapRef"))
        if source.get("configMapRef")
        else (SECRET, source.get("secretRef"))
    )
    if not ref:
        return {}
    obj = sources.get((kind, _name(ref)))
    if obj is None:
        if ref.get("optional"):
            return {}
        raise ConfigError(f'{label(kind)} "{_name(ref)}" not found')
    prefix = source.get("prefix") or ""
    named = {prefix + key: value for key, value in _words(kind, obj).items()}
    return {key: value for key, value in named.items() if _NAME.match(key)}


def _name(ref: Object) -> str:
    """The API lets a reference have no name; there is no object of the empty name."""
    return str(ref.get("name") or "")


def _words(kind: Kind, obj: Object) -> dict[str, str]:
    """Return the keys that may become variables: all of a Secret, but no `binaryData` of a ConfigMap."""
    allowed = {**obj, "binaryData": {}} if kind is CONFIG_MAP else obj
    return {key: value.decode(errors="replace") for key, value in texts(kind, allowed).items()}


def _value(
    variable: Object, container: Object, facts: PodFacts, sources: Sources, before: Mapping[str, str]
) -> str | None:
    origin = variable.get("valueFrom")
    if not origin:
        return expand(str(variable.get("value") or ""), before)
    if origin.get("fieldRef"):
        return field_value(facts, origin["fieldRef"].get("fieldPath", ""))
    if origin.get("resourceFieldRef"):
        return resource_value(facts, origin["resourceFieldRef"], container["name"])
    for kind, field in ((CONFIG_MAP, "configMapKeyRef"), (SECRET, "secretKeyRef")):
        if origin.get(field):
            return _key_of(kind, origin[field], facts, sources)
    raise ConfigError(f"env {variable['name']!r}: valueFrom has no source that is known here")


def _key_of(kind: Kind, ref: Object, facts: PodFacts, sources: Sources) -> str | None:
    obj = sources.get((kind, _name(ref)))
    if obj is None:
        if ref.get("optional"):
            return None
        raise ConfigError(f'{label(kind)} "{_name(ref)}" not found')
    value = _words(kind, obj).get(ref["key"])
    if value is not None:
        return value
    if ref.get("optional"):
        return None
    namespace = facts.pod["metadata"].get("namespace", "")
    raise ConfigError(f"couldn't find key {ref['key']} in {kind.kind} {namespace}/{_name(ref)}")
