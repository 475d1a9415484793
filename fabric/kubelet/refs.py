"""A pod's name at the network plugin."""

from __future__ import annotations

from fabric.api.objects import Object, uid_of
from fabric.netstate.port import pod_namespace
from fabric.plugin.contract import PodRef


def pod_ref(pod: Object) -> PodRef:
    meta = pod["metadata"]
    return PodRef(meta.get("namespace", ""), meta["name"], uid_of(pod), pod_namespace(uid_of(pod)))


def orphan_ref(uid: str, name: str = "", namespace: str = "") -> PodRef:
    """A pod of which only the UID is sure."""
    return PodRef(namespace, name, uid, pod_namespace(uid))
