"""Which pods are valid, and what of a pod may change (pkg/apis/core/validation)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fabric.api.objects import Object
from fabric.api.quantity import parse_quantity
from fabric.apiserver.metadata import name_faults
from fabric.apiserver.refusals import (
    Cause,
    duplicate,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
)

RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
PROTOCOLS = ("TCP", "UDP", "SCTP")
PORT_MAX = 65535
INT32_MAX = 2**31 - 1

SELECTABLE = frozenset(
    {
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    }
)


def faults(pod: Object) -> Iterator[Cause]:
    """All that is wrong with the pod's spec, by field."""
    spec = pod.get("spec")
    if not isinstance(spec, dict):
        yield required("spec")
        return
    if not spec.get("containers"):
        yield required("spec.containers")
    yield from _choice(spec, "restartPolicy", RESTART_POLICIES)
    yield from _choice(spec, "dnsPolicy", DNS_POLICIES)
    grace = spec.get("terminationGracePeriodSeconds", 0)
    if grace < 0:
        yield invalid_value("spec.terminationGracePeriodSeconds", grace, "must be greater than or equal to 0")
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= INT32_MAX:
        yield invalid_value(
            "spec.activeDeadlineSeconds", deadline, f"must be between 1 and {INT32_MAX}, inclusive"
        )
    yield from _volume_faults(spec)
    yield from _container_list_faults(spec)
    yield from _nul_faults("spec", spec)


def _nul_faults(at: str, value: Any) -> Iterator[Cause]:
    """No word, name or path of Linux holds a NUL byte; here it is refused before a node meets it."""
    if isinstance(value, str):
        if "\0" in value:
            yield invalid_value(at, value, "must not contain a NUL byte")
    elif isinstance(value, dict):
        for name, child in value.items():
            yield from _nul_faults(f"{at}.{name}", child)
    elif isinstance(value, list):
        for i, child in enumerate(value):
            yield from _nul_faults(f"{at}[{i}]", child)


def _choice(spec: Object, field: str, allowed: tuple[str, ...], path: str = "spec") -> Iterator[Cause]:
    if spec.get(field) not in (None, *allowed):
        yield not_supported(f"{path}.{field}", spec[field], sorted(allowed))


def _volume_faults(spec: Object) -> Iterator[Cause]:
    seen = set()
    for i, volume in enumerate(spec.get("volumes") or ()):
        at = f"spec.volumes[{i}]"
        name = volume.get("name", "")
        yield from name_faults(f"{at}.name", name, label=True)
        if name in seen:
            yield duplicate(f"{at}.name", name)
        seen.add(name)
        if len(volume) > 2:
            yield forbidden_field(at, "may not specify more than 1 volume type")


def _container_list_faults(spec: Object) -> Iterator[Cause]:
    seen: set[str] = set()
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    for field in ("containers", "initContainers"):
        for i, container in enumerate(spec.get(field) or ()):
            at = f"spec.{field}[{i}]"
            name = container.get("name", "")
            yield from name_faults(f"{at}.name", name, label=True)
            if name in seen:
                yield duplicate(f"{at}.name", name)
            seen.add(name)
            yield from _container_faults(at, container, volumes)


def _container_faults(at: str, container: Object, volumes: set[Any]) -> Iterator[Cause]:
    if not container.get("image"):
        yield required(f"{at}.image")
    yield from _choice(container, "imagePullPolicy", PULL_POLICIES, at)
    yield from _port_faults(at, container.get("ports") or ())
    for i, variable in enumerate(container.get("env") or ()):
        if not variable.get("name"):
            yield required(f"{at}.env[{i}].name")
    for i, mount in enumerate(container.get("volumeMounts") or ()):
        if not mount.get("mountPath"):
            yield required(f"{at}.volumeMounts[{i}].mountPath")
        if mount.get("name") not in volumes:
            yield Cause(
                "FieldValueNotFound", f"{at}.volumeMounts[{i}].name", f'Not found: "{mount.get("name", "")}"'
            )
    yield from _resource_faults(f"{at}.resources", container.get("resources") or {})


def _port_faults(at: str, ports: Any) -> Iterator[Cause]:
    names = set()
    for i, port in enumerate(ports):
        field = f"{at}.ports[{i}]"
        for which in ("containerPort", "hostPort"):
            number = port.get(which)
            if number is not None and not 0 < number <= PORT_MAX:
                yield invalid_value(
                    f"{field}.{which}", number, f"must be between 1 and {PORT_MAX}, inclusive"
                )
        yield from _choice(port, "protocol", PROTOCOLS, field)
        name = port.get("name")
        if name and name in names:
            yield duplicate(f"{field}.name", name)
        names.add(name)


def _resource_faults(at: str, resources: Object) -> Iterator[Cause]:
    for which in ("limits", "requests"):
        for name, text in (resources.get(which) or {}).items():
            field = f"{at}.{which}[{name}]"
            try:
                if parse_quantity(text) < 0:
                    yield invalid_value(field, text, "must be greater than or equal to 0")
            except ValueError:
                yield invalid_value(
                    field,
                    text,
                    "quantities must match the regular expression "
                    "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
                )
                return
    limits = resources.get("limits") or {}
    for name, text in (resources.get("requests") or {}).items():
        if name in limits and parse_quantity(text) > parse_quantity(limits[name]):
            why = f"must be less than or equal to {name} limit of {limits[name]}"
            yield invalid_value(f"{at}.requests", text, why)


_CHANGEABLE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates")
_IMMUTABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def update_faults(new: Object, old: Object) -> Iterator[Cause]:
    """What may not change in a pod once it is there."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if before is after or before == after:
        return
    if _fixed_part(before) != _fixed_part(after):
        yield forbidden_field("spec", _IMMUTABLE)
    earlier = before.get("terminationGracePeriodSeconds")
    if after.get("terminationGracePeriodSeconds") != earlier and (earlier or 0) >= 0:
        yield forbidden_field("spec", _IMMUTABLE)
    had, has = before.get("tolerations") or [], after.get("tolerations") or []
    if not all(toleration in has for toleration in had):
        yield forbidden_field(
            "spec.tolerations", "existing toleration can not be modified except its tolerationSeconds"
        )
    if before.get("activeDeadlineSeconds") is not None and (
        after.get("activeDeadlineSeconds") is None
        or after["activeDeadlineSeconds"] > before["activeDeadlineSeconds"]
    ):
        yield invalid_value(
            "spec.activeDeadlineSeconds",
            after.get("activeDeadlineSeconds"),
            "must be less than or equal to previous value",
        )


def _fixed_part(spec: Object) -> Object:
    fixed = {name: value for name, value in spec.items() if name not in _CHANGEABLE}
    for field in ("containers", "initContainers"):
        fixed[field] = [{**container, "image": ""} for container in spec.get(field) or ()]
    return fixed
