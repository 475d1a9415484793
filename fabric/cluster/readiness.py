"""Is a pod up, and if not, why: read from its status alone."""

from __future__ import annotations

from typing import Any

from fabric.api.objects import Object, condition_is, is_deleting


def is_up(pod: Object) -> bool:
    """True for a pod that is Ready, or that has done its work."""
    phase = (pod.get("status") or {}).get("phase")
    return not is_deleting(pod) and (phase == "Succeeded" or condition_is(pod, "Ready"))


def why_not_up(pod: Object) -> str:
    """The first reason that the pod's status gives: waiting containers, or conditions that are not true."""
    if is_deleting(pod):
        return "being deleted"
    status: dict[str, Any] = pod.get("status") or {}
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        waiting = container.get("state", {}).get("waiting")
        if waiting:
            return f"{waiting.get('reason', 'waiting')} {waiting.get('message', '')}".strip()
    for found in status.get("conditions", ()):
        if found.get("status") != "True" and found.get("message"):
            return str(found["message"])
    return str(status.get("phase", "Pending"))
