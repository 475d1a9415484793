"""Tables: the columns of each kind, filled from objects as components write them."""

from datetime import UTC, datetime

from fabric.api.kinds import (
    BUILT_IN,
    CONFIG_MAP,
    EVENT,
    LEASE,
    NAMESPACE,
    NETWORK_POLICY,
    NODE,
    POD,
    SECRET,
    Kind,
)
from fabric.apiserver.tables import table

NOW = datetime(2026, 1, 1, 1, 0, tzinfo=UTC)
BORN = "2026-01-01T00:55:00Z"


def cells(kind, **obj):
    obj["metadata"] = {"name": "thing", "creationTimestamp": BORN} | obj.get("metadata", {})
    shown = table(kind, [obj], {}, "meta.k8s.io/v1", "None", NOW)
    names = [column["name"] for column in shown["columnDefinitions"]]
    return dict(zip(names, shown["rows"][0]["cells"], strict=True))


def test_a_kind_without_columns_shows_name_and_age():
    unicorn = Kind("example.com", "v1", "Unicorn", "unicorns", True)
    assert cells(unicorn) == {"Name": "thing", "Age": "5m"}


def test_every_kind_can_show_an_empty_object():
    for kind in BUILT_IN:
        assert "thing" in cells(kind).values()


def test_a_namespace_shows_its_phase():
    assert cells(NAMESPACE, status={"phase": "Active"}) == {"Name": "thing", "Status": "Active", "Age": "5m"}


def test_a_node_shows_readiness_roles_and_addresses():
    node = cells(
        NODE,
        metadata={"labels": {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/edge": ""}},
        spec={"unschedulable": True},
        status={
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "192.168.0.11"}],
            "nodeInfo": {"kubeletVersion": "v1.37.0", "osImage": "Debian"},
        },
    )
    assert node == {
        "Name": "thing",
        "Status": "Ready,SchedulingDisabled",
        "Roles": "edge,worker",
        "Age": "5m",
        "Version": "v1.37.0",
        "Internal-IP": "192.168.0.11",
        "External-IP": "<none>",
        "OS-Image": "Debian",
        "Kernel-Version": "<unknown>",
        "Container-Runtime": "<unknown>",
    }


def test_a_network_policy_shows_its_selector_by_key():
    assert cells(NETWORK_POLICY, spec={"podSelector": {}})["Pod-Selector"] == "<none>"
    expressions = [
        {"key": "zone", "operator": "NotIn", "values": ["b", "a"]},
        {"key": "env", "operator": "In", "values": ["prod"]},
        {"key": "canary", "operator": "DoesNotExist"},
        {"key": "team", "operator": "Exists"},
    ]
    selector = {"matchLabels": {"app": "web"}, "matchExpressions": expressions}
    assert cells(NETWORK_POLICY, spec={"podSelector": selector}) == {
        "Name": "thing",
        "Pod-Selector": "app=web,!canary,env in (prod),team,zone notin (a,b)",
        "Age": "5m",
    }


def test_a_node_that_nobody_heard_of_is_unknown_and_a_silent_one_not_ready():
    assert cells(NODE)["Status"] == "Unknown"
    silent = {"conditions": [{"type": "Ready", "status": "Unknown"}]}
    assert cells(NODE, status=silent)["Status"] == "NotReady"


def test_config_maps_and_secrets_count_their_data():
    assert cells(CONFIG_MAP, data={"a": ""}, binaryData={"b": ""})["Data"] == 2
    assert cells(SECRET, type="Opaque", data={"a": ""}) == {
        "Name": "thing",
        "Type": "Opaque",
        "Data": 1,
        "Age": "5m",
    }


def test_a_lease_shows_its_holder():
    assert cells(LEASE, spec={"holderIdentity": "node-1"})["Holder"] == "node-1"


def test_an_event_shows_when_what_and_how_often():
    event = cells(
        EVENT,
        type="Warning",
        reason="FailedScheduling",
        message="no node fits \n",
        involvedObject={"kind": "Pod", "name": "pod-1"},
        source={"component": "scheduler", "host": "node-1"},
        firstTimestamp="2026-01-01T00:00:00Z",
        lastTimestamp="2026-01-01T00:59:00Z",
        count=4,
    )
    assert event == {
        "Last Seen": "60s",
        "Type": "Warning",
        "Reason": "FailedScheduling",
        "Object": "pod/pod-1",
        "Subobject": "",
        "Source": "scheduler, node-1",
        "Message": "no node fits",
        "First Seen": "60m",
        "Count": 4,
        "Name": "thing",
    }


def test_an_event_of_a_series_shows_the_series():
    series = {"count": 9, "lastObservedTime": "2026-01-01T00:59:50.000000Z"}
    event = cells(EVENT, eventTime="2026-01-01T00:00:00.000000Z", series=series)
    assert (event["Last Seen"], event["First Seen"], event["Count"]) == ("10s", "60m", 9)


def test_wide_columns_have_a_priority():
    shown = table(POD, [], {}, "meta.k8s.io/v1", "None", NOW)
    narrow = [column["name"] for column in shown["columnDefinitions"] if column["priority"] == 0]
    assert narrow == ["Name", "Ready", "Status", "Restarts", "Age"]
    assert shown["rows"] == []
