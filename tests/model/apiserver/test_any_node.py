"""Whatever node the server accepts, no component that reads it raises anything but a FabricError."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson
from hypothesis import HealthCheck, example, given, settings
from support import scheduling
from support.any_node import any_nodes, full_node

from fabric.api.kinds import NODE
from fabric.api.objects import Object
from fabric.apiserver import columns, preparation
from fabric.apiserver.options import WriteOptions
from fabric.controllers.node_lifecycle import Heartbeats
from fabric.controllers.owner_graph import vertex_of
from fabric.controllers.taints import desired_taints, eviction_time, same_taints, taints_of
from fabric.errors import FabricError
from fabric.kubelet.admission import Admission
from fabric.kubelet.config import KubeletConfig
from fabric.kubelet.nodeobject import Health, node_status, stands, status_patch
from fabric.plugin.contract import AgentStatus
from fabric.scheduler.placement import place, scores

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
NUMBERED = {"key": "zone", "operator": "Gt", "values": ["1"]}
PATIENT = scheduling.pod(
    tolerations=[
        {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 2**63 - 1},
        {"key": "a", "value": "b", "tolerationSeconds": -(2**63)},
    ],
    affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [NUMBERED]}]}}},
)
PATIENT["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"


def accepted(body: Object) -> Object | None:
    """The node as the server keeps it; None when it refuses. What comes over a wire is JSON."""
    try:
        sent = orjson.loads(orjson.dumps(body))
    except orjson.JSONEncodeError:
        return None
    try:
        decoded = preparation.decoded(NODE, sent, WriteOptions())
        return preparation.new_object(NODE, "", decoded, "", NOON)
    except FabricError:
        return None


def scheduled_onto(node: Object) -> None:
    cluster = scheduling.cluster([node, scheduling.node("node-2")])
    for pod in (scheduling.info("x", requests={"cpu": "1"}), scheduling.info(**PATIENT["spec"])):
        place(pod, cluster)
        scores(pod, cluster, cluster.nodes())
        cluster.assume(pod, "node-1")
        place(scheduling.info("y"), cluster)
        cluster.forget(pod)


def controlled(node: Object) -> None:
    vertex_of(NODE, node)
    for now in (NOON, datetime(2999, 12, 31, tzinfo=UTC)):
        tainted = desired_taints(node, now)
        same_taints(tainted, taints_of(node))
        for each in (node, {**node, "spec": {"taints": tainted}}):
            eviction_time(PATIENT, each, now)
    Heartbeats().silent_seconds(node, None, NOON)


def kept_by_its_kubelet(node: Object) -> None:
    network = AgentStatus(True, "FakeIsUp", "", {}, ())
    config: Any = KubeletConfig("node-1", None, ("192.168.0.11",))  # type: ignore[arg-type]
    before = node.get("status") or {}
    status = node_status(config, before, Health(True, network), NOON)
    stands(before, status)
    status_patch(before, status)
    Admission({"cpu": "4", "memory": "8Gi", "pods": "110"}, lambda: node).admit(PATIENT)


def printed(node: Object) -> None:
    for column in columns.COLUMNS["", "nodes"]:
        column.of(node, NOON)


COMPONENTS: tuple[Callable[[Object], None], ...] = (scheduled_onto, controlled, kept_by_its_kubelet, printed)


def test_the_good_node_is_accepted():
    assert accepted(full_node()) is not None


def _tainted(time: str) -> Object:
    node = full_node()
    node["spec"]["taints"][0]["timeAdded"] = time
    return node


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(any_nodes())
@example(_tainted("9999-12-31T23:59:59Z"))
@example(_tainted("0001-01-01T00:00:00+23:59"))
def test_no_component_stumbles_over_an_accepted_node(body):
    node = accepted(body)
    if node is not None:
        for component in COMPONENTS:
            with suppress(FabricError):
                component(node)
