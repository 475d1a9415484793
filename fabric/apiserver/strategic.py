"""Strategic merge patch: lists of named things merge by name instead of being replaced.

Follows k8s.io/apimachinery/pkg/util/strategicpatch. Merge keys come from the kind's shape. Directives:
`$patch: delete|replace|merge`, `$deleteFromPrimitiveList/<field>`, `$setElementOrder/<field>`,
`$retainKeys`. The result shares with the original all that the patch does not touch, and
takes time by the lengths of the lists, not by their product.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Any

from fabric.api.objects import Object
from fabric.apiserver.schema import FREE_FORM, Shape
from fabric.errors import BadRequest

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_ORDER = "$setElementOrder/"
_DELETE = "$deleteFromPrimitiveList/"
_SCALARS = frozenset((str, bool, int, float))
"""Types of values that take the place of what was there, whatever the field."""
_GONE = object()
"""The place of an item that the patch deletes."""


def merged(at: Shape, original: Object, patch: Object) -> Object:
    """Apply `patch` to `original`; BadRequest when a directive or a list item makes no sense."""
    directive = patch.get(_PATCH)
    if directive == "replace":
        return {name: value for name, value in patch.items() if name != _PATCH}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise BadRequest(f"unknown directive in strategic merge patch: $patch: {directive!r}")
    result = _retained(original, patch)
    directives = False
    for name, value in patch.items():
        if name.startswith("$"):
            directives = directives or name not in (_PATCH, _RETAIN)
        elif type(value) in _SCALARS:
            result[name] = value
        else:
            _merge_field(at.child(name), result, name, value)
    if directives:
        _follow_directives(at, result, patch)
    return result


def _follow_directives(at: Shape, result: Object, patch: Object) -> None:
    for name in patch:
        if name.startswith("$") and name not in (_PATCH, _RETAIN) and not name.startswith((_ORDER, _DELETE)):
            raise BadRequest(f"unknown directive in strategic merge patch: {name}")
    for name in _directed(patch, _DELETE):
        gone, before = set(map(_hashable, _listed(patch, _DELETE + name))), result.get(name)
        if isinstance(before, list):
            result[name] = [item for item in before if _hashable(item) not in gone]
    for name in _directed(patch, _ORDER):
        if isinstance(result.get(name), list):
            result[name] = _ordered(at.child(name), result[name], _listed(patch, _ORDER + name))


def _directed(patch: Object, prefix: str) -> list[str]:
    return [name[len(prefix) :] for name in patch if name.startswith(prefix)]


def _listed(patch: Object, directive: str) -> list[Any]:
    entries = patch[directive]
    if not isinstance(entries, list):
        raise BadRequest(f"strategic merge patch: {directive} must be a list, not {entries!r}")
    return entries


def _retained(original: Object, patch: Object) -> Object:
    if patch.get(_RETAIN) is None:
        return dict(original)
    retain = set(map(_hashable, _listed(patch, _RETAIN)))
    unlisted = [name for name in patch if not name.startswith("$") and name not in retain]
    if any(patch[name] is not None for name in unlisted):
        raise BadRequest("strategic merge patch: $retainKeys must list every field that the patch sets")
    return {name: value for name, value in original.items() if name in retain}


def _merge_field(at: Shape, result: Object, name: str, value: Any) -> None:
    before = result.get(name)
    if value is None:
        result.pop(name, None)
    elif isinstance(value, dict):
        _merge_object(at, result, name, value)
    elif isinstance(value, list) and "merge" in at.strategies:
        result[name] = _merged_list(at, before if isinstance(before, list) else [], value)
    else:
        result[name] = value


def _merge_object(at: Shape, result: Object, name: str, value: Object) -> None:
    before = result.get(name)
    if value.get(_PATCH) == "delete":
        result.pop(name, None)
    elif "replace" in at.strategies and _PATCH not in value:
        result[name] = value
    else:
        result[name] = merged(at, before if isinstance(before, dict) else {}, value)


def _merged_list(at: Shape, original: list[Any], patch: list[Any]) -> list[Any]:
    if any(isinstance(item, dict) and item.get(_PATCH) == "replace" and len(item) == 1 for item in patch):
        return [item for item in patch if not (isinstance(item, dict) and _PATCH in item)]
    if not at.merge_key:
        present = set(map(_hashable, original))
        return [*original, *(item for item in patch if _hashable(item) not in present)]
    result = list(original)
    places: dict[Hashable, list[int]] = {}
    for i, item in enumerate(original):
        if isinstance(item, dict):
            places.setdefault(_identity(at, item), []).append(i)
    for item in patch:
        _merge_item(at, result, places, item)
    return [item for item in result if item is not _GONE]


def _merge_item(at: Shape, result: list[Any], places: dict[Hashable, list[int]], item: Any) -> None:
    """Merge one item; `places` has the indices of the list's items by their merge key's value."""
    key = at.merge_key
    if not isinstance(item, dict) or key not in item:
        raise BadRequest(f"map: {item!r} does not contain declared merge key: {key}")
    identity = _identity(at, item)
    where = places.get(identity, [])
    directive = item.get(_PATCH)
    if directive == "delete":
        for i in places.pop(identity, []):
            result[i] = _GONE
    elif where and directive != "replace":
        result[where[0]] = merged(at.items or FREE_FORM, result[where[0]], item)
    else:
        fresh = merged(at.items or FREE_FORM, {}, {name: v for name, v in item.items() if name != _PATCH})
        if where:
            result[where[0]] = fresh
        else:
            places[identity] = [len(result)]
            result.append(fresh)


def _ordered(at: Shape, items: list[Any], order: list[Any]) -> list[Any]:
    """Items in the order asked for; those that the client did not know stay before their old successor."""
    wanted = [_identity(at, entry) for entry in order]
    rank = {identity: i for i, identity in enumerate(wanted)}
    known = sorted(
        (item for item in items if _identity(at, item) in rank), key=lambda i: rank[_identity(at, i)]
    )
    place = {_identity(at, item): i for i, item in enumerate(items)}
    result: list[Any] = []
    others = deque(item for item in items if _identity(at, item) not in rank)
    for item in known:
        while others and place[_identity(at, others[0])] < place[_identity(at, item)]:
            result.append(others.popleft())
        result.append(item)
    return [*result, *others]


def _identity(at: Shape, item: Any) -> Hashable:
    return _hashable(item.get(at.merge_key) if isinstance(item, dict) and at.merge_key else item)


def _hashable(value: Any) -> Hashable:
    return value if isinstance(value, Hashable) else repr(value)
