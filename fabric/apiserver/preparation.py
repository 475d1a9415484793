"""Preparation makes a client's object the one to be stored, by pure steps that are the same for every kind.

Decode (prune, check types), take over what the client may not change, fill defaults, check the rules.
Each step shares what it does not change, so a status write never walks the spec.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from fabric.api.kinds import NAMESPACE, Kind
from fabric.api.objects import Object
from fabric.apiserver import decoding, go_types, unmarshalling, zero_values
from fabric.apiserver.decoding import TypeFault
from fabric.apiserver.metadata import before_create, before_update, metadata_faults
from fabric.apiserver.options import WriteOptions
from fabric.apiserver.refusals import Cause, invalid, modified
from fabric.apiserver.strategies import strategy_of
from fabric.errors import BadRequest, Conflict
from fabric.plugin.served import ServedKind

_PATH_NAMED_GROUPS = frozenset({"rbac.authorization.k8s.io"})
UNKNOWN_FIELDS_MAX = 10


def decoded(kind: Kind, obj: Object, options: WriteOptions, known: Object | None = None) -> Object:
    """The object with known fields only, of this kind and of the right types.

    What it shares with `known`, an object of the server's own, is not looked at again.
    """
    if not isinstance(obj, dict) or not isinstance(obj.get("metadata") or {}, dict):
        raise BadRequest(f"the body is not an object of kind {kind.kind}")
    _check_type(kind, obj)
    unknown: list[str] = []
    try:
        clean = decoding.pruned(kind, obj, unknown.append, known)
    except RecursionError:
        raise BadRequest("the object is nested too deeply") from None
    if unknown:
        _tell_unknown(unknown, options)
    faults = list(decoding.type_faults(kind, clean))
    if faults:
        _refuse_types(kind, clean, faults)
        clean = zero_values.filled(kind, clean, [fault.cause.field for fault in faults])
    clean = go_types.without_empty(kind.api_version, kind.kind, clean, known)
    own = {"kind": kind.kind, "apiVersion": kind.api_version}
    return {**own, "metadata": {}, **clean, **own}  # An empty kind is none, and was not refused.


def _refuse_types(kind: Kind, obj: Object, faults: Sequence[TypeFault]) -> None:
    """Raise BadRequest for what Go's decoder would not read, Invalid for what is missing.

    A plugin's kind has a schema in upstream's server and no Go type: there all of it is Invalid.
    """
    wrong = [(fault.path, fault.value) for fault in faults if not fault.is_missing]
    if wrong and not isinstance(kind, ServedKind):
        raise unmarshalling.Undecodable(kind, wrong)
    meta = obj.get("metadata")
    name = str(meta.get("name", "")) if isinstance(meta, dict) else ""
    _raise(kind, name, [fault.cause for fault in faults if not _is_zero_value(fault.cause)])


def _is_zero_value(cause: Cause) -> bool:
    """True for a missing field of a status: it gets its zero value."""
    return cause.reason == "FieldValueRequired" and cause.field.startswith("status.")


def _check_type(kind: Kind, obj: Object) -> None:
    version, name = obj.get("apiVersion"), obj.get("kind")
    if version and version != kind.api_version:
        raise BadRequest(
            f"the API version in the data ({version}) does not match the expected API version "
            f"({kind.api_version})"
        )
    if name and name != kind.kind:
        raise BadRequest(f"the kind in the data ({name}) does not match the expected kind ({kind.kind})")


def _tell_unknown(unknown: list[str], options: WriteOptions) -> None:
    messages = [f'unknown field "{field}"' for field in unknown[:UNKNOWN_FIELDS_MAX]]
    if options.field_validation == "Strict":
        raise BadRequest(f"strict decoding error: {', '.join(messages)}")
    if options.field_validation == "Warn":
        for message in messages:
            options.warn(message)


def _raise(kind: Kind, name: str, causes: Iterable[Cause]) -> None:
    found = list(causes)
    if found:
        raise invalid(kind, name, found)


def namespace_of(meta: Object, namespace: str) -> str:
    """The namespace of an object that is to be created: its own, or that of the request."""
    named = meta.get("namespace") or ""
    if named and namespace and named != namespace:
        raise BadRequest(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if not named and not namespace:
        raise BadRequest("an empty namespace may not be set during creation")
    return str(namespace or named)


def object_of_put(kind: Kind, namespace: str, name: str, obj: Object, options: WriteOptions) -> Object:
    """Decode an object that a PUT creates; Conflict when the client means one that was there, by its UID."""
    obj = decoded(kind, obj, options)
    check_same(kind, {"metadata": {"name": name, "namespace": namespace}}, obj)
    return {**obj, "metadata": {**obj["metadata"], "name": name}}


def new_object(kind: Kind, namespace: str, obj: Object, name: str, now: datetime) -> Object:
    """A decoded object as it is created: identity, defaults, no status of the client's making."""
    strategy = strategy_of(kind)
    obj = before_create(obj, namespace, name, now, generation=strategy.tracks_generation and "spec" in obj)
    if "status" in kind.subresources and not strategy.keeps_status_on_create:
        obj = {field: value for field, value in obj.items() if field != "status"}
        if strategy.initial_status:
            obj["status"] = strategy.initial_status
    obj = strategy.default_status(strategy.default(strategy.prepare_for_create(obj)))
    check(kind, obj)
    return obj


def check(kind: Kind, obj: Object) -> None:
    """Raise Invalid with every fault of metadata and content."""
    strategy = strategy_of(kind)
    path = kind.group in _PATH_NAMED_GROUPS
    faults = [
        *metadata_faults(kind, obj, label_name=strategy.label_name, path_name=path),
        *strategy.check(obj),
        *(strategy.check_status(obj) if strategy.keeps_status_on_create else ()),
    ]
    _raise(kind, obj["metadata"].get("name", ""), faults)


def changed_object(kind: Kind, old: Object, new: Object, subresource: str, options: WriteOptions) -> Object:
    """The object to be stored for an update of `old` to `new`; `old` itself when nothing changes."""
    new = decoded(kind, new, options, old)
    check_same(kind, old, new)
    strategy = strategy_of(kind)
    new = _scoped(kind, old, before_update(new, old), subresource)
    new = _shared(new, old)
    _keep_finalizers(kind, old, new)
    if new.get("status") is not old.get("status"):
        new = strategy.default_status(new)
        _raise(kind, new["metadata"]["name"], strategy.check_status(new))
    if _differs(new, old, "status"):
        if not subresource:
            new = strategy.prepare_for_update(new, old)
        new = _shared(strategy.default(new), old)
        check(kind, new)
        _raise(kind, new["metadata"]["name"], strategy.check_update(new, old))
    if not _differs(new, old):
        return old
    return _next_generation(new, old) if "generation" in old["metadata"] else new


def _differs(new: Object, old: Object, *aside: str) -> bool:
    """Whether any top-level field is not the old object's own, those `aside` left out."""
    return any(
        new.get(field) is not old.get(field) for field in new.keys() | old.keys() if field not in aside
    )


def check_same(kind: Kind, old: Object, new: Object) -> None:
    """Conflict when the client means another version or another object of that name.

    An `old` without version and UID is one that is not there: no version can be another one then.
    """
    before, after = old["metadata"], new["metadata"]
    name = before["name"]
    version = after.get("resourceVersion")
    if version and version != "0" and version != before.get("resourceVersion", version):
        raise modified(kind, name)
    if after.get("name") not in (None, "", name):
        raise BadRequest(
            f"the name of the object ({after['name']}) does not match the name on the URL ({name})"
        )
    if after.get("namespace") not in (None, "", before.get("namespace", "")):
        raise BadRequest(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    uid = before.get("uid", "")
    if after.get("uid") not in (None, "", uid):
        raise Conflict(
            f'Operation cannot be fulfilled on {kind.group_resource} "{name}": Precondition failed: UID in '
            f"precondition: {after['uid']}, UID in object meta: {uid}"
        )


def _scoped(kind: Kind, old: Object, new: Object, subresource: str) -> Object:
    """Keep to the part that the request may write: all but the status, or only the status."""
    if subresource == "status":
        return {**old, "metadata": new["metadata"], "status": new.get("status", {})}
    if kind.names_same_as(NAMESPACE):
        return _namespace_scoped(old, new, subresource)
    if "status" not in kind.subresources:
        return new
    scoped = {field: value for field, value in new.items() if field != "status"}
    if "status" in old:
        scoped["status"] = old["status"]
    return scoped


def _namespace_scoped(old: Object, new: Object, subresource: str) -> Object:
    """A namespace's spec is its finalizers, and only `finalize` writes them."""
    if subresource == "finalize":
        return {
            **old,
            "spec": {**old.get("spec", {}), "finalizers": new.get("spec", {}).get("finalizers", [])},
        }
    return {**old, "metadata": new["metadata"]}


def _shared(new: Object, old: Object) -> Object:
    """The new object with the old one's parts where they are equal."""
    return {field: old[field] if old.get(field) == value else value for field, value in new.items()}


def _keep_finalizers(kind: Kind, old: Object, new: Object) -> None:
    """Nothing new may hold an object that is being deleted."""
    if "deletionTimestamp" not in old["metadata"]:
        return
    added = set(new["metadata"].get("finalizers") or ()) - set(old["metadata"].get("finalizers") or ())
    if added:
        why = "no new finalizers can be added if the object is being deleted, found new finalizers "
        why += str(sorted(added))
        cause = Cause("FieldValueForbidden", "metadata.finalizers", f"Forbidden: {why}")
        raise invalid(kind, old["metadata"]["name"], [cause])


def _next_generation(new: Object, old: Object) -> Object:
    if new.get("spec") is old.get("spec"):
        return new
    return {**new, "metadata": {**new["metadata"], "generation": old["metadata"]["generation"] + 1}}
