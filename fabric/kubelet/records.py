"""Records of a pod's containers come from the runtime, and where it has none, from the pod's status.

A record is one start of one container. The runtime forgets with the sandbox; what the pod's status
remembers then stands in, so that restart counts go on and nothing is run twice under `Never`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from fabric.api.objects import Object, parse_timestamp
from fabric.errors import FabricError
from fabric.runtime.contract import ContainerStatus

LABEL_UID = "io.kubernetes.pod.uid"
LABEL_NAME = "io.kubernetes.pod.name"
LABEL_NAMESPACE = "io.kubernetes.pod.namespace"
LABEL_CONTAINER = "io.kubernetes.container.name"
LABEL_RESTARTS = "io.kubernetes.container.restartCount"
LABEL_IMAGE = "io.kubernetes.container.image"
LABEL_IMAGE_ID = "io.kubernetes.container.imageID"

CONTAINER_ID_PREFIX = "fabric://"
LOST_EXIT_CODE = 137
LOST_MESSAGE = "The container could not be located when the pod was synced; it may have died with its node"


@dataclass(frozen=True, slots=True)
class Record:
    """A start of a container. Times are seconds since the epoch."""

    id: str
    name: str
    running: bool
    restart_count: int
    started_at: float
    finished_at: float = 0.0
    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    image: str = ""
    image_id: str = ""
    in_runtime: bool = True

    @property
    def failed(self) -> bool:
        return not self.running and self.exit_code != 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container does not run."""

    reason: str
    message: str = ""


class ConfigError(FabricError):
    """The pod refers to something that is not there, or not as it says: `CreateContainerConfigError`."""


class CreateFailed(FabricError):
    """The container cannot be made on this node: `CreateContainerError`."""


class MountFailed(FabricError):
    """A volume cannot be set up: event `FailedMount`, and the pod waits."""


@dataclass(frozen=True)
class PodView:
    """A pod as the runtime and its own status show it."""

    sandbox: Literal["absent", "alive", "dead"] = "absent"
    records: Mapping[str, tuple[Record, ...]] = field(default_factory=dict)
    """By container name, the newest first."""

    def latest(self, name: str) -> Record | None:
        records = self.records.get(name)
        return records[0] if records else None

    def previous(self, name: str) -> Record | None:
        records = self.records.get(name) or ()
        return records[1] if len(records) > 1 else None

    def running(self) -> tuple[Record, ...]:
        """Containers that are alive in the runtime."""
        every = (record for records in self.records.values() for record in records)
        return tuple(record for record in every if record.running and record.in_runtime)


def container_id(uid: str, name: str, restart_count: int) -> str:
    """64 hex digits that name this start of this container for ever: a repeated start finds the first."""
    return hashlib.sha256(f"{uid}/{name}/{restart_count}".encode()).hexdigest()


def records_of(status: Object, containers: Iterable[ContainerStatus]) -> dict[str, tuple[Record, ...]]:
    """Merge the runtime's containers with what the pod's status remembers, by container name."""
    found: dict[str, dict[int, Record]] = {}
    for remembered in _remembered(status):
        found.setdefault(remembered.name, {})[remembered.restart_count] = remembered
    for container in containers:
        record = _of_runtime(container)
        found.setdefault(record.name, {})[record.restart_count] = record
    return {name: tuple(by[n] for n in sorted(by, reverse=True)) for name, by in found.items()}


def _of_runtime(container: ContainerStatus) -> Record:
    labels = container.labels
    exit_code = container.exit_code
    return Record(
        id=container.id,
        name=container.name,
        running=container.state == "running",
        restart_count=int(labels.get(LABEL_RESTARTS, "0")),
        started_at=container.started_at,
        finished_at=container.finished_at,
        exit_code=255 if exit_code is None and container.state == "exited" else exit_code or 0,
        signal=container.signal,
        reason=container.reason,
        message=container.message,
        image=labels.get(LABEL_IMAGE, ""),
        image_id=labels.get(LABEL_IMAGE_ID, ""),
    )


def _remembered(status: Object) -> Iterable[Record]:
    for entry in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        restarts = int(entry.get("restartCount") or 0)
        state = entry.get("state") or {}
        last = (entry.get("lastState") or {}).get("terminated")
        if state.get("running"):
            yield _lost(entry, state["running"], restarts)
        elif state.get("terminated"):
            yield _terminated(entry, state["terminated"], restarts)
        elif last:
            yield _terminated(entry, last, restarts)
            continue
        if last and restarts > 0:
            yield _terminated(entry, last, restarts - 1)


def _lost(entry: Object, running: Object, restarts: int) -> Record:
    """The status says that it runs, and the runtime does not know it."""
    started = _seconds(running.get("startedAt"))
    return Record(
        id=_bare_id(entry.get("containerID")),
        name=entry.get("name", ""),
        running=False,
        restart_count=restarts,
        started_at=started,
        finished_at=started,
        exit_code=LOST_EXIT_CODE,
        reason="ContainerStatusUnknown",
        message=LOST_MESSAGE,
        image=entry.get("image", ""),
        image_id=entry.get("imageID", ""),
        in_runtime=False,
    )


def _terminated(entry: Object, state: Object, restarts: int) -> Record:
    return Record(
        id=_bare_id(state.get("containerID") or entry.get("containerID")),
        name=entry.get("name", ""),
        running=False,
        restart_count=restarts,
        started_at=_seconds(state.get("startedAt")),
        finished_at=_seconds(state.get("finishedAt")),
        exit_code=int(state.get("exitCode") or 0),
        signal=int(state.get("signal") or 0),
        reason=state.get("reason", ""),
        message=state.get("message", ""),
        image=entry.get("image", ""),
        image_id=entry.get("imageID", ""),
        in_runtime=False,
    )


def _bare_id(text: str | None) -> str:
    return (text or "").removeprefix(CONTAINER_ID_PREFIX)


def _seconds(text: str | None) -> float:
    return parse_timestamp(text).timestamp() if text else 0.0
