"""A ContainerStatus is computed from a container's records: waiting, running or terminated.

A container that ended and will be started again is `waiting` with its end in `lastState`; one that
stays ended is `terminated`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from fabric.api.objects import Object, timestamp
from fabric.kubelet.records import CONTAINER_ID_PREFIX, PodView, Record, Waiting


def container_status(container: Object, view: PodView, waiting: Waiting | None, *, ready: bool) -> Object:
    """Return the entry; `waiting` says why it does not run now, None that what it is in is where it stays."""
    name = container["name"]
    latest, previous = view.latest(name), view.previous(name)
    last = latest if waiting and latest and not latest.running else previous
    entry: Object = {
        "name": name,
        "image": (latest.image if latest else "") or container.get("image", ""),
        "imageID": latest.image_id if latest else "",
        "restartCount": latest.restart_count if latest else 0,
        "lastState": {"terminated": terminated(last)} if last else {},
        "state": _state(latest, waiting),
        "ready": ready,
        "started": latest is not None and latest.running,
    }
    if latest:
        entry["containerID"] = CONTAINER_ID_PREFIX + latest.id
    return entry


def terminated(record: Record) -> Object:
    """ContainerStateTerminated."""
    state: Object = {
        "exitCode": record.exit_code,
        "reason": record.reason or ("Error" if record.exit_code else "Completed"),
        "startedAt": _time(record.started_at),
        "finishedAt": _time(record.finished_at),
        "containerID": CONTAINER_ID_PREFIX + record.id,
    }
    if record.signal:
        state["signal"] = record.signal
    if record.message:
        state["message"] = record.message
    return state


def _state(latest: Record | None, waiting: Waiting | None) -> Object:
    if latest and latest.running:
        return {"running": {"startedAt": _time(latest.started_at)}}
    if waiting:
        message = {"message": waiting.message} if waiting.message else {}
        return {"waiting": {"reason": waiting.reason, **message}}
    return {"terminated": terminated(latest)} if latest else {"waiting": {"reason": "ContainerCreating"}}


def _time(seconds: float) -> str:
    return timestamp(datetime.fromtimestamp(seconds, UTC))
