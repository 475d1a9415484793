"""Nodes that no kubelet would write: drawn from the schema, as the pods of `any_pod`."""

from __future__ import annotations

from copy import deepcopy

from hypothesis import strategies as st

from fabric.api.kinds import NODE
from fabric.api.objects import Object
from fabric.apiserver import schema
from support.any_pod import change

_INFO = (
    *("architecture", "bootID", "containerRuntimeVersion", "kernelVersion", "kubeProxyVersion"),
    *("machineID", "operatingSystem", "osImage", "systemUUID"),
)


def full_node() -> Object:
    """A good node that uses much of what a node can say."""
    condition = {
        "status": "True",
        "reason": "R",
        "message": "m",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "node-1", "labels": {"zone": "a"}, "annotations": {"a": "b"}},
        "spec": {
            "podCIDR": "10.244.1.0/24",
            "podCIDRs": ["10.244.1.0/24"],
            "providerID": "fabric://node-1",
            "unschedulable": True,
            "taints": [
                {"key": "a", "value": "b", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"},
                {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"},
            ],
        },
        "status": {
            "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110", "example.com/nic": "2"},
            "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "addresses": [{"type": "InternalIP", "address": "192.168.0.11"}],
            "conditions": [
                {"type": "Ready", "lastHeartbeatTime": "2026-01-01T00:00:00Z", **condition},
                {"type": "MemoryPressure", **condition},
                {"type": "NetworkUnavailable", **condition},
            ],
            "nodeInfo": {**dict.fromkeys(_INFO, ""), "kubeletVersion": "v1.34.0"},
        },
    }


@st.composite
def any_nodes(draw: st.DrawFn) -> Object:
    """A node with its spec or status changed in one to three places, each by a drawn value."""
    node = deepcopy(full_node())
    shape = schema.shape(NODE)
    assert shape is not None
    for _ in range(draw(st.integers(1, 3))):
        part = draw(st.sampled_from(("spec", "status")))
        change(draw, shape.child(part), node, part)
    return node
