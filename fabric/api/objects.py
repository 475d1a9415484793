"""Objects are plain JSON; these functions read what all components need: names, labels, conditions, times.

An object is what the API sends: `{"apiVersion", "kind", "metadata", "spec", "status"}`. Whoever
gets one from a cache must not write into it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

Object = dict[str, Any]
"""One API object as JSON."""


class Key(NamedTuple):
    """The name of an object within its kind; `namespace` is empty for cluster-scoped kinds."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def key_of(obj: Object) -> Key:
    meta = obj["metadata"]
    return Key(meta.get("namespace") or "", meta["name"])


def uid_of(obj: Object) -> str:
    return str(obj["metadata"].get("uid", ""))


def sandbox_id(uid: str) -> str:
    """Return the id of a pod's sandbox, 64 hex digits as a container runtime gives; it follows from the UID.

    A restarted component, and whoever knows an orphan's UID only, therefore finds the same one.
    """
    return hashlib.sha256(f"{uid}/POD".encode()).hexdigest()


def labels_of(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def is_deleting(obj: Object) -> bool:
    """True once somebody asked for the deletion and finalizers or grace still hold the object."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def resource_version_of(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))


_TEXTS = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp")
_MAPS = ("labels", "annotations")


def has_plain_metadata(obj: Object) -> bool:
    """Whether name, labels and the like are of the types that everybody takes them to be of."""
    meta = obj.get("metadata")
    if not isinstance(meta, dict) or not meta.get("name"):
        return False
    texts = (meta.get(field) for field in _TEXTS)
    maps = (meta.get(field) or {} for field in _MAPS)
    return (
        all(isinstance(value, str | None) for value in texts)
        and all(isinstance(value, dict) and all(type(v) is str for v in value.values()) for value in maps)
        and all(isinstance(value, str) for value in meta.get("finalizers") or ())
    )


def condition(obj: Object, type_: str) -> Object | None:
    """The condition of that type in the status, or None."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c.get("type") == type_), None)


def condition_is(obj: Object, type_: str, status: str = "True") -> bool:
    found = condition(obj, type_)
    return found is not None and found.get("status") == status


def observed(obj: Object, told: Object) -> Object:
    """A status or condition with the object's generation that it tells of, where generations are counted."""
    generation = obj["metadata"].get("generation")
    return {**told, "observedGeneration": generation} if generation else told


def changed_conditions(before: Iterable[Object], after: Iterable[Object]) -> list[Object]:
    """Return the conditions that differ, as items of a strategic merge patch.

    Each is told whole: a reason or message that it has no more is null, so that none of an older one stays.
    Conditions of other writers are not named, and so not touched.
    """
    standing = {entry.get("type"): entry for entry in before}
    return [
        {"reason": None, "message": None, **entry}
        for entry in after
        if standing.get(entry.get("type")) != entry
    ]


SECONDS_MAX = 100 * 365 * 86400
"""A longer duration means for ever, and no clock has to reckon with it."""


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC to the second, as metav1.Time."""
    return _rfc3339(moment, "seconds")


def micro_timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC to the microsecond, as metav1.MicroTime."""
    return _rfc3339(moment, "microseconds")


def _rfc3339(moment: datetime, unit: str) -> str:
    """Write a year in four digits, which strftime does not do before 1000."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=unit) + "Z"


def parse_timestamp(text: str) -> datetime:
    """Read metav1.Time or MicroTime."""
    return datetime.fromisoformat(text)
