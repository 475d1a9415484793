"""Pod actions are computed, purely, from a pod's specification and its containers, as computePodActions does.

A pod's containers start only in a living sandbox; init containers one after the other, each when
the one before is done (a sidecar: when it runs); then all others at once. What has ended is started
again as `restartPolicy` says, after its back-off. For a settled pod the answer is: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from fabric.api.objects import Object, uid_of
from fabric.kubelet.backoff import KeyedBackoff
from fabric.kubelet.podspec import app_containers, init_containers, is_sidecar, restart_policy
from fabric.kubelet.records import PodView, Record, Waiting

CRASH_LOOP = "CrashLoopBackOff"


@dataclass(frozen=True)
class ContainerStart:
    """Start this container for the n-th time (0 is the first)."""

    container: Object
    restart_count: int
    after: Record | None = None
    """The end that this start follows; None for the first."""


@dataclass(frozen=True)
class PodActions:
    """The actions that a pod needs now, the containers that must wait and why, and when to ask again."""

    sandbox: Literal["keep", "start", "restart"] = "keep"
    start: tuple[ContainerStart, ...] = ()
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    wake_seconds: float | None = None


def outcome(pod: Object, view: PodView) -> Literal["", "Succeeded", "Failed"]:
    """The terminal phase that the pod has reached by itself, or "" while it has work to do."""
    policy = restart_policy(pod)
    for container in init_containers(pod):
        latest = view.latest(container["name"])
        if latest and latest.failed and not is_sidecar(container) and not _restarts(policy, latest):
            return "Failed"
    latest_all = [view.latest(container["name"]) for container in app_containers(pod)]
    ended = [latest for latest in latest_all if latest and not latest.running]
    if len(ended) < len(latest_all) or any(_restarts(policy, latest) for latest in ended):
        return ""
    return "Failed" if any(latest.failed for latest in ended) else "Succeeded"


def compute_pod_actions(pod: Object, view: PodView, backoff: KeyedBackoff, now: float) -> PodActions:
    """Return what brings a pod with no outcome nearer to its specification. `now` is epoch seconds."""
    candidates = _starts(pod, view)
    start: list[ContainerStart] = []
    waiting: dict[str, Waiting] = {}
    waits: list[float] = []
    for candidate in candidates:
        after = candidate.after
        key = restart_key(pod, candidate.container)
        seconds = backoff.remaining(key, after.finished_at, now) if after else 0.0
        if seconds > 0:
            waits.append(seconds)
            waiting[candidate.container["name"]] = Waiting(
                CRASH_LOOP, _crash_message(pod, candidate, backoff)
            )
        else:
            start.append(candidate)
    return PodActions(_sandbox(view), tuple(start), waiting, min(waits, default=None))


def restart_key(pod: Object, container: Object) -> str:
    """The key of a container's crash back-off; all keys of a pod start with its UID."""
    return f"{uid_of(pod)}/{container['name']}"


def initialized(pod: Object, view: PodView) -> bool:
    """True once every init container is done in this sandbox."""
    if any(_in_sandbox(view, container) for container in app_containers(pod)):
        return True
    return all(_is_done(container, view) for container in init_containers(pod))


def _sandbox(view: PodView) -> Literal["keep", "start", "restart"]:
    if view.sandbox == "alive":
        return "keep"
    return "start" if view.sandbox == "absent" else "restart"


def _starts(pod: Object, view: PodView) -> Iterator[ContainerStart]:
    for container in init_containers(pod):
        if initialized(pod, view):
            if is_sidecar(container) and not _runs(view.latest(container["name"])):
                yield _start(container, view)
        elif not _is_done(container, view):
            if not _runs(view.latest(container["name"])):
                yield _start(container, view)
            return
    for container in app_containers(pod):
        latest = view.latest(container["name"])
        if latest is None or (not latest.running and _restarts(restart_policy(pod), latest)):
            yield _start(container, view)


def _start(container: Object, view: PodView) -> ContainerStart:
    latest = view.latest(container["name"])
    return ContainerStart(container, latest.restart_count + 1 if latest else 0, latest)


def _is_done(init: Object, view: PodView) -> bool:
    latest = view.latest(init["name"])
    if latest is None or not latest.in_runtime:
        return False
    return latest.running if is_sidecar(init) else not latest.running and latest.exit_code == 0


def _in_sandbox(view: PodView, container: Object) -> bool:
    latest = view.latest(container["name"])
    return latest is not None and latest.in_runtime


def _runs(record: Record | None) -> bool:
    return record is not None and record.running


def _restarts(policy: str, ended: Record) -> bool:
    return policy == "Always" or (policy == "OnFailure" and ended.exit_code != 0)


def _crash_message(pod: Object, candidate: ContainerStart, backoff: KeyedBackoff) -> str:
    meta = pod["metadata"]
    delay = _duration(backoff.delay(restart_key(pod, candidate.container)))
    name = candidate.container["name"]
    return (
        f"back-off {delay} restarting failed container={name} "
        f"pod={meta['name']}_{meta['namespace']}({uid_of(pod)})"
    )


def _duration(seconds: float) -> str:
    """Return a duration as Go prints it: 10s, 1m20s, 5m0s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
