"""A key that a controller parks is told of by an event on its object, as the kubelet does for its pods."""

from __future__ import annotations

from collections.abc import Callable

from fabric.api.objects import Key, Object
from fabric.control.events import Events
from fabric.control.informer import Informer

REASON = "FailedSync"


def tell(recorder: Events, informer: Informer) -> Callable[[Key | str, Exception], None]:
    """Return the `on_park` of a controller whose keys are those of the informer's objects, or their names."""

    def told(key: Key | str, bug: Exception) -> None:
        obj = informer.get(key if isinstance(key, Key) else Key("", key))
        if obj is not None:
            kind = informer.kind
            say(recorder, {**obj, "apiVersion": kind.api_version, "kind": kind.kind}, bug)

    return told


def say(recorder: Events, obj: Object, bug: Exception) -> None:
    """Say on the object why nothing happens to it."""
    text = (
        f"a bug in fabric keeps a controller from working on this {obj['kind']}: {type(bug).__name__}: {bug}"
    )
    recorder.event(obj, "Warning", REASON, text)
