"""Labels and taints that a topology file gives a node are written to its Node object.

As with manifests, an annotation remembers what was written last, so that what left the file leaves the Node,
and what others added stays.
"""

from __future__ import annotations

from typing import Any

import orjson

from fabric.api.objects import Object, annotations_of, labels_of, resource_version_of
from fabric.cluster.spec import ClusterNode

LAST_APPLIED = "fabric.dev/last-applied-entry"


def node_patch(node: Object, entry: ClusterNode) -> Object | None:
    """Return the merge patch that brings a Node to its entry, or None when it is as the entry says."""
    wanted: dict[str, Any] = {"labels": entry.labels, "taints": list(entry.taints)}
    text = annotations_of(node).get(LAST_APPLIED, "")
    last: dict[str, Any] = orjson.loads(text) if text else {"labels": {}, "taints": []}
    gone = last["labels"].keys() & labels_of(node).keys() - entry.labels.keys()
    labels: dict[str, str | None] = dict.fromkeys(gone)
    labels |= {name: value for name, value in entry.labels.items() if labels_of(node).get(name) != value}
    taints = _taints((node.get("spec") or {}).get("taints") or [], last["taints"], wanted["taints"])
    if not labels and taints is None and last == wanted:
        return None
    remembered = orjson.dumps(wanted, option=orjson.OPT_SORT_KEYS).decode()
    metadata = {
        "resourceVersion": resource_version_of(node),
        "labels": labels,
        "annotations": {LAST_APPLIED: remembered},
    }
    return {"metadata": metadata} | ({} if taints is None else {"spec": {"taints": taints}})


def _taints(there: list[Any], last: list[Any], wanted: list[Any]) -> list[Any] | None:
    """The Node's taints with those of the file, or None when they are right."""
    have = {_identity(taint): taint for taint in there}
    gone = {_identity(taint) for taint in last} - {_identity(taint) for taint in wanted}
    wrong = [t for t in wanted if have.get(_identity(t), {}).get("value", "") != t.get("value", "")]
    wrong += [t for t in wanted if _identity(t) not in have and t not in wrong]
    if not wrong and not gone & have.keys():
        return None
    drop = gone | {_identity(taint) for taint in wrong}
    return [taint for identity, taint in have.items() if identity not in drop] + wrong


def _identity(taint: Any) -> tuple[str, str]:
    return taint["key"], taint["effect"]
