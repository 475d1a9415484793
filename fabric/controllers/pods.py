"""Pods as the controllers handle them: the index by node, and the writes that end a pod."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from fabric.api.kinds import POD
from fabric.api.objects import Object, key_of, observed, timestamp, uid_of
from fabric.control.client import STRATEGIC, Client
from fabric.errors import Conflict, NotFound

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


def disruption(pod: Object, reason: str, message: str, now: datetime) -> Object:
    """The DisruptionTarget condition: why the control plane takes the pod away."""
    target = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": timestamp(now),
    }
    return observed(pod, target)


async def patch_pod_status(client: Client, pod: Object, status: Object) -> None:
    """Patch the status of this very pod; conditions are merged by type, so that others' stay."""
    namespace, name = key_of(pod)
    change = {"metadata": {"uid": uid_of(pod)}, "status": status}
    await client.patch(POD, name, change, namespace=namespace, subresource="status", patch_type=STRATEGIC)


async def remove_pod(client: Client, pod: Object) -> None:
    """Delete this very pod without grace: no kubelet will confirm its end. One that is gone is no error."""
    namespace, name = key_of(pod)
    try:
        await client.delete(POD, name, namespace, grace_period_seconds=0, uid=uid_of(pod))
    except (NotFound, Conflict):
        return
