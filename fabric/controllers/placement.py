"""Where pods are: the index of pods by their node, and what the controllers ask of a pod's end."""

from __future__ import annotations

from collections.abc import Iterable

from fabric.api.objects import Object

PODS_BY_NODE = "pods by node, for the controllers"


def node_name(pod: Object) -> str:
    """The node that the pod was bound to; empty while it is not."""
    return (pod.get("spec") or {}).get("nodeName") or ""


def node_names(pod: Object) -> Iterable[str]:
    """The index function: pods that are not bound are found under the empty name."""
    return (node_name(pod),)


def is_terminated(pod: Object) -> bool:
    """True when all containers have ended for good."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def disruption(reason: str, message: str, now: str) -> Object:
    """The condition that says why a pod is taken away by the control plane."""
    return {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": now,
    }
