from datetime import UTC, datetime, timedelta

import pytest

from fabric.controllers.node_lifecycle import Heartbeats
from fabric.controllers.taints import desired_taints, eviction_time, same_taints, tolerates

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOON_TEXT = "2026-01-01T12:00:00Z"
NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"


def node(*taints, unschedulable=False, uid="n", heartbeat="", **conditions):
    spec = {"taints": list(taints)} | ({"unschedulable": True} if unschedulable else {})
    posted = [
        {"type": type_, "status": status, "lastHeartbeatTime": heartbeat}
        for type_, status in conditions.items()
    ]
    return {"metadata": {"name": "node-1", "uid": uid}, "spec": spec, "status": {"conditions": posted}}


def taint(key, effect="NoExecute", added=NOON_TEXT, value=""):
    return {"key": key, "effect": effect, "timeAdded": added} | ({"value": value} if value else {})


def pod(*tolerations, born="2026-01-01T11:00:00Z"):
    return {"metadata": {"creationTimestamp": born}, "spec": {"tolerations": list(tolerations)}}


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"Ready": "True"}, []),
        ({}, [(NOT_READY, "NoSchedule")]),
        ({"Ready": "False"}, [(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")]),
        ({"Ready": "Unknown"}, [(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")]),
        (
            {"Ready": "True", "NetworkUnavailable": "True"},
            [("node.kubernetes.io/network-unavailable", "NoSchedule")],
        ),
        ({"Ready": "True", "NetworkUnavailable": "False"}, []),
        (
            {"Ready": "True", "DiskPressure": "True"},
            [("node.kubernetes.io/disk-pressure", "NoSchedule")],
        ),
    ],
)
def test_conditions_call_for_taints(conditions, expected):
    found = desired_taints(node(**conditions), NOON)
    assert [(t["key"], t["effect"]) for t in found] == expected


def test_a_ready_condition_that_says_nothing_is_as_none():
    mute = {"metadata": {"name": "node-1"}, "status": {"conditions": [{"type": "Ready"}]}}
    keys = [(t["key"], t["effect"]) for t in desired_taints(mute, NOON)]
    assert keys == [("node.kubernetes.io/not-ready", "NoSchedule")]


def test_an_unschedulable_node_is_tainted_for_the_user():
    found = desired_taints(node(unschedulable=True, Ready="True"), NOON)
    assert found == [taint("node.kubernetes.io/unschedulable", "NoSchedule")]


def test_a_users_taints_stay_and_ours_go_with_their_condition():
    mine = taint("team", "NoSchedule", value="net")
    assert desired_taints(node(taint(UNREACHABLE), mine, Ready="True"), NOON) == [mine]


def test_a_taint_that_stands_keeps_its_time():
    standing = node(taint(UNREACHABLE), taint(UNREACHABLE, "NoSchedule"), Ready="Unknown")
    later = desired_taints(standing, NOON + timedelta(hours=1))
    assert same_taints(later, standing["spec"]["taints"])


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "team", "operator": "Exists"}, True),
        ({"key": "team", "operator": "Equal", "value": "net"}, True),
        ({"key": "team", "value": "net", "effect": "NoExecute"}, True),
        ({"key": "team", "value": "web"}, False),
        ({"key": "team", "operator": "Exists", "effect": "NoSchedule"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"value": "net"}, False),
    ],
)
def test_a_toleration_matches_by_key_value_and_effect(toleration, tolerated):
    assert tolerates(toleration, taint("team", value="net")) is tolerated


def test_an_untolerated_taint_evicts_at_once():
    assert eviction_time(pod(), node(taint("team")), NOON + timedelta(hours=1)) == NOON


def test_a_tolerated_taint_never_evicts():
    assert eviction_time(pod({"operator": "Exists"}), node(taint("team")), NOON) is None


def test_other_effects_never_evict():
    assert eviction_time(pod(), node(taint("team", "NoSchedule")), NOON) is None


def test_toleration_seconds_count_from_the_taint():
    patient = pod({"key": UNREACHABLE, "operator": "Exists", "tolerationSeconds": 300})
    assert eviction_time(patient, node(taint(UNREACHABLE)), NOON) == NOON + timedelta(seconds=300)


def test_for_a_pod_that_came_later_they_count_from_its_creation():
    patient = pod({"operator": "Exists", "tolerationSeconds": 10}, born="2026-01-01T13:00:00Z")
    assert eviction_time(patient, node(taint("team")), NOON) == NOON + timedelta(hours=1, seconds=10)


def test_for_a_pod_that_was_bound_later_they_count_from_its_binding():
    patient = pod({"operator": "Exists", "tolerationSeconds": 10})
    bound = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T14:00:00Z"}
    patient["status"] = {"conditions": [bound]}
    assert eviction_time(patient, node(taint("team")), NOON) == NOON + timedelta(hours=2, seconds=10)


def test_a_taint_without_a_time_is_met_now():
    patient = pod({"operator": "Exists", "tolerationSeconds": 10})
    untimed = {"key": "team", "effect": "NoExecute"}
    assert eviction_time(patient, node(untimed), NOON) == NOON + timedelta(seconds=10)
    assert eviction_time(pod(), node(untimed), NOON) == NOON


def test_a_no_execute_taint_without_a_time_is_given_one_and_others_are_not():
    evicting, repelling = {"key": "a", "effect": "NoExecute"}, {"key": "b", "effect": "NoSchedule"}
    found = desired_taints(node(evicting, repelling, Ready="True"), NOON)
    assert found == [{**evicting, "timeAdded": NOON_TEXT}, repelling]
    assert desired_taints(node(*found, Ready="True"), NOON + timedelta(hours=1)) == found


def test_of_several_limits_the_shortest_counts():
    patient = pod(
        {"operator": "Exists", "tolerationSeconds": 300},
        {"key": "team", "operator": "Exists", "tolerationSeconds": 20},
        {"operator": "Exists"},
    )
    found = eviction_time(patient, node(taint("team"), taint("other")), NOON)
    assert found == NOON + timedelta(seconds=20)


def test_a_limit_beyond_all_calendars_is_a_hundred_years():
    evicted = eviction_time(pod({"operator": "Exists", "tolerationSeconds": 2**62}), node(taint("k")), NOON)
    assert evicted is not None
    assert evicted.year == 2125


def test_a_negative_limit_is_none():
    hasty = pod({"operator": "Exists", "tolerationSeconds": -5})
    assert eviction_time(hasty, node(taint("team")), NOON) == NOON


def lease(renewed):
    return {"spec": {"renewTime": renewed}}


def test_silence_grows_until_a_lease_or_a_status_says_something_new():
    heartbeats = Heartbeats()
    seen = [
        heartbeats.silent_seconds(node(Ready="True"), lease("1"), NOON),
        heartbeats.silent_seconds(node(Ready="True"), lease("1"), NOON + timedelta(seconds=30)),
        heartbeats.silent_seconds(node(Ready="True"), lease("2"), NOON + timedelta(seconds=39)),
        heartbeats.silent_seconds(node(Ready="True"), lease("2"), NOON + timedelta(seconds=49)),
        heartbeats.silent_seconds(node(Ready="True", heartbeat="x"), None, NOON + timedelta(seconds=60)),
    ]
    assert seen == [0, 30, 0, 10, 0]


def test_our_own_verdict_is_not_a_sign_of_life():
    heartbeats = Heartbeats()
    heartbeats.silent_seconds(node(Ready="True"), lease("1"), NOON)
    later = NOON + timedelta(seconds=50)
    assert heartbeats.silent_seconds(node(Ready="Unknown"), lease("1"), later) == 50


def test_a_node_that_was_made_anew_or_forgotten_begins_anew():
    heartbeats = Heartbeats()
    later = NOON + timedelta(seconds=50)
    heartbeats.silent_seconds(node(), None, NOON)
    assert heartbeats.silent_seconds(node(uid="n2"), None, later) == 0
    heartbeats.forget("node-1")
    assert heartbeats.silent_seconds(node(uid="n2"), None, later + timedelta(seconds=50)) == 0
