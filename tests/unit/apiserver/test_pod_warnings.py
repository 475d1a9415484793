"""Kubernetes' own warnings of pods, in its words."""

from __future__ import annotations

import pytest
from support.registry import new_registry, pod

from fabric.api.kinds import POD
from fabric.apiserver.local import LocalClient

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
NULL = "a null labelSelector results in matching no pod"
SPREAD = {"maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}


async def told(body):
    warnings: list[str] = []
    async with new_registry() as registry:
        await LocalClient(registry, warn=warnings.append).create(POD, body, namespace="default")
    return warnings


def with_container(**fields):
    return {"containers": [{"name": "main", "image": "busybox:1", **fields}]}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        (
            {"terminationGracePeriodSeconds": -1},
            [
                "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be "
                "treated as 1"
            ],
        ),
        (
            {"nodeSelector": {"beta.kubernetes.io/os": "linux"}},
            [
                'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" '
                "instead"
            ],
        ),
        (
            {
                "topologySpreadConstraints": [
                    {**SPREAD, "topologyKey": "failure-domain.beta.kubernetes.io/zone"}
                ]
            },
            [
                "spec.topologySpreadConstraints[0].topologyKey: failure-domain.beta.kubernetes.io/zone is "
                'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
                f"spec.topologySpreadConstraints[0].labelSelector: {NULL}",
            ],
        ),
        (
            {"affinity": {"podAffinity": {REQUIRED: [{"topologyKey": "zone"}]}}},
            [f"spec.affinity.podAffinity.{REQUIRED}[0].labelSelector: {NULL}"],
        ),
        (
            {
                "affinity": {
                    "podAntiAffinity": {
                        PREFERRED: [{"weight": 1, "podAffinityTerm": {"topologyKey": "zone"}}]
                    }
                }
            },
            [f"spec.affinity.podAntiAffinity.{PREFERRED}[0].podAffinityTerm.labelSelector: {NULL}"],
        ),
        (
            {"hostAliases": [{"ip": "10.0.0.1", "hostnames": [name]} for name in ("a", "b")]},
            ['spec.hostAliases[1].ip: duplicate ip "10.0.0.1"'],
        ),
        (
            with_container(
                env=[{"name": "A", "value": v} for v in ("a", "b", "$(A)", "$(A)c")],
            ),
            [
                f'spec.containers[0].env[{i}]: hides previous definition of "A", which may be dropped when '
                "using apply"
                for i in (1, 2)
            ],
        ),
        (
            with_container(resources={"requests": {"memory": "1500m", "cpu": "1500m"}}),
            [
                'spec.containers[0].resources.requests[memory]: fractional byte value "1500m" is invalid, '
                "must be an integer"
            ],
        ),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
async def test_what_was_surely_not_meant_is_told(spec, expected):
    assert await told(pod(**spec)) == expected


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ({"containerPort": 80}, ["duplicate port definition with spec.containers[0].ports[0]"]),
        ({"containerPort": 80, "protocol": "UDP"}, []),
        (
            {"containerPort": 80, "hostPort": 80},
            ["overlapping port definition with spec.containers[0].ports[0]"],
        ),
        (
            {"containerPort": 81, "name": "http"},
            [
                'duplicate port name "http" with spec.containers[0].ports[0], services and probes that '
                "select ports by name will use spec.containers[0].ports[0]"
            ],
        ),
    ],
)
async def test_a_port_that_another_container_has_too_is_told(port, expected):
    first = {"name": "first", "image": "busybox:1", "ports": [{"containerPort": 80, "name": "http"}]}
    second = {"name": "second", "image": "busybox:1", "ports": [port]}
    warnings = await told(pod(containers=[first, second]))
    assert warnings == [f"spec.containers[1].ports[0]: {text}" for text in expected]


async def test_a_name_that_is_no_host_name_is_told():
    (warning,) = await told(pod("web.example"))
    assert warning.startswith(
        "metadata.name: this is used in the Pod's hostname, which can result in surprising"
    )


async def test_a_pod_of_negative_grace_has_one_second_to_stop():
    async with new_registry() as registry:
        client = LocalClient(registry)
        body = pod(terminationGracePeriodSeconds=-5, nodeName="node-1")
        await client.create(POD, body, namespace="default")
        await client.delete(POD, "pod-1", "default")
        deleted = await client.get(POD, "pod-1", "default")
        assert deleted["metadata"]["deletionGracePeriodSeconds"] == 1
