"""Containers: environment, ports, mounts, probes, hooks and security contexts."""

from __future__ import annotations

from collections.abc import Iterator

from fabric.api.names import env_name_faults, http_header_faults, port_name_faults
from fabric.api.objects import Object
from fabric.apiserver.refusals import Cause, duplicate, forbidden_field, invalid_value, required
from fabric.apiserver.validation.resources import container_resources, resource_field
from fabric.apiserver.validation.rules import (
    Check,
    Rules,
    Table,
    at_least,
    exactly_one,
    ip_or_none,
    linux_id,
    named,
    one_of,
    port_number,
    port_or_name,
    relative_path,
)
from fabric.apiserver.validation.volumes import ENV_FIELDS, config_key, field_reference

_NO_HANDLER = "must specify a handler type"
_ONE_AT_A_TIME = "may not have more than one field specified at a time"
_ENV_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")
_env_name = named(env_name_faults, or_empty=True)
_port_name = named(port_name_faults, or_empty=True)


def _image(path: str, value: str) -> Iterator[Cause]:
    if value != value.strip():
        yield invalid_value(path, value, "must not have leading or trailing whitespace")


def _env(path: str, variable: Object) -> Iterator[Cause]:
    source = variable.get("valueFrom")
    if source is None:
        return
    at = f"{path}.valueFrom"
    given = [name for name in source if name in _ENV_SOURCES]
    if not given:
        known = ", ".join(f"`{name}`" for name in _ENV_SOURCES[:-1])
        yield invalid_value(at, "", f"must specify one of: {known} or `{_ENV_SOURCES[-1]}`")
    elif variable.get("value"):
        yield invalid_value(at, "", "may not be specified when `value` is not empty")
    elif len(given) > 1:
        yield invalid_value(at, "", _ONE_AT_A_TIME)


def _env_from(path: str, source: Object) -> Iterator[Cause]:
    given = [name for name in ("configMapRef", "secretRef") if name in source]
    if not given:
        yield invalid_value(path, "", "must specify one of: `configMapRef` or `secretRef`")
    elif len(given) > 1:
        yield invalid_value(path, "", _ONE_AT_A_TIME)


def _ports(path: str, ports: list[Object]) -> Iterator[Cause]:
    names = set()
    for i, port in enumerate(ports):
        if not port.get("containerPort"):
            yield required(f"{path}[{i}].containerPort")
        name = port.get("name")
        if name and name in names:
            yield duplicate(f"{path}[{i}].name", name)
        names.add(name)


def _given_port(path: str, value: int) -> Iterator[Cause]:
    """A port of 0 is none; whether one is required is another rule's."""
    yield from port_number(path, value) if value else ()


def _mounts(path: str, mounts: list[Object]) -> Iterator[Cause]:
    places = set()
    for i, mount in enumerate(mounts):
        place = mount.get("mountPath")
        if place and place in places:
            yield invalid_value(f"{path}[{i}].mountPath", place, "must be unique")
        places.add(place)
        if mount.get("subPath") and mount.get("subPathExpr"):
            why = "subPathExpr and subPath are mutually exclusive"
            yield invalid_value(f"{path}[{i}].subPathExpr", mount["subPathExpr"], why)


def _probe(*, succeeds_once: bool) -> Check:
    """A probe's own rules; only a readiness probe may ask for several successes, and it ends no container."""

    def check(path: str, probe: Object) -> Iterator[Cause]:
        if succeeds_once and probe.get("successThreshold", 1) > 1:
            yield invalid_value(f"{path}.successThreshold", probe["successThreshold"], "must be 1")
        if not succeeds_once and "terminationGracePeriodSeconds" in probe:
            seconds = probe["terminationGracePeriodSeconds"]
            why = "must not be set for readinessProbes"
            yield invalid_value(f"{path}.terminationGracePeriodSeconds", seconds, why)

    return check


def _header(path: str, header: Object) -> Iterator[Cause]:
    yield from (
        invalid_value(path, header.get("name", ""), f) for f in http_header_faults(header.get("name", ""))
    )


def _container_security(path: str, context: Object) -> Iterator[Cause]:
    if context.get("allowPrivilegeEscalation") is not False:
        return
    if context.get("privileged"):
        why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        yield invalid_value(path, context, why)
    added = (context.get("capabilities") or {}).get("add") or ()
    if any(name.upper().removeprefix("CAP_") == "SYS_ADMIN" for name in added):
        why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
        yield invalid_value(path, context, why)


def _profile(kind: str) -> Rules:
    """A seccomp or AppArmor profile, which names a file of the node when it is local, and only then."""

    def check(path: str, profile: Object) -> Iterator[Cause]:
        local = profile.get("localhostProfile")
        if profile.get("type") == "Localhost":
            if not local:
                yield required(f"{path}.localhostProfile", f"must be set when {kind} type is Localhost")
        elif local is not None:
            why = f"can only be set when {kind} type is Localhost"
            yield invalid_value(f"{path}.localhostProfile", local, why)

    return Rules(
        required={"type": ""},
        fields={
            "type": one_of("Localhost", "RuntimeDefault", "Unconfined"),
            "localhostProfile": relative_path,
        },
        whole=(check,),
    )


def _propagation(path: str, container: Object) -> Iterator[Cause]:
    if (container.get("securityContext") or {}).get("privileged"):
        return
    for i, mount in enumerate(container.get("volumeMounts") or ()):
        if mount.get("mountPropagation") == "Bidirectional":
            why = "Bidirectional mount propagation is available only to privileged containers"
            yield forbidden_field(f"{path}.volumeMounts[{i}].mountPropagation", why)


_seconds = at_least(0)
_key = Rules(required={"key": ""}, fields={"key": config_key})
_CONTAINER = Rules(
    required={"image": ""},
    fields={
        "image": _image,
        "imagePullPolicy": one_of("Always", "IfNotPresent", "Never"),
        "terminationMessagePolicy": one_of("FallbackToLogsOnError", "File"),
        "ports": _ports,
        "volumeMounts": _mounts,
        "resources": container_resources,
        "livenessProbe": _probe(succeeds_once=True),
        "startupProbe": _probe(succeeds_once=True),
        "readinessProbe": _probe(succeeds_once=False),
    },
    whole=(_propagation,),
)
RULES: Table = {
    "Container": _CONTAINER,
    "ContainerPort": Rules(
        fields={
            "name": _port_name,
            "containerPort": _given_port,
            "hostPort": _given_port,
            "protocol": one_of("TCP", "UDP", "SCTP"),
            "hostIP": ip_or_none,
        }
    ),
    "EnvVar": Rules(required={"name": ""}, fields={"name": _env_name}, whole=(_env,)),
    "EnvVarSource": Rules(
        fields={"fieldRef": field_reference(ENV_FIELDS), "resourceFieldRef": resource_field}
    ),
    "ConfigMapKeySelector": _key,
    "SecretKeySelector": _key,
    "EnvFromSource": Rules(fields={"prefix": _env_name}, whole=(_env_from,)),
    "VolumeMount": Rules(
        required={"name": "", "mountPath": ""},
        fields={
            "subPath": relative_path,
            "subPathExpr": relative_path,
            "mountPropagation": one_of("Bidirectional", "HostToContainer", "None"),
            "recursiveReadOnly": one_of("Disabled", "Enabled", "IfPossible"),
        },
    ),
    "Probe": Rules(
        fields={
            "initialDelaySeconds": _seconds,
            "timeoutSeconds": _seconds,
            "periodSeconds": _seconds,
            "successThreshold": _seconds,
            "failureThreshold": _seconds,
            "terminationGracePeriodSeconds": at_least(1),
        },
        whole=(exactly_one("exec", "httpGet", "tcpSocket", "grpc", none=_NO_HANDLER),),
    ),
    "LifecycleHandler": Rules(
        whole=(exactly_one("exec", "httpGet", "tcpSocket", "sleep", none=_NO_HANDLER),)
    ),
    "ExecAction": Rules(required={"command": ""}),
    "HTTPGetAction": Rules(
        required={"path": ""}, fields={"port": port_or_name, "scheme": one_of("HTTP", "HTTPS")}
    ),
    "HTTPHeader": Rules(whole=(_header,)),
    "TCPSocketAction": Rules(fields={"port": port_or_name}),
    "GRPCAction": Rules(fields={"port": port_number}),
    "SecurityContext": Rules(
        fields={
            "runAsUser": linux_id,
            "runAsGroup": linux_id,
            "procMount": one_of("Default", "Unmasked"),
        },
        whole=(_container_security,),
    ),
    "SeccompProfile": _profile("seccomp"),
    "AppArmorProfile": _profile("AppArmor"),
}
