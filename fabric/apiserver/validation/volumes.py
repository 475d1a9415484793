"""A pod's volumes: exactly one source each, with paths that stay inside."""

from __future__ import annotations

from collections.abc import Iterator

from fabric.api.names import config_key_faults, qualified_name_faults
from fabric.api.objects import Object
from fabric.apiserver.refusals import (
    Cause,
    duplicate,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
)
from fabric.apiserver.validation.resources import amount, resource_field
from fabric.apiserver.validation.rules import (
    Check,
    Rules,
    Table,
    between,
    dns_label,
    file_mode,
    file_path,
    named,
    no_backsteps,
    one_of,
    subdomain,
)

HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_MANY = "may not specify more than 1 volume type"
_PROJECTIONS = (
    "secret",
    "configMap",
    "downwardAPI",
    "serviceAccountToken",
    "clusterTrustBundle",
    "podCertificate",
)
VOLUME_FIELDS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_SUBSCRIPTED = ("metadata.annotations", "metadata.labels")
config_key = named(config_key_faults)


def field_reference(allowed: tuple[str, ...]) -> Check:
    """A `fieldRef` to one of these fields of the pod, or to one label or annotation."""

    def check(path: str, value: Object) -> Iterator[Cause]:
        field = value.get("fieldPath") or ""
        at = f"{path}.fieldPath"
        if not field:
            yield required(at)
            return
        if value.get("apiVersion", "v1") != "v1":
            yield invalid_value(
                at, field, f"error converting fieldPath: version {value['apiVersion']} is not known"
            )
            return
        name, bracket, rest = field.partition("['")
        if not bracket:
            if field not in allowed:
                yield not_supported(at, field, allowed)
        elif not rest.endswith("']") or name not in _SUBSCRIPTED:
            yield invalid_value(at, field, f"error converting fieldPath: field label not supported: {field}")
        else:
            key = rest.removesuffix("']")
            faults = qualified_name_faults(key.lower() if name == "metadata.annotations" else key)
            yield from (invalid_value(at, key, fault) for fault in faults)

    return check


def volumes(path: str, value: list[Object]) -> Iterator[Cause]:
    """Names are labels, and each is given once."""
    seen = set()
    for i, volume in enumerate(value):
        name = volume.get("name", "")
        at = f"{path}[{i}].name"
        if not name:
            yield required(at)
        else:
            yield from dns_label(at, name)
        if name in seen:
            yield duplicate(at, name)
        seen.add(name)


def _one_source(path: str, volume: Object) -> Iterator[Cause]:
    sources = [field for field in volume if field != "name"]
    if not sources:
        yield required(path, "must specify a volume type")
    yield from (forbidden_field(f"{path}.{source}", _MANY) for source in sources[1:])


def _one_projection(path: str, source: Object) -> Iterator[Cause]:
    given = [field for field in _PROJECTIONS if field in source]
    if not given:
        yield required(path, f"must specify one of: {', '.join(f'`{field}`' for field in _PROJECTIONS)}")
    yield from (forbidden_field(f"{path}.{field}", _MANY) for field in given[1:])


def _projected(path: str, volume: Object) -> Iterator[Cause]:
    """No two sources may give the same file."""
    seen = set()
    for i, source in enumerate(volume.get("sources") or ()):
        for field, of_source in source.items():
            items = [of_source] if field == "serviceAccountToken" else of_source.get("items") or ()
            for item in items:
                if item.get("path") and item["path"] in seen:
                    why = f'conflicting duplicate paths "{item["path"]}"'
                    yield invalid_value(f"{path}.sources[{i}].{field}.path", item["path"], why)
                seen.add(item.get("path"))


def _file(path: str, item: Object) -> Iterator[Cause]:
    given = [field for field in ("fieldRef", "resourceFieldRef") if field in item]
    if not given:
        yield required(path, "one of fieldRef and resourceFieldRef is required")
    if len(given) > 1:
        yield invalid_value(
            path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"
        )
    if "resourceFieldRef" in item and not item["resourceFieldRef"].get("containerName"):
        yield required(f"{path}.resourceFieldRef.containerName")


_ITEMS = {"defaultMode": file_mode}
_NAMED = Rules(required={"name": ""}, fields={"name": subdomain})

RULES: Table = {
    "Volume": Rules(whole=(_one_source,)),
    "EmptyDirVolumeSource": Rules(fields={"sizeLimit": amount}),
    "HostPathVolumeSource": Rules(
        required={"path": ""}, fields={"path": no_backsteps, "type": one_of(*HOST_PATH_TYPES)}
    ),
    "SecretVolumeSource": Rules(required={"secretName": ""}, fields={**_ITEMS, "secretName": subdomain}),
    "ConfigMapVolumeSource": Rules(required={"name": ""}, fields={**_ITEMS, "name": subdomain}),
    "DownwardAPIVolumeSource": Rules(fields=_ITEMS),
    "ProjectedVolumeSource": Rules(fields=_ITEMS, whole=(_projected,)),
    "VolumeProjection": Rules(whole=(_one_projection,)),
    "SecretProjection": _NAMED,
    "ConfigMapProjection": _NAMED,
    "ServiceAccountTokenProjection": Rules(
        required={"path": ""},
        fields={
            "path": file_path,
            "expirationSeconds": between(600, 2**32, "may not specify a duration less than 10 minutes"),
        },
    ),
    "KeyToPath": Rules(
        required={"key": "", "path": ""}, fields={"key": config_key, "path": file_path, "mode": file_mode}
    ),
    "DownwardAPIVolumeFile": Rules(
        required={"path": ""},
        fields={
            "path": file_path,
            "mode": file_mode,
            "fieldRef": field_reference(VOLUME_FIELDS),
            "resourceFieldRef": resource_field,
        },
        whole=(_file,),
    ),
    "PersistentVolumeClaimVolumeSource": Rules(required={"claimName": ""}, fields={"claimName": subdomain}),
}
