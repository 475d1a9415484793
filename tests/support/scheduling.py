"""Nodes, pods and a cluster for tests of the scheduler, as short as they get."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fabric.api.objects import Object
from fabric.scheduler.framework import ClusterState
from fabric.scheduler.podinfo import PodInfo, pod_info

ROOM = {"cpu": "4", "memory": "8Gi", "pods": "110"}


def node(name: str, *, labels: dict[str, str] | None = None, **fields: Any) -> Object:
    """A node with 4 CPUs, 8 GiB and room for 110 pods; `allocatable` changes that."""
    allocatable = ROOM | fields.pop("allocatable", {})
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name} | (labels or {})},
        "spec": fields,
        "status": {"allocatable": allocatable},
    }


def pod(
    name: str = "pod-1",
    *,
    on: str = "",
    namespace: str = "default",
    labels: dict[str, str] | None = None,
    requests: dict[str, str] | None = None,
    **spec: Any,
) -> Object:
    container = {"name": "main", "image": "busybox", "resources": {"requests": requests or {}}}
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}, "uid": f"uid-{name}"},
        "spec": {"containers": [container]} | ({"nodeName": on} if on else {}) | spec,
    }


def info(*arguments: Any, **fields: Any) -> PodInfo:
    return pod_info(pod(*arguments, **fields))


def cluster(nodes: Iterable[Object], pods: Iterable[Object] = ()) -> ClusterState:
    state = ClusterState()
    for one in nodes:
        state.set_node(one["metadata"]["name"], one)
    for one in pods:
        state.set_pod(pod_info(one))
    return state
