"""A pod's status as its kubelet owes it: phase, conditions, addresses, container states. Pure.

Probes are not run: a container that runs counts as started and ready. Conditions that others wrote (readiness
gates, DisruptionTarget) are kept as they are. A time of a transition moves only with its condition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fabric.api.objects import Object, changed_conditions, observed, timestamp
from fabric.kubelet.conditions import pod_conditions
from fabric.kubelet.containerstate import container_status
from fabric.kubelet.podactions import initialized, outcome
from fabric.kubelet.podspec import app_containers, init_containers, is_sidecar, is_terminal, status_of
from fabric.kubelet.records import PodView, Waiting


@dataclass(frozen=True)
class Observed:
    """The facts that the kubelet knows beside the runtime's view."""

    host_ips: tuple[str, ...]
    pod_ips: tuple[str, ...] = ()
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    """By container: why it does not run."""
    failure: tuple[str, str] | None = None
    """Reason and message when the kubelet itself ends the pod (DeadlineExceeded)."""
    stopping: bool = False
    """True while the pod is ended: nothing will be started again."""


def pod_status(pod: Object, before: Object, view: PodView, seen: Observed, now: datetime) -> Object:
    """Return the fields of the status that this kubelet owns, whole. `before` is the status that stands."""
    inits = _entries(init_containers(pod), pod, view, seen)
    apps = _entries(app_containers(pod), pod, view, seen)
    phase = _phase(pod, view, seen)
    status: Object = {
        "phase": phase,
        "conditions": pod_conditions(pod, before, _facts(pod, view, seen, phase, inits, apps), now),
        "startTime": before.get("startTime") or timestamp(now),
        "hostIP": seen.host_ips[0] if seen.host_ips else "",
        "hostIPs": [{"ip": ip} for ip in seen.host_ips],
        "containerStatuses": apps,
    }
    if inits:
        status["initContainerStatuses"] = inits
    if seen.pod_ips:
        status["podIP"] = seen.pod_ips[0]
        status["podIPs"] = [{"ip": ip} for ip in seen.pod_ips]
    if seen.failure:
        status["reason"], status["message"] = seen.failure
    return observed(pod, status)


_REPLACE = {"$patch": "replace"}
_ADDRESSES = ("podIPs", "hostIPs")
"""Lists with a merge key that have no other writer: they are replaced as wholes."""


def changes(before: Object, after: Object) -> Object:
    """Return what of `after` differs, as a strategic merge patch; empty when nothing changed.

    Conditions are told by their type, as others write conditions too.
    """
    changed = {name: value for name, value in after.items() if before.get(name) != value}
    if "conditions" in changed:
        changed["conditions"] = changed_conditions(before.get("conditions") or (), after["conditions"])
    for name in _ADDRESSES:
        if name in changed and before.get(name):
            changed[name] = [*after[name], _REPLACE]
    return {name: value for name, value in changed.items() if value or name != "conditions"}


def _phase(pod: Object, view: PodView, seen: Observed) -> str:
    if is_terminal(status_of(pod)):
        return str(status_of(pod)["phase"])
    if seen.failure and not view.running():
        return "Failed"
    ended = outcome(pod, view)
    if ended:
        return ended
    latest = [view.latest(container["name"]) for container in app_containers(pod)]
    if seen.stopping and latest and not view.running():
        return "Failed"
    if all(latest) and latest:
        return "Running"
    return "Pending"


def _facts(
    pod: Object, view: PodView, seen: Observed, phase: str, inits: Sequence[Object], apps: Sequence[Object]
) -> Mapping[str, tuple[bool, str, str]]:
    """Condition type -> (holds, reason, message)."""
    done = phase == "Succeeded" or (phase != "Failed" and initialized(pod, view))
    unfinished = [entry["name"] for entry in inits if not _finished(pod, entry)]
    unready = [entry["name"] for entry in apps if not entry["ready"]]
    completed = phase in ("Succeeded", "Failed")
    reason = f"Pod{'Completed' if phase == 'Succeeded' else 'Failed'}" if completed else "ContainersNotReady"
    message = "" if completed or not unready else f"containers with unready status: [{' '.join(unready)}]"
    not_ready = (reason, message)
    ready = not completed and not unready and done
    init_message = f"containers with incomplete status: [{' '.join(unfinished)}]" if unfinished else ""
    return {
        "PodReadyToStartContainers": (view.sandbox == "alive" and bool(seen.pod_ips), "", ""),
        "Initialized": (done, "" if done else "ContainersNotInitialized", "" if done else init_message),
        "Ready": (ready, *(("", "") if ready else not_ready)),
        "ContainersReady": (ready, *(("", "") if ready else not_ready)),
    }


def _finished(pod: Object, entry: Object) -> bool:
    sidecars = {container["name"] for container in init_containers(pod) if is_sidecar(container)}
    terminated = entry["state"].get("terminated")
    return entry["name"] in sidecars or (terminated is not None and terminated["exitCode"] == 0)


def _entries(containers: Sequence[Object], pod: Object, view: PodView, seen: Observed) -> list[Object]:
    entries = []
    for container in containers:
        name = container["name"]
        latest = view.latest(name)
        running = latest is not None and latest.running
        ready = running
        if container in init_containers(pod) and not is_sidecar(container):
            ready = latest is not None and not latest.running and latest.exit_code == 0
        waiting = seen.waiting.get(name) or _default_waiting(pod, container, view, seen)
        entries.append(container_status(container, view, waiting, ready=ready))
    return entries


def _default_waiting(pod: Object, container: Object, view: PodView, seen: Observed) -> Waiting | None:
    if view.latest(container["name"]) is not None or seen.stopping:
        return None
    is_init = container in init_containers(pod)
    return Waiting("ContainerCreating" if is_init or initialized(pod, view) else "PodInitializing")
