"""No field of a pod is taken in silence: each is done, refused, or answered with a warning."""

from __future__ import annotations

import pytest
from support.registry import new_registry, pod

from fabric.api.kinds import POD, SERVICE_ACCOUNT
from fabric.apiserver import schema
from fabric.apiserver.local import LocalClient
from fabric.apiserver.schema import Shape
from fabric.apiserver.without_effect import TABLE
from fabric.control.client import STRATEGIC
from fabric.errors import Invalid

DONE = {
    "PodSpec": """
        activeDeadlineSeconds affinity containers dnsConfig dnsPolicy enableServiceLinks hostAliases hostname
        hostNetwork initContainers nodeName nodeSelector overhead priority readinessGates resources
        restartPolicy schedulerName schedulingGates securityContext serviceAccount serviceAccountName
        subdomain terminationGracePeriodSeconds tolerations topologySpreadConstraints volumes
    """,
    "Affinity": "nodeAffinity podAffinity podAntiAffinity",
    **dict.fromkeys(
        ("NodeAffinity", "PodAffinity", "PodAntiAffinity"),
        "requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution",
    ),
    "NodeSelector": "nodeSelectorTerms",
    "NodeSelectorTerm": "matchExpressions matchFields",
    "NodeSelectorRequirement": "key operator values",
    "PreferredSchedulingTerm": "preference weight",
    "PodAffinityTerm": """
        labelSelector matchLabelKeys mismatchLabelKeys namespaces namespaceSelector topologyKey
    """,
    "WeightedPodAffinityTerm": "podAffinityTerm weight",
    "LabelSelector": "matchExpressions matchLabels",
    "LabelSelectorRequirement": "key operator values",
    "PodDNSConfig": "nameservers searches options",
    "PodDNSConfigOption": "name value",
    "HostAlias": "hostnames ip",
    "PodReadinessGate": "conditionType",
    "PodSchedulingGate": "name",
    "PodSecurityContext": "runAsGroup runAsNonRoot runAsUser",
    "Toleration": "effect key operator tolerationSeconds value",
    "TopologySpreadConstraint": """
        labelSelector matchLabelKeys maxSkew minDomains nodeAffinityPolicy nodeTaintsPolicy topologyKey
        whenUnsatisfiable
    """,
    "Container": """
        args command env envFrom image imagePullPolicy lifecycle name ports resources restartPolicy
        securityContext volumeMounts workingDir
    """,
    "ContainerPort": "containerPort hostIP hostPort name protocol",
    "EnvVar": "name value valueFrom",
    "EnvVarSource": "configMapKeyRef fieldRef resourceFieldRef secretKeyRef",
    **dict.fromkeys(("ConfigMapKeySelector", "SecretKeySelector"), "key name optional"),
    "ObjectFieldSelector": "apiVersion fieldPath",
    "ResourceFieldSelector": "containerName divisor resource",
    "EnvFromSource": "configMapRef prefix secretRef",
    **dict.fromkeys(("ConfigMapEnvSource", "SecretEnvSource"), "name optional"),
    "ResourceRequirements": "requests",
    "SecurityContext": "capabilities readOnlyRootFilesystem runAsGroup runAsNonRoot runAsUser",
    "Capabilities": "add drop",
    "VolumeMount": "mountPath name readOnly subPath subPathExpr",
    "Volume": "configMap downwardAPI emptyDir hostPath name projected secret",
    "ConfigMapVolumeSource": "defaultMode items name optional",
    "SecretVolumeSource": "defaultMode items optional secretName",
    "KeyToPath": "key mode path",
    "DownwardAPIVolumeSource": "defaultMode items",
    "DownwardAPIVolumeFile": "fieldRef mode path resourceFieldRef",
    "HostPathVolumeSource": "path type",
    "ProjectedVolumeSource": "defaultMode sources",
    "VolumeProjection": "configMap downwardAPI secret",
    **dict.fromkeys(("ConfigMapProjection", "SecretProjection"), "items name optional"),
    "DownwardAPIProjection": "items",
    "ServiceAccount": "apiVersion kind metadata",
}
"""The fields that the scheduler, a controller or a kubelet acts on."""
REFUSED = {"PodSpec": "ephemeralContainers", "EnvVarSource": "fileKeyRef"}


def definitions(at: Shape, seen: dict[str, Shape]) -> dict[str, Shape]:
    """The definitions below fields that are done."""
    while at.items is not None:
        at = at.items
    if at.fields and at.name and at.name not in seen:
        seen[at.name] = at
        for name in DONE.get(at.name, "").split():
            definitions(at.fields[name], seen)
    return seen


def reachable() -> dict[str, Shape]:
    pods, accounts = schema.shape(POD), schema.shape(SERVICE_ACCOUNT)
    assert pods and accounts
    found = definitions(pods.child("spec"), {})
    return {**found, accounts.name: accounts}


def test_every_field_of_a_pod_is_done_or_refused_or_in_the_table():
    for name, at in reachable().items():
        done, refused = DONE.get(name, "").split(), REFUSED.get(name, "").split()
        assert sorted([*done, *refused, *TABLE.get(name, {})]) == sorted(at.fields or ()), name
    assert TABLE.keys() <= reachable().keys()


async def told(body, kind=POD):
    warnings: list[str] = []
    async with new_registry() as registry:
        await LocalClient(registry, warn=warnings.append).create(kind, body, namespace="default")
    return warnings


CONTAINER = [
    *(({name: {"exec": {"command": ["true"]}}}, name) for name in ("livenessProbe", "readinessProbe")),
    ({"startupProbe": {"tcpSocket": {"port": 80}}}, "startupProbe"),
    *(
        ({"lifecycle": {name: {"exec": {"command": ["true"]}}}}, f"lifecycle.{name}")
        for name in ("postStart", "preStop")
    ),
    ({"lifecycle": {"stopSignal": "SIGUSR1"}}, "lifecycle.stopSignal"),
    ({"resources": {"limits": {"cpu": "1"}}}, "resources.limits"),
    ({"securityContext": {"privileged": True}}, "securityContext.privileged"),
    (
        {"securityContext": {"allowPrivilegeEscalation": False}},
        "securityContext.allowPrivilegeEscalation",
    ),
    ({"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}, "securityContext.seccompProfile"),
    *(({name: True}, name) for name in ("stdin", "stdinOnce", "tty")),
    ({"terminationMessagePath": "/message"}, "terminationMessagePath"),
    ({"terminationMessagePolicy": "FallbackToLogsOnError"}, "terminationMessagePolicy"),
    (
        {"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}]},
        "resizePolicy",
    ),
]
SPEC = [
    *(({name: True}, name) for name in ("hostIPC", "hostPID", "setHostnameAsFQDN")),
    ({"automountServiceAccountToken": True}, "automountServiceAccountToken"),
    ({"hostUsers": False}, "hostUsers"),
    ({"imagePullSecrets": [{"name": "registry"}]}, "imagePullSecrets"),
    ({"os": {"name": "windows"}}, "os"),
    ({"priorityClassName": "high"}, "priorityClassName"),
    ({"runtimeClassName": "gvisor"}, "runtimeClassName"),
    ({"securityContext": {"fsGroup": 0}}, "securityContext.fsGroup"),
    ({"securityContext": {"sysctls": [{"name": "net.a", "value": "1"}]}}, "securityContext.sysctls"),
    ({"securityContext": {"supplementalGroups": [7]}}, "securityContext.supplementalGroups"),
    ({"volumes": [{"name": "a", "nfs": {"server": "a", "path": "/"}}]}, "volumes[0].nfs"),
    (
        {"volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "data"}}]},
        "volumes[0].persistentVolumeClaim",
    ),
    ({"volumes": [{"name": "a", "emptyDir": {"medium": "Memory"}}]}, "volumes[0].emptyDir.medium"),
    ({"volumes": [{"name": "a", "emptyDir": {"sizeLimit": "1Gi"}}]}, "volumes[0].emptyDir.sizeLimit"),
    (
        {"volumes": [{"name": "a", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]},
        "volumes[0].projected.sources[0].serviceAccountToken",
    ),
]


@pytest.mark.parametrize(("fields", "path"), SPEC, ids=[path for _, path in SPEC])
async def test_a_field_of_a_pod_that_changes_nothing_is_told(fields, path):
    (warning,) = await told(pod(**fields))
    assert warning.startswith(f"spec.{path}: it changes nothing: ")


@pytest.mark.parametrize(("fields", "path"), CONTAINER, ids=[path for _, path in CONTAINER])
@pytest.mark.parametrize("place", ["containers", "initContainers"])
async def test_a_field_of_a_container_that_changes_nothing_is_told(fields, path, place):
    container = {"name": "first", "image": "busybox:1.36", **fields}
    if place == "initContainers":
        container["restartPolicy"] = "Always"
    spec = pod()["spec"] | {place: [container]}
    (warning,) = await told(pod(**spec))
    assert warning.startswith(f"spec.{place}[0].{path}: it changes nothing: ")


async def test_a_service_account_has_no_tokens_and_pulls_nothing():
    body = {"metadata": {"name": "robot"}, "imagePullSecrets": [{"name": "registry"}]}
    assert [text.split(":")[0] for text in await told(body, SERVICE_ACCOUNT)] == ["imagePullSecrets"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"os": {"name": "linux"}},
        {"hostUsers": True, "shareProcessNamespace": True},
        {"automountServiceAccountToken": False},
        {"priorityClassName": "system-node-critical"},
        {"preemptionPolicy": "Never"},
        {"volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "hostPath": {"path": "/b"}}]},
        {"containers": [{"name": "a", "image": "a", "resources": {"limits": {"example.com/nic": "1"}}}]},
        {"containers": [{"name": "a", "image": "a", "securityContext": {"privileged": False}}]},
    ],
    ids=str,
)
async def test_what_is_so_anyway_is_not_told(fields):
    assert await told(pod(**fields)) == []


async def test_only_a_write_that_changes_the_specification_is_answered_with_warnings():
    warnings: list[str] = []
    async with new_registry() as registry:
        client = LocalClient(registry, warn=warnings.append)
        await client.create(POD, pod(hostPID=True), namespace="default")
        status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        for change, part in ((status, "status"), ({"metadata": {"labels": {"app": "web"}}}, "")):
            await client.patch(
                POD, "pod-1", change, namespace="default", subresource=part, patch_type=STRATEGIC
            )
        assert len(warnings) == 1
        await client.patch(POD, "pod-1", {"spec": {"activeDeadlineSeconds": 5}}, namespace="default")
        assert len(warnings) == 2


async def test_a_priority_class_of_the_system_gives_its_priority():
    async with new_registry() as registry:
        client = LocalClient(registry)
        made = await client.create(POD, pod(priorityClassName="system-node-critical"), namespace="default")
        assert made["spec"]["priority"] == 2_000_001_000


@pytest.mark.parametrize(
    "fields",
    [
        {"ephemeralContainers": [{"name": "debug", "image": "busybox"}]},
        {
            "containers": [
                {
                    "name": "a",
                    "image": "a",
                    "env": [
                        {
                            "name": "A",
                            "valueFrom": {"fileKeyRef": {"key": "a", "path": "a", "volumeName": "v"}},
                        }
                    ],
                }
            ]
        },
    ],
    ids=REFUSED.values(),
)
async def test_fields_that_are_refused(fields):
    with pytest.raises(Invalid):
        await told(pod(**fields))
