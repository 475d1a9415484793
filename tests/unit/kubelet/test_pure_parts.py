"""The parts without a world: expansion, back-off, decisions, and what a status remembers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fabric.kubelet.backoff import KeyedBackoff
from fabric.kubelet.conditions import pod_conditions
from fabric.kubelet.expansion import expand
from fabric.kubelet.podactions import compute_pod_actions, outcome
from fabric.kubelet.podstatus import changes
from fabric.kubelet.records import PodView, Record, container_id, records_of

POD = {
    "metadata": {"name": "pod-1", "namespace": "default", "uid": "uid-1"},
    "spec": {"restartPolicy": "OnFailure", "containers": [{"name": "a"}, {"name": "b"}]},
}


def ended(name: str, exit_code: int, count: int = 0, at: float = 100.0) -> Record:
    return Record(f"{name}-{count}", name, False, count, at - 1, at, exit_code)


def running(name: str, count: int = 0) -> Record:
    return Record(f"{name}-{count}", name, True, count, 50.0)


def view(*records: Record) -> PodView:
    return PodView("alive", {record.name: (record,) for record in records})


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("$(A)$(B)", "1$(B)"),
        ("$$(A)", "$(A)"),
        ("$A $ $(", "$A $ $("),
        ("$$$(A)", "$1"),
    ],
)
def test_references_expand_as_in_kubernetes(text, expanded):
    assert expand(text, {"A": "1"}) == expanded


def test_the_first_restart_is_at_once_and_later_ones_wait_twice_as_long():
    backoff = KeyedBackoff()
    waits = []
    for now in (0.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0):
        waits.append(backoff.remaining("key", now, now))
        backoff.next("key", now)
    assert waits == [0, 10, 20, 40, 80, 160, 300]


def test_a_settled_pod_needs_nothing():
    decision = compute_pod_actions(POD, view(running("a"), running("b")), KeyedBackoff(), 200.0)
    assert (decision.sandbox, decision.start, dict(decision.waiting)) == ("keep", (), {})


def test_only_what_failed_is_started_again_under_on_failure():
    decision = compute_pod_actions(POD, view(ended("a", 0), ended("b", 2)), KeyedBackoff(), 200.0)
    assert [(start.container["name"], start.restart_count) for start in decision.start] == [("b", 1)]


def test_a_pod_has_an_outcome_when_nothing_is_left_to_start():
    assert outcome(POD, view(ended("a", 0), ended("b", 0))) == "Succeeded"
    assert outcome(POD, view(ended("a", 0), ended("b", 1))) == ""
    assert outcome(POD, view(ended("a", 0), running("b"))) == ""
    assert outcome(POD, view(ended("a", 0))) == ""


def test_a_lost_container_counts_on_from_what_the_status_remembers():
    entry = {
        "name": "a",
        "restartCount": 4,
        "containerID": "fabric://abc",
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
    }
    latest = records_of({"containerStatuses": [entry]}, ())["a"][0]
    assert (latest.running, latest.exit_code, latest.restart_count) == (False, 137, 4)
    assert latest.reason == "ContainerStatusUnknown"


def test_an_id_names_one_start_for_ever():
    ids = {container_id("uid-1", "a", n) for n in range(3)} | {container_id("uid-2", "a", 0)}
    assert len(ids) == 4
    assert container_id("uid-1", "a", 0) in ids
    assert all(len(id) == 64 for id in ids)


def test_a_patch_has_only_what_changed():
    assert changes({"phase": "Pending", "podIP": "1"}, {"phase": "Running", "podIP": "1"}) == {
        "phase": "Running"
    }


def test_a_kubelet_tells_which_generation_of_the_pod_its_conditions_are_about():
    pod = {**POD, "metadata": {**POD["metadata"], "generation": 3}}
    standing = [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": "t", "observedGeneration": 1},
        {"type": "example.com/open", "status": "True", "observedGeneration": 1},
    ]
    facts = {"Ready": (True, "", "")}
    found = pod_conditions(pod, {"conditions": standing}, facts, datetime(2026, 1, 1, tzinfo=UTC))
    assert {each["type"]: each["observedGeneration"] for each in found} == {
        "Ready": 3,
        "PodScheduled": 3,
        "example.com/open": 1,
    }
    assert next(each for each in found if each["type"] == "PodScheduled")["lastTransitionTime"] == "t"
