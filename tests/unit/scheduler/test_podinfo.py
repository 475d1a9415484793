"""A pod is read once: what it asks of nodes and of other pods, and what others see of it."""

from __future__ import annotations

from typing import Any

import pytest
from support.scheduling import cluster, info, node, pod

from fabric.scheduler.placement import feasible, place
from fabric.scheduler.podinfo import pod_info

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
ZONES = [node("node-1", labels={"zone": "a"}), node("node-2", labels={"zone": "b"})]


def beside(**term: Any) -> dict[str, Any]:
    selector = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "zone"}
    return {"affinity": {"podAffinity": {REQUIRED: [selector | term]}}}


def fitting(wanted: dict[str, Any], *pods: Any) -> list[str]:
    state = cluster(ZONES, pods)
    return [one.name for one in state.nodes() if not feasible(info(**wanted), one, state)]


def test_replicas_are_one_group_and_a_deleted_one_is_another() -> None:
    first, second = (info(name, labels={"app": "web"}) for name in ("a", "b"))
    deleted = pod("c", labels={"app": "web"})
    deleted["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert first.group_key == second.group_key != pod_info(deleted).group_key


def test_only_pods_that_look_at_others_are_woken_by_them() -> None:
    assert not info().looks_at_pods
    assert info(**beside()).looks_at_pods
    spread = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    assert info(topologySpreadConstraints=[spread]).looks_at_pods


@pytest.mark.parametrize(
    ("keys", "nodes"),
    [
        ({}, ["node-1", "node-2"]),
        ({"matchLabelKeys": ["version"]}, ["node-2"]),
        ({"mismatchLabelKeys": ["version"]}, ["node-1"]),
        ({"matchLabelKeys": ["nobody-has-it"]}, ["node-1", "node-2"]),
    ],
    ids=str,
)
def test_label_keys_narrow_a_term_to_the_pods_own_values(keys: Any, nodes: list[str]) -> None:
    old = pod("old", on="node-1", labels={"app": "web", "version": "1"})
    new = pod("new", on="node-2", labels={"app": "web", "version": "2"})
    wanted = beside(**keys) | {"labels": {"app": "web", "version": "2"}}
    assert fitting(wanted, old, new) == nodes


def test_label_keys_of_a_spread_constraint_count_only_the_same_version() -> None:
    constraint = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    old = [pod(f"old-{i}", on="node-1", labels={"app": "web", "version": "1"}) for i in range(3)]
    wanted: dict[str, Any] = {"labels": {"app": "web", "version": "2"}}
    assert fitting(wanted | {"topologySpreadConstraints": [constraint]}, *old) == ["node-2"]
    narrow = constraint | {"matchLabelKeys": ["version"]}
    assert fitting(wanted | {"topologySpreadConstraints": [narrow]}, *old) == ["node-1", "node-2"]


def test_a_tainted_zone_counts_unless_the_constraint_honors_taints() -> None:
    closed = node("node-3", labels={"zone": "c"}, taints=[{"key": "a", "effect": "NoSchedule"}])
    constraint = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    pods = [pod(f"pod-{i}", on=f"node-{i}", labels={"app": "web"}) for i in (1, 2)]
    for policy, reason in (("Ignore", "topology spread constraints"), ("Honor", "")):
        state = cluster([*ZONES, closed], pods)
        wanted = info(
            "x", labels={"app": "web"}, topologySpreadConstraints=[constraint | {"nodeTaintsPolicy": policy}]
        )
        placement = place(wanted, state)
        assert bool(placement.node) is (policy == "Honor")
        assert reason in placement.message


@pytest.mark.parametrize(
    "spec",
    [
        {"affinity": {"podAffinity": {REQUIRED: [{"labelSelector": {}}]}}},
        {"topologySpreadConstraints": [{"maxSkew": 1}]},
        {"containers": [{"name": "main", "resources": {"requests": {"memory": "?"}}}]},
        {"overhead": {"cpu": "1"}, "resources": {"requests": {"cpu": "much"}}},
    ],
    ids=str,
)
def test_a_pod_that_cannot_be_read_says_so_and_asks_for_nothing(spec: Any) -> None:
    read = info(**spec)
    assert read.problem.startswith("the pod's spec cannot be read: ")
    assert (read.requests, read.has_terms, read.spread) == ({}, False, ())
    assert place(read, cluster(ZONES)).node == ""
