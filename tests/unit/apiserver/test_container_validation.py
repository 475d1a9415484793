"""The rules of Kubernetes 1.34 for the containers of a pod, by path and words of the refusal."""

from __future__ import annotations

import pytest
from support.registry import pod

from fabric.api.kinds import POD
from fabric.apiserver.options import WriteOptions
from fabric.errors import Invalid

STRICT = WriteOptions(field_validation="Strict")


async def faults_of(registry, body):
    with pytest.raises(Invalid) as caught:
        await registry.create(POD, "default", body, STRICT)
    return {cause["field"]: cause["message"] for cause in caught.value.details["causes"]}


def env(**source):
    return {"env": [{"name": "A", "valueFrom": source}]}


def probe(which="livenessProbe", **fields):
    return {which: {"tcpSocket": {"port": 80}, **fields}}


CONTAINERS = [
    ({"image": " x"}, "image", "must not have leading or trailing whitespace"),
    ({"env": [{"name": ""}]}, "env[0].name", "Required value"),
    ({"env": [{"name": "A=B"}]}, "env[0].name", "printable ASCII characters other than '='"),
    (env(), "env[0].valueFrom", "must specify one of: `fieldRef`"),
    (
        env(fieldRef={"fieldPath": "spec.nodeName"}, secretKeyRef={"name": "s", "key": "k"}),
        "env[0].valueFrom",
        "may not have more than one field specified at a time",
    ),
    (
        env(fieldRef={"fieldPath": "metadata.labels"}),
        "env[0].valueFrom.fieldRef.fieldPath",
        "Unsupported value",
    ),
    (
        env(fieldRef={"fieldPath": "metadata.labels['a b']"}),
        "env[0].valueFrom.fieldRef.fieldPath",
        "name part",
    ),
    (
        env(resourceFieldRef={"resource": "limits.gpu"}),
        "env[0].valueFrom.resourceFieldRef.resource",
        "Unsupported",
    ),
    (
        env(resourceFieldRef={"resource": "limits.cpu", "divisor": "3"}),
        "env[0].valueFrom.resourceFieldRef.divisor",
        "only divisor's values 1m and 1 are supported with the cpu resource",
    ),
    (env(configMapKeyRef={"name": "m", "key": "a/b"}), "env[0].valueFrom.configMapKeyRef.key", "config key"),
    ({"envFrom": [{}]}, "envFrom[0]", "must specify one of: `configMapRef` or `secretRef`"),
    ({"ports": [{"containerPort": 70000}]}, "ports[0].containerPort", "between 1 and 65535, inclusive"),
    ({"ports": [{"containerPort": 80, "name": "1"}]}, "ports[0].name", "at least one letter (a-z)"),
    ({"ports": [{"containerPort": 80, "hostIP": "all"}]}, "ports[0].hostIP", "valid IP address"),
    ({"ports": [{"containerPort": 80, "protocol": "ICMP"}]}, "ports[0].protocol", '"SCTP", "TCP", "UDP"'),
    (
        {"ports": [{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}]},
        "ports[1].hostPort",
        'Duplicate value: "TCP//80"',
    ),
    ({"volumeMounts": [{"name": "data", "mountPath": ""}]}, "volumeMounts[0].mountPath", "Required value"),
    (
        {"volumeMounts": [{"name": "data", "mountPath": "/a"}, {"name": "data", "mountPath": "/a"}]},
        "volumeMounts[1].mountPath",
        "must be unique",
    ),
    (
        {"volumeMounts": [{"name": "data", "mountPath": "/a", "subPath": "a/../b"}]},
        "volumeMounts[0].subPath",
        "must not contain '..'",
    ),
    (
        {"volumeMounts": [{"name": "data", "mountPath": "/a", "subPath": "/b"}]},
        "volumeMounts[0].subPath",
        "must be a relative path",
    ),
    (
        {"volumeMounts": [{"name": "data", "mountPath": "/a", "mountPropagation": "Bidirectional"}]},
        "volumeMounts[0].mountPropagation",
        "available only to privileged containers",
    ),
    ({"livenessProbe": {}}, "livenessProbe", "must specify a handler type"),
    (probe(exec={"command": ["a"]}), "livenessProbe.tcpSocket", "may not specify more than 1 handler type"),
    (probe(periodSeconds=-1), "livenessProbe.periodSeconds", "must be greater than or equal to 0"),
    (probe(successThreshold=2), "livenessProbe.successThreshold", "must be 1"),
    (
        probe("readinessProbe", terminationGracePeriodSeconds=3),
        "readinessProbe.terminationGracePeriodSeconds",
        "must not be set for readinessProbes",
    ),
    ({"livenessProbe": {"httpGet": {"port": 0}}}, "livenessProbe.httpGet.port", "between 1 and 65535"),
    ({"livenessProbe": {"httpGet": {"port": "a--b"}}}, "livenessProbe.httpGet.port", "consecutive hyphens"),
    ({"livenessProbe": {"exec": {}}}, "livenessProbe.exec.command", "Required value"),
    (
        {"livenessProbe": {"httpGet": {"port": 80, "httpHeaders": [{"name": "a b", "value": ""}]}}},
        "livenessProbe.httpGet.httpHeaders[0]",
        "a valid HTTP header must consist of",
    ),
    ({"lifecycle": {"preStop": {}}}, "lifecycle.preStop", "must specify a handler type"),
    (
        {"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
        "lifecycle.preStop.sleep",
        "must be non-negative",
    ),
    ({"securityContext": {"runAsGroup": 2**31}}, "securityContext.runAsGroup", "between 0 and 2147483647"),
    (
        {"securityContext": {"privileged": True, "allowPrivilegeEscalation": False}},
        "securityContext",
        "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
    ),
    ({"restartPolicy": "Always"}, "restartPolicy", "may not be set for non-init containers"),
    ({"resources": {"requests": {"gpu": "1"}}}, "resources.requests[gpu]", "must be a standard resource"),
    (
        {"resources": {"limits": {"example.com/gpu": "1500m"}}},
        "resources.limits[example.com/gpu]",
        "an integer",
    ),
    (
        {"resources": {"limits": {"memory": "1Gi"}, "requests": {"memory": "2000Mi"}}},
        "resources.requests",
        "must be less than or equal to memory limit of 1Gi",
    ),
]


@pytest.mark.parametrize(("fields", "field", "words"), CONTAINERS, ids=[field for _, field, _ in CONTAINERS])
async def test_a_container_is_refused_with_the_rule_that_it_breaks(registry, fields, field, words):
    body = pod(volumes=[{"name": "data", "emptyDir": {}}])
    body["spec"]["containers"] = [{"name": "main", "image": "busybox", **fields}]
    found = await faults_of(registry, body)
    assert list(found) == [f"spec.containers[0].{field}"]
    assert words in found[f"spec.containers[0].{field}"]


async def test_an_init_container_that_ends_has_no_probe(registry):
    init = {"name": "first", "image": "busybox", "livenessProbe": {"tcpSocket": {"port": 1}}}
    found = await faults_of(registry, pod(initContainers=[init]))
    assert found == {
        "spec.initContainers[0].livenessProbe": (
            "Forbidden: may not be set for init containers without restartPolicy=Always"
        )
    }
