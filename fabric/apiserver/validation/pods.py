"""Pods: which are valid, and what of one may change (pkg/apis/core/validation)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from fabric.api.kinds import POD
from fabric.api.names import dns_search_faults, dns_subdomain_faults, qualified_name_faults
from fabric.api.objects import Object
from fabric.apiserver import schema
from fabric.apiserver.refusals import Cause, duplicate, forbidden_field, invalid_value, required
from fabric.apiserver.validation import containers, selectors
from fabric.apiserver.validation import volumes as volume_rules
from fabric.apiserver.validation.resources import amounts, pod_resources
from fabric.apiserver.validation.rules import (
    INT32_MAX,
    Rules,
    Table,
    between,
    dns_label,
    each,
    ip,
    labels,
    linux_id,
    named,
    no_nul,
    one_of,
    qualified_name,
    subdomain,
    walk,
)

NAMESERVERS_MAX = 3
SEARCHES_MAX = 32
SEARCH_CHARACTERS_MAX = 2048
SYSCTL_MAX = 253
_SYSCTL = re.compile(r"([a-z0-9][-_a-z0-9]*[./])*[a-z0-9][-_a-z0-9]*", re.ASCII)
_ONLY_FOR_SIDECARS = "may not be set for init containers without restartPolicy=Always"


def faults(pod: Object) -> Iterator[Cause]:
    """All that is wrong with the pod's spec, by field."""
    spec = pod.get("spec")
    if not isinstance(spec, dict):
        yield required("spec")
        return
    yield from walk(_TABLE, _spec_shape(), "spec", spec)
    yield from no_nul("spec", spec)


def _pod(path: str, spec: Object) -> Iterator[Cause]:
    yield from _container_names(path, spec)
    yield from _init_containers(path, spec)
    yield from _found_volumes(path, spec)
    yield from _host_ports(path, spec)
    yield from _hooks(path, spec)
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        why = "ShareProcessNamespace and HostPID cannot both be enabled"
        yield invalid_value(f"{path}.shareProcessNamespace", True, why)
    if spec.get("dnsPolicy") == "None" and not (spec.get("dnsConfig") or {}).get("nameservers"):
        if "dnsConfig" not in spec:
            yield required(f"{path}.dnsConfig", "must provide `dnsConfig` when `dnsPolicy` is None")
        else:
            why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            yield required(f"{path}.dnsConfig.nameservers", why)


_LISTS = ("containers", "initContainers", "ephemeralContainers")


def _all_containers(spec: Object) -> Iterator[tuple[str, Object]]:
    for field in _LISTS:
        for i, container in enumerate(spec.get(field) or ()):
            yield f"{field}[{i}]", container


def _container_names(path: str, spec: Object) -> Iterator[Cause]:
    seen: set[str] = set()
    for place, container in _all_containers(spec):
        name = container.get("name", "")
        at = f"{path}.{place}.name"
        if not name:
            yield required(at)
            continue
        yield from dns_label(at, name)
        if name in seen:
            yield duplicate(at, name)
        seen.add(name)


def _init_containers(path: str, spec: Object) -> Iterator[Cause]:
    for i, container in enumerate(spec.get("containers") or ()):
        if "restartPolicy" in container:
            yield forbidden_field(
                f"{path}.containers[{i}].restartPolicy", "may not be set for non-init containers"
            )
    for i, container in enumerate(spec.get("initContainers") or ()):
        at = f"{path}.initContainers[{i}]"
        if "restartPolicy" in container:
            yield from one_of("Always")(f"{at}.restartPolicy", container["restartPolicy"])
            continue
        for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
            if field in container:
                yield forbidden_field(f"{at}.{field}", _ONLY_FOR_SIDECARS)


def _found_volumes(path: str, spec: Object) -> Iterator[Cause]:
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    for place, container in _all_containers(spec):
        for field in ("volumeMounts", "volumeDevices"):
            for i, mount in enumerate(container.get(field) or ()):
                name = mount.get("name")
                if name and name not in volumes:
                    yield Cause(
                        "FieldValueNotFound", f"{path}.{place}.{field}[{i}].name", f'Not found: "{name}"'
                    )


def _host_ports(path: str, spec: Object) -> Iterator[Cause]:
    """A port of the node can be had once; on the host's network the container's port is the node's."""
    taken = set()
    for i, container in enumerate(spec.get("containers") or ()):
        for j, port in enumerate(container.get("ports") or ()):
            host_port, at = port.get("hostPort"), f"{path}.containers[{i}].ports[{j}]"
            if spec.get("hostNetwork") and host_port != port.get("containerPort"):
                why = "must match `hostPort` when `hostNetwork` is true"
                yield invalid_value(f"{at}.containerPort", port.get("containerPort"), why)
            if not host_port:
                continue
            name = f"{port.get('protocol', 'TCP')}/{port.get('hostIP', '')}/{host_port}"
            if name in taken:
                yield duplicate(f"{at}.hostPort", name)
            taken.add(name)


def _hooks(path: str, spec: Object) -> Iterator[Cause]:
    """A hook that sleeps must be awake before the grace period is over."""
    grace = spec.get("terminationGracePeriodSeconds", 30)
    for place, container in _all_containers(spec):
        for name, hook in (container.get("lifecycle") or {}).items():
            sleep = hook.get("sleep") if isinstance(hook, dict) else None
            if sleep is not None and not 0 <= sleep.get("seconds", 0) <= grace:
                why = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
                yield invalid_value(f"{path}.{place}.lifecycle.{name}.sleep", sleep.get("seconds"), why)


def _nameservers(path: str, value: list[str]) -> Iterator[Cause]:
    if len(value) > NAMESERVERS_MAX:
        yield invalid_value(path, value, f"must not have more than {NAMESERVERS_MAX} nameservers")
    yield from each(ip)(path, value)


def _searches(path: str, value: list[str]) -> Iterator[Cause]:
    if len(value) > SEARCHES_MAX:
        yield invalid_value(path, value, f"must not have more than {SEARCHES_MAX} search paths")
    if len(" ".join(value)) > SEARCH_CHARACTERS_MAX:
        most = f"must not have more than {SEARCH_CHARACTERS_MAX} characters (including spaces)"
        why = f"{most} in the search list"
        yield invalid_value(path, value, why)
    yield from each(named(dns_search_faults))(path, value)


def _dns_option(path: str, option: Object) -> Iterator[Cause]:
    if not option.get("name"):
        yield required(path, "must not be empty")


def _sysctls(path: str, value: list[Object]) -> Iterator[Cause]:
    seen = set()
    for i, sysctl in enumerate(value):
        name, at = sysctl.get("name", ""), f"{path}[{i}].name"
        if not name:
            yield required(at)
        elif len(name) > SYSCTL_MAX or not _SYSCTL.fullmatch(name):
            why = f"must have at most {SYSCTL_MAX} characters and match regex ^{_SYSCTL.pattern}$"
            yield invalid_value(at, name, why)
        elif name in seen:
            yield duplicate(at, name)
        seen.add(name)


def _gates(path: str, value: list[Object]) -> Iterator[Cause]:
    seen = set()
    for i, gate in enumerate(value):
        name = gate.get("name", "")
        yield from (invalid_value(f"{path}[{i}]", name, fault) for fault in qualified_name_faults(name))
        if name in seen:
            yield duplicate(f"{path}[{i}]", name)
        seen.add(name)


def _none_at_creation(path: str, value: list[Object]) -> Iterator[Cause]:
    if value:
        yield forbidden_field(path, "cannot be set on create")


_TABLE: Table = {
    **selectors.RULES,
    **volume_rules.RULES,
    **containers.RULES,
    "PodSpec": Rules(
        required={"containers": ""},
        fields={
            "restartPolicy": one_of("Always", "Never", "OnFailure"),
            "dnsPolicy": one_of("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
            "activeDeadlineSeconds": between(1, INT32_MAX),
            "volumes": volume_rules.volumes,
            "hostname": dns_label,
            "subdomain": dns_label,
            "nodeName": named(dns_subdomain_faults, or_empty=True),
            "serviceAccountName": subdomain,
            "priorityClassName": subdomain,
            "runtimeClassName": subdomain,
            "nodeSelector": labels,
            "preemptionPolicy": one_of("Never", "PreemptLowerPriority"),
            "topologySpreadConstraints": selectors.spread_constraints,
            "schedulingGates": _gates,
            "ephemeralContainers": _none_at_creation,
            "overhead": amounts,
            "resources": pod_resources,
        },
        whole=(_pod,),
    ),
    "PodOS": Rules(required={"name": ""}, fields={"name": one_of("linux", "windows")}),
    "PodReadinessGate": Rules(
        fields={"conditionType": qualified_name},
    ),
    "HostAlias": Rules(fields={"ip": ip, "hostnames": each(subdomain)}),
    "PodDNSConfig": Rules(
        fields={"nameservers": _nameservers, "searches": _searches, "options": each(_dns_option)}
    ),
    "PodSecurityContext": Rules(
        fields={
            "runAsUser": linux_id,
            "runAsGroup": linux_id,
            "fsGroup": linux_id,
            "supplementalGroups": each(linux_id),
            "sysctls": _sysctls,
            "fsGroupChangePolicy": one_of("Always", "OnRootMismatch"),
            "supplementalGroupsPolicy": one_of("Merge", "Strict"),
        }
    ),
}


@cache
def _spec_shape() -> schema.Shape:
    shape = schema.shape(POD)
    assert shape is not None
    return shape.child("spec")
