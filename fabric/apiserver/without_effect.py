"""The fields of pods and service accounts that are kept and change nothing here, each with its reason.

A client that sets one is answered with a warning, which kubectl prints. The table goes by OpenAPI definition,
as the rules of validation do, so that a field is found in every place that it can have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from fabric.api.kinds import POD, SERVICE_ACCOUNT, Kind
from fabric.api.objects import Object
from fabric.apiserver import pod_defaults, schema
from fabric.apiserver.schema import Shape

_KINDS = {POD: "spec", SERVICE_ACCOUNT: ""}
"""The kinds that have such fields, and the field below which they stand."""


@dataclass(frozen=True, slots=True)
class WithoutEffect:
    """The reason why a field changes nothing, and the values that ask for nothing that is not so anyway."""

    reason: str
    harmless: tuple[Any, ...] = ()
    asks: Callable[[Any], bool] = bool

    def is_told(self, value: Any) -> bool:
        """True when somebody who gives this value should be warned."""
        return value not in self.harmless and self.asks(value)


def _limits_a_process(limits: Any) -> bool:
    """Limits of extended resources are requests too, and those the scheduler counts."""
    return any("/" not in name for name in limits)


def _is_given(value: Any) -> bool:
    return value is not None


def _is_false(value: Any) -> bool:
    return value is False


_PROBES = "probes are not run: a container that runs is ready"
_HOOKS = "hooks are not run"
_LIMITS = "the processes of containers have no limits; the scheduler counts requests"
_PROFILES = "seccomp, AppArmor and SELinux are not set up for containers"
_WINDOWS = "all nodes run Linux"
_GATE_IS_OFF = "its feature gate is off in Kubernetes 1.34"
_MOUNTS = "volumes of this type cannot be mounted: the pod will not start"
_TOKENS = "there are no tokens of service accounts"
_CLAIMS = "devices are not allocated"
_ATTACH = "nothing can be attached to a container: its standard input is empty and no terminal"
_IDS = "the processes of containers have no supplemental groups"
_PULLS = "nothing is pulled: images are names of programs of this machine"
_MESSAGES = "termination messages are not read"
_NAMESPACES = "a pod has process and IPC namespaces of its own, and the users of the machine"
_DISK = "an emptyDir is a directory on the disk, and its size is not limited"
_NO_CLASS = "there are no PriorityClasses but those of the system; `priority` counts"
_UNMOUNTED = """
    awsElasticBlockStore azureDisk azureFile cephfs cinder csi ephemeral fc flexVolume flocker
    gcePersistentDisk gitRepo glusterfs image iscsi nfs persistentVolumeClaim photonPersistentDisk
    portworxVolume quobyte rbd scaleIO storageos vsphereVolume
"""


def _fields(names: str, reason: str, *harmless: Any, asks: Callable[[Any], bool] = bool) -> Row:
    return {name: WithoutEffect(reason, harmless, asks) for name in names.split()}


Row = Mapping[str, WithoutEffect]
_CONTAINER: Row = {
    **_fields("livenessProbe readinessProbe startupProbe", _PROBES, asks=_is_given),
    **_fields("resizePolicy", "pods cannot be resized"),
    **_fields("restartPolicyRules", _GATE_IS_OFF),
    **_fields("stdin stdinOnce tty", _ATTACH),
    **_fields("terminationMessagePath", _MESSAGES, "/dev/termination-log"),
    **_fields("terminationMessagePolicy", _MESSAGES, "File"),
    **_fields("volumeDevices", "there are no block devices to map"),
}
TABLE: Mapping[str, Row] = {
    "PodSpec": {
        **_fields("automountServiceAccountToken", _TOKENS),
        **_fields("hostIPC hostPID", _NAMESPACES),
        **_fields("hostUsers", _NAMESPACES, asks=_is_false),
        **_fields("hostnameOverride", _GATE_IS_OFF),
        **_fields("imagePullSecrets", _PULLS),
        **_fields("os", _WINDOWS, asks=lambda value: value.get("name") == "windows"),
        **_fields("preemptionPolicy", "nothing is preempted", "PreemptLowerPriority", "Never"),
        **_fields("priorityClassName", _NO_CLASS, *pod_defaults.SYSTEM_PRIORITIES),
        **_fields("resourceClaims", _CLAIMS),
        **_fields("runtimeClassName", "there are no RuntimeClasses"),
        **_fields("shareProcessNamespace", "a pod's containers see each other's processes", asks=_is_false),
        **_fields("setHostnameAsFQDN", "the host name is the short one"),
    },
    "PodSecurityContext": {
        **_fields("appArmorProfile seccompProfile", _PROFILES, {"type": "Unconfined"}, asks=_is_given),
        **_fields("seLinuxOptions seLinuxChangePolicy", _PROFILES),
        **_fields("fsGroup", "volumes belong to root, and all may write", asks=_is_given),
        **_fields("fsGroupChangePolicy", "volumes belong to root, and all may write"),
        **_fields("supplementalGroups supplementalGroupsPolicy", _IDS),
        **_fields("sysctls", "a pod's sysctls are those of a new network namespace"),
        **_fields("windowsOptions", _WINDOWS),
    },
    "Container": _CONTAINER,
    "Lifecycle": {
        **_fields("postStart preStop", _HOOKS, asks=_is_given),
        **_fields("stopSignal", _GATE_IS_OFF),
    },
    "ResourceRequirements": {
        **_fields("claims", _CLAIMS),
        **_fields("limits", _LIMITS, asks=_limits_a_process),
    },
    "SecurityContext": {
        **_fields("allowPrivilegeEscalation", "set-user-ID programs work", asks=_is_false),
        **_fields("appArmorProfile seccompProfile", _PROFILES, {"type": "Unconfined"}, asks=_is_given),
        **_fields("privileged", "a container has the capabilities of `capabilities`, and no devices"),
        **_fields("procMount", "/proc is not masked", "Default", "Unmasked"),
        **_fields("seLinuxOptions", _PROFILES),
        **_fields("windowsOptions", _WINDOWS),
    },
    "VolumeMount": {
        **_fields("mountPropagation", "mounts are not propagated", "None"),
        **_fields("recursiveReadOnly", "mounts below it can be written", "Disabled", "IfPossible"),
    },
    "Volume": _fields(_UNMOUNTED, _MOUNTS, asks=_is_given),
    "EmptyDirVolumeSource": {
        **_fields("medium", _DISK),
        **_fields("sizeLimit", _DISK, asks=_is_given),
    },
    "VolumeProjection": {
        **_fields("serviceAccountToken", _TOKENS, asks=_is_given),
        **_fields("clusterTrustBundle podCertificate", _GATE_IS_OFF, asks=_is_given),
    },
    "ServiceAccount": {
        **_fields("automountServiceAccountToken secrets", _TOKENS),
        **_fields("imagePullSecrets", _PULLS),
    },
}
"""By definition and field."""


def warnings(kind: Kind, obj: Object, old: Object | None = None) -> Iterator[str]:
    """The warnings for a client that writes this object; a write that changes none of its fields has none."""
    found = _table_of(kind)
    if found is None:
        return
    at, field = found
    value = obj.get(field) if field else obj
    if not isinstance(value, dict) or (field and old is not None and old.get(field) == value):
        return
    yield from _walk(at, field, value)


@cache
def _table_of(kind: Kind) -> tuple[Shape, str] | None:
    if kind not in _KINDS:
        return None
    field, at = _KINDS[kind], schema.shape(kind)
    assert at is not None
    return (at.child(field) if field else at), field


def _walk(at: Shape, path: str, value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for i, item in enumerate(value if at.items else ()):
            if isinstance(item, dict) and at.items:
                yield from _walk(at.items, f"{path}[{i}]", item)
        return
    row = TABLE.get(at.name, {})
    for name, child in value.items():
        place = f"{path}.{name}" if path else name
        if name in row:
            if row[name].is_told(child):
                yield f"{place}: it changes nothing: {row[name].reason}"
        elif isinstance(child, dict | list) and at.fields is not None and name in at.fields:
            yield from _walk(at.fields[name], place, child)
