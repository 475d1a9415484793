"""The envelope is what all resources share: apiVersion, kind, metadata, spec, and their JSON."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from calico.resources import carried, storable
from calico.resources.fields import document, key, read, rest, unknown, unknown_fields, unread_refusals
from calico.resources.readers import document_of, mapping, object_name, subdomain, text
from calico.resources.refusals import InvalidResource, Refusal
from fabric.api.names import label_value_faults, qualified_name_faults
from fabric.api.objects import Object

GROUP, VERSION = "projectcalico.org", "v3"
API_VERSION = f"{GROUP}/{VERSION}"
ANNOTATIONS_BYTES_MAX = 256 * 1024
"""Kubernetes' limit, of names and values together."""
_KEYS = ("apiVersion", "kind", "metadata", "spec", "status")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """A resource's name and labels, and what the store adds."""

    name: str = key("name", object_name)
    namespace: str = key("namespace", object_name, default="")
    uid: str = key("uid", text, default="")
    resource_version: str = key("resourceVersion", text, default="")
    creation_timestamp: str | None = key("creationTimestamp", text, default=None)
    labels: Mapping[str, str] = key("labels", mapping, default={})
    annotations: Mapping[str, str] = key("annotations", mapping, default={})
    rest: Mapping[str, Any] = rest(carried.METADATA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A kind without a spec of its own; each kind says its spec's dataclass as `SPEC`."""

    KIND: ClassVar[str]
    SPEC: ClassVar[type]

    metadata: Metadata
    spec: Any
    status: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def labels(self) -> Mapping[str, str]:
        return self.metadata.labels

    @classmethod
    def named(
        cls, name: str, namespace: str = "", *, labels: Mapping[str, str] | None = None, **spec: Any
    ) -> Self:
        """Make one from the spec's attributes, unchecked: `IPPool.named("pool-1", cidr=…)`."""
        metadata = Metadata(name=name, namespace=namespace, labels=dict(labels or {}))
        return cls(metadata=metadata, spec=cls.SPEC(**spec))

    @classmethod
    def from_object(cls, obj: Object) -> Self:
        """Read and check JSON, defaults filled in; InvalidResource carries every refusal with its path."""
        refusals: list[Refusal] = []
        metadata = read(Metadata, obj.get("metadata"), "metadata", refusals)
        spec = read(cls.SPEC, obj.get("spec") or {}, "spec", refusals)
        status = document_of(obj.get("status") or {}, "status", refusals)
        if spec is not None and metadata is not None and not refusals:
            found = cls(metadata=metadata, spec=spec, status=status)
            refusals.extend(found.refusals())
            if not refusals:
                return found
        raise InvalidResource(cls.KIND, metadata.name if metadata else "", refusals)

    @classmethod
    def from_manifest(cls, obj: Object, before: Object | None = None) -> Self:
        """Read what a user writes: more strict than `from_object`, by which the store must stay readable.

        Refused too are keys that Calico does not have and names that kubectl would not take, unless they were
        there `before` the change.
        """
        found: list[Refusal] = []
        if unwritable := tuple(storable.refusals(obj)):
            raise InvalidResource(cls.KIND, "", unwritable)
        try:
            resource = cls.from_object(obj)
            name = resource.name
        except InvalidResource as error:
            name = error.name
            found += error.refusals
        if before is None and name and all(it.path != "metadata.name" for it in found):
            subdomain(name, "metadata.name", found)
        found += cls._slips(obj, before or {})
        if found:
            raise InvalidResource(cls.KIND, name, found)
        return resource

    @classmethod
    def _slips(cls, obj: Object, before: Object) -> Iterator[Refusal]:
        yield from (unknown("", name, _KEYS, found) for name, found in obj.items() if name not in _KEYS)
        yield from _label_faults(obj.get("metadata"), before.get("metadata"))
        yield from unknown_fields(Metadata, obj.get("metadata"), "metadata", before.get("metadata"))
        yield from unknown_fields(cls.SPEC, obj.get("spec"), "spec", before.get("spec"))
        yield from cls.unread_refusals(obj, before)

    @classmethod
    def unread_refusals(cls, obj: Object, before: Object) -> Iterator[Refusal]:
        """The refusals of the spec's fields that only Calico's published schemas judge."""
        yield from unread_refusals(cls.SPEC, obj.get("spec"), "spec", before.get("spec"))

    def refusals(self) -> list[Refusal]:
        """The refusals of fields that contradict each other in this resource."""
        return []

    def to_object(self) -> Object:
        """The JSON that `from_object` reads."""
        head: Object = {"apiVersion": API_VERSION, "kind": self.KIND, "metadata": document(self.metadata)}
        return head | {"spec": document(self.spec)} | ({"status": dict(self.status)} if self.status else {})


def _label_faults(metadata: Any, before: Any) -> Iterator[Refusal]:
    """Yield what is wrong with labels and annotations by Kubernetes' rules, but for those there before."""
    given, old = (_texts(it, "labels") for it in (metadata, before))
    path = "metadata.labels"
    for label, value in given.items():
        faults = qualified_name_faults(label) if label not in old else ()
        yield from (Refusal(path, fault, label) for fault in faults)
        if old.get(label) != value:
            yield from (Refusal(path, fault, value) for fault in label_value_faults(value))
    given, old = (_texts(it, "annotations") for it in (metadata, before))
    yield from annotation_refusals("metadata.annotations", given, old)


def annotation_refusals(
    path: str, annotations: Mapping[str, str], before: Container[str] = ()
) -> Iterator[Refusal]:
    """Yield what is wrong with annotations by Kubernetes' rules, but for keys that were there before."""
    for name in annotations:
        faults = qualified_name_faults(name.lower()) if name not in before else ()
        yield from (Refusal(path, fault, name) for fault in faults)
    size = sum(len(text.encode()) for pair in annotations.items() for text in pair)
    if size > ANNOTATIONS_BYTES_MAX:
        yield Refusal(path, f"may not be more than {ANNOTATIONS_BYTES_MAX} bytes", size)


def _texts(metadata: Any, name: str) -> Mapping[str, str]:
    """The labels or annotations of some metadata; none where they are not text."""
    found = metadata.get(name) if isinstance(metadata, Mapping) else None
    pairs = found.items() if isinstance(found, Mapping) else ()
    return {label: value for label, value in pairs if isinstance(label, str) and isinstance(value, str)}
