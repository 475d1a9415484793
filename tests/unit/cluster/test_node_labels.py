from typing import Any

from fabric.api.objects import Object
from fabric.cluster.node_labels import LAST_APPLIED, node_patch
from fabric.cluster.spec import ClusterNode

EDGE = {"key": "dedicated", "value": "edge", "effect": "NoSchedule"}
CORDON = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def entry(labels: dict[str, str] | None = None, *taints: dict[str, str]) -> ClusterNode:
    return ClusterNode("node-1", "192.168.0.11/16", 0, 1500, labels or {}, taints)


def node(labels: dict[str, str] | None = None, *taints: dict[str, str]) -> Object:
    metadata = {"name": "node-1", "resourceVersion": "7", "labels": {"hostname": "node-1", **(labels or {})}}
    return {"metadata": metadata, "spec": {"taints": list(taints)} if taints else {}}


def patched(obj: Object, patch: Any) -> Object:
    """The Node after the patch, as a merge patch is read."""
    metadata = {**obj["metadata"], "annotations": patch["metadata"]["annotations"]}
    labels = {**obj["metadata"]["labels"], **patch["metadata"]["labels"]}
    metadata["labels"] = {name: value for name, value in labels.items() if value is not None}
    return {"metadata": metadata, "spec": {**obj["spec"], **patch.get("spec", {})}}


def test_a_node_without_an_entry_of_its_own_is_not_written():
    assert node_patch(node(), entry()) is None


def test_what_the_file_gains_comes_and_what_it_loses_goes_and_the_rest_stays():
    before = node(None, CORDON)
    first = patched(before, node_patch(before, entry({"rack": "1"}, EDGE)))
    assert first["metadata"]["labels"] == {"hostname": "node-1", "rack": "1"}
    assert first["spec"]["taints"] == [CORDON, EDGE]
    assert node_patch(first, entry({"rack": "1"}, EDGE)) is None
    second = patched(first, node_patch(first, entry({"zone": "2"})))
    assert second["metadata"]["labels"] == {"hostname": "node-1", "zone": "2"}
    assert second["spec"]["taints"] == [CORDON]


def test_what_somebody_took_away_or_changed_is_put_back():
    wanted = entry({"rack": "1"}, EDGE)
    there = patched(node(), node_patch(node(), wanted))
    there["metadata"]["labels"]["rack"] = "9"
    there["spec"]["taints"] = [{**EDGE, "value": "other"}]
    again = patched(there, node_patch(there, wanted))
    assert again["metadata"]["labels"]["rack"] == "1"
    assert again["spec"]["taints"] == [EDGE]


def test_the_patch_is_for_the_version_that_was_read():
    patch = node_patch(node(), entry({"rack": "1"}))
    assert patch is not None
    assert patch["metadata"]["resourceVersion"] == "7"
    assert LAST_APPLIED in patch["metadata"]["annotations"]
