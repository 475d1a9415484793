"""The cluster's sums follow every change: nodes and pods in any order, assumptions, deletions."""

from __future__ import annotations

from support.scheduling import cluster, info, node, pod

from fabric.scheduler.podinfo import pod_info


def test_a_pod_may_be_heard_of_before_its_node() -> None:
    state = cluster([], [pod("a", on="node-1", requests={"cpu": "1"})])
    assert state.nodes() == [] and state.node("node-1") is None
    assert state.set_node("node-1", node("node-1"))
    found = state.node("node-1")
    assert found is not None and found.requested["cpu"] == 1_000


def test_a_node_that_goes_keeps_its_pods_counted_until_they_go() -> None:
    state = cluster([node("node-1")], [pod("a", on="node-1")])
    assert state.set_node("node-1", None)
    assert state.nodes() == []
    state.set_node("node-1", node("node-1"))
    found = state.node("node-1")
    assert found is not None and len(found.pods) == 1


def test_a_heartbeat_of_a_node_changes_nothing() -> None:
    state = cluster([node("node-1")])
    beat = node("node-1")
    beat["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    assert not state.set_node("node-1", beat)
    assert state.set_node("node-1", node("node-1", unschedulable=True))


def test_an_assumed_pod_counts_until_it_is_forgotten() -> None:
    state = cluster([node("node-1")])
    wanted = info("a", requests={"cpu": "1"})
    state.assume(wanted, "node-1")
    state.set_pod(wanted)
    found = state.node("node-1")
    assert found is not None and found.requested["cpu"] == 1_000
    state.forget(wanted)
    assert found.requested["cpu"] == 0 and not found.pods


def test_a_confirmed_pod_is_not_forgotten() -> None:
    state = cluster([node("node-1"), node("node-2")])
    wanted = info("a", requests={"cpu": "1"})
    state.assume(wanted, "node-1")
    assert state.set_pod(pod_info(pod("a", on="node-2", requests={"cpu": "1"})))
    state.forget(wanted)
    assert [len(one.pods) for one in state.nodes()] == [0, 1]
    assert state.remove_pod(wanted.key) and not state.remove_pod(wanted.key)
    assert [one.requested.get("cpu", 0) for one in state.nodes()] == [0, 0]


def test_a_node_that_says_nonsense_has_nothing_of_it() -> None:
    state = cluster([node("node-1", allocatable={"cpu": "lots"})])
    found = state.node("node-1")
    assert found is not None and "cpu" not in found.allocatable and found.allocatable["pods"] == 110
