"""Where a pod goes when it may go to several nodes."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest
from support.scheduling import cluster, info, node, pod

from fabric.scheduler.framework import ClusterState
from fabric.scheduler.placement import place, scores
from fabric.scheduler.podinfo import pod_info

NODES = [node("node-1", labels={"zone": "a"}), node("node-2", labels={"zone": "b"})]
WEB = pod("web-1", on="node-1", labels={"app": "web"})
SELECT_WEB = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "zone"}
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def wish(kind: str, **what: Any) -> dict[str, Any]:
    return {"affinity": {kind: {PREFERRED: [{"weight": 100} | what]}}}


IN_ZONE_B = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]}
ANYWAY = {"maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"} | SELECT_WEB


@pytest.mark.parametrize(
    ("wanted", "pods", "best"),
    [
        ({}, [], "node-1"),
        ({}, [WEB], "node-2"),
        ({"requests": {"cpu": "1"}}, [pod("big", on="node-1", requests={"cpu": "2"})], "node-2"),
        (wish("nodeAffinity", preference=IN_ZONE_B), [], "node-2"),
        (wish("podAffinity", podAffinityTerm=SELECT_WEB), [WEB], "node-1"),
        (wish("podAntiAffinity", podAffinityTerm=SELECT_WEB), [WEB], "node-2"),
        ({"topologySpreadConstraints": [ANYWAY]}, [WEB], "node-2"),
    ],
)
def test_the_best_node_wins(wanted: Any, pods: list[Any], best: str) -> None:
    assert place(info(**wanted), cluster(NODES, pods)).node == best


def test_a_pod_that_is_there_may_wish_for_company() -> None:
    host = pod("host", on="node-2", **wish("podAffinity", podAffinityTerm=SELECT_WEB))
    assert place(info(labels={"app": "web"}), cluster(NODES, [host])).node == "node-2"
    hermit = pod("hermit", on="node-1", **wish("podAntiAffinity", podAffinityTerm=SELECT_WEB))
    others = [pod("x", on="node-2"), hermit]
    assert place(info(labels={"app": "web"}), cluster(NODES, others)).node == "node-2"


def test_a_preferred_taint_costs_score_unless_tolerated() -> None:
    soft = {"key": "slow", "value": "", "effect": "PreferNoSchedule"}
    nodes = [node("node-1", taints=[soft]), node("node-2")]
    assert place(info(), cluster(nodes)).node == "node-2"
    assert place(info(tolerations=[{"operator": "Exists"}]), cluster(nodes)).node == "node-1"


def test_balance_prefers_the_node_whose_cpu_and_memory_fill_evenly() -> None:
    nodes = [node("node-1"), node("node-2")]
    pods = [
        pod("cpu", on="node-1", requests={"cpu": "2", "memory": "0"}),
        pod("both", on="node-2", requests={"cpu": "1", "memory": "2Gi"}),
    ]
    state = cluster(nodes, pods)
    first, second = scores(info(requests={"cpu": "1", "memory": "2Gi"}), state, state.nodes())
    assert second > first


def fill(state: ClusterState, count: int, **fields: Any) -> Counter[str]:
    placed: Counter[str] = Counter()
    for i in range(count):
        wanted = pod_info(pod(f"pod-{i}", **fields))
        name = place(wanted, state).node
        state.assume(wanted, name)
        placed[name] += 1
    return placed


def test_equal_pods_fill_equal_nodes_evenly_and_fast() -> None:
    state = cluster([node(f"node-{i}", allocatable={"cpu": "1000", "memory": "1Ti"}) for i in range(10)])
    start = time.process_time()
    placed = fill(state, 1_000)
    assert set(placed.values()) == {100}
    assert time.process_time() - start < 2.0


def test_spread_pods_stay_level() -> None:
    hard = {"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"} | SELECT_WEB
    state = cluster([*NODES, node("node-3", labels={"zone": "b"})])
    placed = fill(state, 40, labels={"app": "web"}, topologySpreadConstraints=[hard])
    assert placed["node-1"] == 20
