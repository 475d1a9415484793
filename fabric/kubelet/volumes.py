"""Volumes' files come from the API: configMap, secret, downwardAPI, and projections of them. Pure.

A `serviceAccountToken` projection is left out: there are no tokens. Which volumes have a content
at all is said by `CONTENT_SOURCES`.
"""

from __future__ import annotations

from collections.abc import Iterator

from fabric.api.kinds import CONFIG_MAP, SECRET, Kind
from fabric.api.objects import Object
from fabric.kubelet.environment import Sources, label, texts
from fabric.kubelet.fields import PodFacts, field_value, resource_value
from fabric.kubelet.payload import File
from fabric.kubelet.podspec import spec_of
from fabric.kubelet.records import MountFailed

CONTENT_SOURCES = ("configMap", "secret", "downwardAPI", "projected")
DEFAULT_MODE = 0o644


def volume_references(pod: Object) -> frozenset[tuple[Kind, str]]:
    """The maps and secrets that the pod's volumes refer to."""
    found = set()
    for volume in spec_of(pod).get("volumes") or ():
        for projection in _projections(volume):
            if projection.get("configMap"):
                found.add((CONFIG_MAP, _name(projection["configMap"])))
            if projection.get("secret"):
                found.add((SECRET, _name(projection["secret"])))
    return frozenset(found)


def has_content(volume: Object) -> bool:
    return any(source in volume for source in CONTENT_SOURCES)


def contents(volume: Object, facts: PodFacts, sources: Sources) -> dict[str, File]:
    """Return the files of a volume that has content; MountFailed says what is missing."""
    mode = _mode(next(volume[source] for source in CONTENT_SOURCES if source in volume))
    files: dict[str, File] = {}
    for projection in _projections(volume):
        if projection.get("configMap"):
            files |= _of_object(CONFIG_MAP, projection["configMap"], mode, facts, sources)
        elif projection.get("secret"):
            files |= _of_object(SECRET, projection["secret"], mode, facts, sources)
        elif projection.get("downwardAPI"):
            files |= dict(_of_fields(projection["downwardAPI"], mode, facts))
    return files


def _projections(volume: Object) -> Iterator[Object]:
    if "projected" in volume:
        yield from volume["projected"].get("sources") or ()
    else:
        yield {
            source: volume[source] for source in ("configMap", "secret", "downwardAPI") if source in volume
        }


def _of_object(kind: Kind, source: Object, mode: int, facts: PodFacts, sources: Sources) -> dict[str, File]:
    name = _name(source)
    obj = sources.get((kind, name))
    if obj is None:
        if source.get("optional"):
            return {}
        raise MountFailed(f'{label(kind)} "{name}" not found')
    data = texts(kind, obj)
    items = source.get("items")
    if not items:
        return {key: File(value, mode) for key, value in data.items()}
    files = {}
    for item in items:
        if item["key"] in data:
            files[_safe(item["path"])] = File(data[item["key"]], item.get("mode") or mode)
        elif not source.get("optional"):
            raise MountFailed(f"{label(kind)} references non-existent config key: {item['key']}")
    return files


def _of_fields(source: Object, mode: int, facts: PodFacts) -> Iterator[tuple[str, File]]:
    for item in source.get("items") or ():
        if item.get("fieldRef"):
            text = field_value(facts, item["fieldRef"].get("fieldPath", ""))
        else:
            ref = item.get("resourceFieldRef") or {}
            text = resource_value(facts, ref, ref.get("containerName", ""))
        yield _safe(item["path"]), File(text.encode(), item.get("mode") or mode)


def _name(source: Object) -> str:
    return str(source.get("name") or source.get("secretName") or "")


def _mode(source: Object) -> int:
    mode = source.get("defaultMode")
    return DEFAULT_MODE if mode is None else int(mode)


def _safe(path: str) -> str:
    if path.startswith(("/", "..")) or ".." in path.split("/"):
        raise MountFailed(f"path {path!r} must be relative and must not contain '..'")
    return path
