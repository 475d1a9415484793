"""The cells of `kubectl get pods` for a pod: `Init:0/1`, `CrashLoopBackOff`, `2 (5m ago)`, ….

The status of a pod is its phase, unless a container has something more telling to say; a deletion
under way beats both.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from fabric.api.objects import Object, condition, condition_is, is_deleting
from fabric.apiserver.durations import age

NONE = "<none>"

_TERMINAL = ("Succeeded", "Failed")
_NODE_LOST = "NodeLost"


def ready(pod: Object, now: datetime) -> str:
    """Containers that are ready, of all that run for the pod's life (sidecars count)."""
    spec, status = _spec(pod), _status(pod)
    sidecars = _sidecars(pod)
    total = len(spec.get("containers") or ()) + len(sidecars)
    up = [c for c in status.get("initContainerStatuses") or () if c["name"] in sidecars and c.get("ready")]
    if _init_word(pod) is None or condition_is(pod, "Initialized"):
        up += [c for c in status.get("containerStatuses") or () if _is_up(c)]
    return f"{len(up)}/{total}"


def status(pod: Object, now: datetime) -> str:
    """The one word, or two, that say how the pod does."""
    found = _status(pod)
    if is_deleting(pod) and found.get("reason") == _NODE_LOST:
        return "Unknown"
    if is_deleting(pod) and found.get("phase") not in _TERMINAL:
        return "Terminating"
    scheduled = condition(pod, "PodScheduled") or {}
    word = found.get("reason") or found.get("phase") or ""
    if scheduled.get("reason") == "SchedulingGated":
        word = "SchedulingGated"
    init = _init_word(pod)
    if init is not None and not condition_is(pod, "Initialized"):
        return init
    return _container_word(pod) or init or str(word)


def restarts(pod: Object, now: datetime) -> str:
    """The number of restarts of containers, and the age of the last."""
    found = _status(pod)
    counted = list(found.get("initContainerStatuses") or ())
    if _init_word(pod) is None or condition_is(pod, "Initialized"):
        sidecars = _sidecars(pod)
        counted = [c for c in counted if c["name"] in sidecars]
        counted += found.get("containerStatuses") or ()
    count = sum(int(c.get("restartCount") or 0) for c in counted)
    ends = [((c.get("lastState") or {}).get("terminated") or {}).get("finishedAt") for c in counted]
    last = max(filter(None, ends), default=None)
    return f"{count} ({age(last, now)} ago)" if count and last else str(count)


def ip(pod: Object, now: datetime) -> str:
    """The pod's first address."""
    found = _status(pod)
    addresses = found.get("podIPs") or [{"ip": found.get("podIP")}]
    return addresses[0].get("ip") or NONE


def readiness_gates(pod: Object, now: datetime) -> str:
    """Gates that are open, of all."""
    gates = _spec(pod).get("readinessGates") or ()
    if not gates:
        return NONE
    return f"{sum(condition_is(pod, gate['conditionType']) for gate in gates)}/{len(gates)}"


def _init_word(pod: Object) -> str | None:
    """The state of the first unfinished init container; None when none holds the pod up."""
    sidecars = _sidecars(pod)
    statuses = _status(pod).get("initContainerStatuses") or ()
    for done, container in enumerate(statuses):
        state = container.get("state") or {}
        end, waiting = state.get("terminated"), (state.get("waiting") or {}).get("reason")
        if end and not end.get("exitCode"):
            continue
        if container["name"] in sidecars and container.get("started"):
            continue
        if end:
            return "Init:" + (end.get("reason") or _exit_word(end))
        if waiting and waiting != "PodInitializing":
            return f"Init:{waiting}"
        return f"Init:{done}/{len(_spec(pod).get('initContainers') or ())}"
    return None


def _container_word(pod: Object) -> str:
    """The reason of the first container that waits or has ended; empty when all just run."""
    statuses = _status(pod).get("containerStatuses") or ()
    word = next(filter(None, map(_state_word, statuses)), "")
    if word == "Completed" and any(map(_is_up, statuses)):
        return "Running" if condition_is(pod, "Ready") else "NotReady"
    return word


def _state_word(container: Object) -> str:
    state = container.get("state") or {}
    waiting, end = (state.get("waiting") or {}).get("reason"), state.get("terminated")
    if waiting:
        return str(waiting)
    return str(end.get("reason") or _exit_word(end)) if end else ""


def _exit_word(end: dict[str, Any]) -> str:
    return f"Signal:{end['signal']}" if end.get("signal") else f"ExitCode:{end.get('exitCode', 0)}"


def _is_up(container: Object) -> bool:
    state = container.get("state") or {}
    # An ended or waiting container is down whatever its readiness still says.
    return bool(container.get("ready") and state.get("running") is not None and not _state_word(container))


def _sidecars(pod: Object) -> frozenset[str]:
    containers: Iterable[Object] = _spec(pod).get("initContainers") or ()
    return frozenset(c["name"] for c in containers if c.get("restartPolicy") == "Always")


def _spec(pod: Object) -> Object:
    return pod.get("spec") or {}


def _status(pod: Object) -> Object:
    return pod.get("status") or {}
