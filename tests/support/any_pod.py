"""Pods that nobody would write: drawn from the schema, with odd, huge, empty, null and Unicode values.

Most draws change a good pod in a few places, so that many of them pass validation.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from fabric.api.kinds import POD
from fabric.api.objects import Object
from fabric.apiserver import schema
from fabric.apiserver.schema import Shape

WORDS = (
    *("", "a", "A", "main", "data", "zone", "kubernetes.io/hostname", "node-1", "busybox", "nginx:1"),
    *("Exists", "DoesNotExist", "Equal", "In", "NotIn", "Gt", "Lt", "NoExecute", "NoSchedule"),
    *("Always", "Never", "OnFailure", "None", "Default", "ClusterFirst", "DoNotSchedule", "ScheduleAnyway"),
    *("Honor", "TCP", "UDP", "Localhost", "File", "Directory", "DirectoryOrCreate"),
    *("metadata.name", "metadata.labels['a']", "metadata.annotations", "status.podIP", "limits.cpu"),
    *("1", "-1", "0", "99999999999999999999", "1e999", "1Ki", "100m", "0.1", "10.0.0.1", "fd00::1"),
    *("$(A)$(B)", "$(A)" * 50, "/", "/etc/hosts", "..", "../x", "a/b", "a/b/c", "a b", "a\nb", "\t", "."),
    *("x" * 63, "x" * 64, "x" * 300, "ü", "\u2028", "😀", "%s", "{}", "a=b", "-"),
)
TIMES = (
    *("2026-01-01T12:00:00Z", "2026-01-01T12:00:00.5+05:30", "2025-12-31T23:59:59.999999999-23:59"),
    *(
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-23:00",
        "0001-01-01T00:00:00+23:59",
    ),
    *("2026-01-01t12:00:00z", "2016-12-31T23:59:60Z", "2026-02-30T00:00:00Z", "2026-01-01", ""),
)
NUMBERS = (0, 1, -1, 2, 63, 80, 100, 443, 511, 512, 65535, 65536, 2**31 - 1, 2**31, 2**53, 2**63 - 1)
_DEPTH_MAX = 9


def full_pod() -> Object:
    """A good pod that uses much of what a pod can say."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "pod-1", "labels": {"app": "web"}, "annotations": {"a": "b"}},
        "spec": {
            "containers": [_container("main"), {"name": "side", "image": "busybox", "envFrom": [_all()]}],
            "initContainers": [
                {"name": "first", "image": "busybox", "command": ["true"]},
                {**_container("sidecar"), "restartPolicy": "Always", "ports": [{"containerPort": 81}]},
            ],
            "volumes": _volumes(),
            "affinity": _affinity(),
            "tolerations": [
                {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3},
                {"key": "b", "value": "c"},
            ],
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", **_SELECTOR}
            ],
            "nodeSelector": {"zone": "a"},
            **_names(),
            "securityContext": {"runAsUser": 0, "sysctls": [{"name": "net.ipv4.ip_forward", "value": "1"}]},
            "activeDeadlineSeconds": 100,
            "priority": 7,
            "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "3", "memory": "2Gi"}},
            "overhead": {"cpu": "10m"},
            "readinessGates": [{"conditionType": "example.com/open"}],
            "terminationGracePeriodSeconds": 7,
            "shareProcessNamespace": True,
            "imagePullSecrets": [{"name": "registry"}],
        },
    }


def _names() -> Object:
    return {
        "dnsPolicy": "None",
        "dnsConfig": {
            "nameservers": ["10.0.0.1"],
            "searches": ["example.com"],
            "options": [{"name": "ndots", "value": "2"}],
        },
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a", "b"]}],
        "hostname": "host",
        "subdomain": "sub",
    }


_SELECTOR = {"labelSelector": {"matchLabels": {"app": "web"}}}
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def _affinity() -> Object:
    term = {**_SELECTOR, "topologyKey": "zone"}
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["node-1"]}
    zone = {"key": "zone", "operator": "Exists"}
    many = {"key": "cores", "operator": "Gt", "values": ["3"]}
    name = {"key": "metadata.name", "operator": "In", "values": ["node-1"]}
    return {
        "nodeAffinity": {
            _REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [here, many], "matchFields": [name]}]},
            _PREFERRED: [{"weight": 1, "preference": {"matchExpressions": [zone]}}],
        },
        "podAffinity": {_PREFERRED: [{"weight": 5, "podAffinityTerm": term}]},
        "podAntiAffinity": {
            _REQUIRED: [{**term, "namespaces": ["b"], "matchLabelKeys": ["tier"]}],
            _PREFERRED: [{"weight": 1, "podAffinityTerm": {**term, "namespaceSelector": {}}}],
        },
    }


def _all() -> Object:
    return {"prefix": "P_", "configMapRef": {"name": "all", "optional": True}}


def _container(name: str) -> Object:
    return {
        "name": name,
        "image": "busybox",
        "command": ["sh", "-c", "$(A)"],
        "args": ["$(B)"],
        "ports": [{"name": "http", "containerPort": 80, "hostPort": 8080}],
        "env": [
            {"name": "A", "value": "a"},
            {"name": "B", "value": "$(A)$(A)"},
            {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "D", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {"name": "E", "valueFrom": {"configMapKeyRef": {"name": "all", "key": "k"}}},
        ],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}},
        "volumeMounts": [
            {"name": "data", "mountPath": "/data", "subPath": "a/b"},
            {"name": "down", "mountPath": "/down"},
            {"name": "host", "mountPath": "/host", "subPathExpr": "$(A)", "readOnly": True},
        ],
        "livenessProbe": {"httpGet": {"port": 80}, "periodSeconds": 5},
        "readinessProbe": {"exec": {"command": ["true"]}},
        "startupProbe": {"tcpSocket": {"port": "http"}},
        "lifecycle": {
            "preStop": {"sleep": {"seconds": 1}},
            "postStart": {"httpGet": {"port": 80, "httpHeaders": [{"name": "a", "value": "b"}]}},
        },
        "securityContext": {
            "runAsUser": 0,
            "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]},
            "seccompProfile": {"type": "Localhost", "localhostProfile": "a"},
        },
    }


def _volumes() -> list[Object]:
    item = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    amount = {"path": "cpu", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu"}}
    return [
        {"name": "data", "emptyDir": {"sizeLimit": "1Gi"}},
        {"name": "down", "downwardAPI": {"items": [item, amount]}},
        {"name": "host", "hostPath": {"path": "/data", "type": "DirectoryOrCreate"}},
        {"name": "map", "configMap": {"name": "all", "items": [{"key": "k", "path": "x/y", "mode": 0o400}]}},
        {"name": "all", "projected": {"sources": [{"secret": {"name": "s", "optional": True}}]}},
    ]


@st.composite
def any_pods(draw: st.DrawFn) -> Object:
    """A pod with its specification changed in one to four places, each by a drawn value."""
    pod = deepcopy(full_pod())
    shape = schema.shape(POD)
    assert shape is not None
    for _ in range(draw(st.integers(1, 4))):
        change(draw, shape.child("spec"), pod, "spec")
    return pod


@st.composite
def changed(draw: st.DrawFn, shape: Shape, obj: Object) -> Object:
    """A copy of the object, changed in one to three places below its top."""
    root = {"": deepcopy(obj)}
    for _ in range(draw(st.integers(1, 3))):
        change(draw, shape, root, "")
    return root[""] if isinstance(root[""], dict) else obj


def full_status() -> Object:
    """A good status of the good pod."""
    since = "2026-01-01T11:00:00Z"
    ended = {"exitCode": 1, "reason": "Error", "startedAt": since, "finishedAt": since}
    container = {
        "name": "main",
        "image": "busybox",
        "imageID": "fabric://images/busybox",
        "containerID": "fabric://0",
        "ready": True,
        "started": True,
        "restartCount": 3,
        "state": {"running": {"startedAt": since}},
        "lastState": {"terminated": ended},
    }
    first = {**container, "name": "first", "state": {"terminated": ended}}
    kinds = ("PodScheduled", "Ready", "ContainersReady", "Initialized", "example.com/open")
    return {
        "phase": "Running",
        "qosClass": "Burstable",
        "startTime": since,
        "podIP": "10.244.1.2",
        "podIPs": [{"ip": "10.244.1.2"}],
        "hostIP": "192.168.0.11",
        "hostIPs": [{"ip": "192.168.0.11"}],
        "conditions": [{"type": kind, "status": "True", "lastTransitionTime": since} for kind in kinds],
        "containerStatuses": [container],
        "initContainerStatuses": [first],
    }


@st.composite
def any_statuses(draw: st.DrawFn) -> Object:
    """A pod's status, changed in one to four places, each by a drawn value."""
    pod = {"status": full_status()}
    shape = schema.shape(POD)
    assert shape is not None
    for _ in range(draw(st.integers(1, 4))):
        change(draw, shape.child("status"), pod, "status")
    return pod["status"]


def change(draw: st.DrawFn, at: Shape, parent: Any, step: Any) -> None:
    """Go down at random, and there replace, double or add."""
    here = parent[step]
    if isinstance(here, dict) and here and draw(st.integers(0, 5)):
        name = draw(st.sampled_from(sorted(here)))
        change(draw, at.child(name), here, name)
    elif isinstance(here, list) and here and draw(st.integers(0, 5)):
        if draw(st.booleans()):
            change(draw, at.items or schema.FREE_FORM, here, draw(st.integers(0, len(here) - 1)))
        else:
            here.append(deepcopy(draw(st.sampled_from(here))))
    elif isinstance(here, dict) and at.fields and draw(st.integers(0, 3)):
        name = draw(st.sampled_from(sorted(at.fields)))
        here[name] = draw(values(at.child(name)))
    else:
        parent[step] = draw(values(at))


def values(at: Shape, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of the declared type, and now and then null."""
    if depth > _DEPTH_MAX:
        return st.none()
    return st.one_of(_typed(at, depth), _typed(at, depth), _typed(at, depth), st.none())


def _typed(at: Shape, depth: int) -> st.SearchStrategy[Any]:
    if at.fields:
        return _objects(at, depth)
    if at.name in _TIMES:
        return st.sampled_from(TIMES)
    if at.items is not None:
        below = at.items
        return st.lists(st.deferred(lambda: values(below, depth + 1)), max_size=3)
    if at.values is not None:
        child = at.values
        return st.dictionaries(_words(), st.deferred(lambda: values(child, depth + 1)), max_size=3)
    if at.name in _TEXT_OR_NUMBER:
        return st.one_of(_words(), st.sampled_from(NUMBERS))
    if isinstance(at.zero, bool):
        return st.booleans()
    if isinstance(at.zero, int):
        return st.one_of(st.sampled_from(NUMBERS), st.integers(-3, 300))
    return _words()


_TIMES = ("Time", "MicroTime")
_TEXT_OR_NUMBER = ("Quantity", "IntOrString")


@st.composite
def _objects(draw: st.DrawFn, at: Shape, depth: int) -> Object:
    assert at.fields is not None
    names = draw(st.lists(st.sampled_from(sorted(at.fields)), max_size=3, unique=True))
    return {name: draw(values(at.child(name), depth + 1)) for name in names}


def _words() -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(WORDS), st.sampled_from(WORDS), st.text(max_size=12))
