"""Manifests become resources here: the kind is known, the fields are right, the namespace is settled."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TextIO

from calico.calicoctl import files
from calico.calicoctl.arguments import Arguments, BadUsage, Option
from calico.calicoctl.files import BadFile
from calico.resources.envelope import API_VERSION, Resource
from calico.resources.table import RESOURCE_TYPES, kind_named, kind_of, why_missing
from fabric.api.objects import Object
from fabric.errors import FabricError

FILE_OPTIONS = (
    Option(
        "filename",
        "A file, a folder (its .json, .yaml and .yml), or\n- for standard input.",
        "f",
        "FILENAME",
    ),
    Option("recursive", "Go into the folder's folders too.", "R"),
    Option("skip-empty", "Files that hold nothing are no error."),
)
NAMESPACE = Option(
    "namespace", "Namespace of the resource; default, where its kind\nhas namespaces.", "n", "NS"
)


class Unsupported(FabricError):
    """A kind, or an option for it, that there is not."""


def resource_type_named(name: str) -> type[Resource]:
    """The kind that a user means by `ippool`, `pools` …; Unsupported."""
    kind = kind_named(name)
    if kind is None:
        raise Unsupported(f"resource type '{name}' is not supported{_because(name)}")
    return RESOURCE_TYPES[kind.kind]


def loaded(arguments: Arguments, stdin: TextIO) -> list[Object]:
    """The objects that -f names. BadUsage without it, BadFile when one cannot be read, NothingThere when
    a file holds none."""
    name = arguments.value("filename")
    if not name:
        raise BadUsage("a file is needed: --filename=<FILENAME>")
    found: list[Object] = []
    for file, documents in files.documents(name, stdin, recursive=arguments.flag("recursive")):
        objects = [obj for document in documents for obj in files.objects(document, file)]
        if not objects and not arguments.flag("skip-empty"):
            raise NothingThere(f"No resources specified in file {file}")
        found += objects
    if not found and not arguments.flag("skip-empty"):
        raise NothingThere(f"No resources specified in directory {name}")
    return found


class NothingThere(FabricError):
    """A file, or a folder, that holds no resources."""


def resource_type_of(obj: Object) -> type[Resource]:
    """The resource type of an object of the present version; BadFile for any other."""
    kind, version = obj.get("kind", ""), obj.get("apiVersion", "")
    resource_type = RESOURCE_TYPES.get(kind) if isinstance(kind, str) else None
    if resource_type is None or version != API_VERSION:
        why = _because(str(kind)) if version == API_VERSION else ""
        raise BadFile(f"unknown resource type ({kind}) and/or version ({version}){why}")
    return resource_type


def _because(name: str) -> str:
    why = why_missing(name)
    return f": fabric does not serve it, since {why}" if why else ""


def settled(resource: Resource, arguments: Arguments) -> Resource:
    """The resource in the namespace that -n or the resource itself says, or in `default`."""
    own, asked = resource.metadata.namespace, arguments.value("namespace")
    namespace = namespace_of(type(resource), own, asked)
    return replace(resource, metadata=replace(resource.metadata, namespace=namespace))


def namespace_of(resource_type: type[Resource], own: str, asked: str) -> str:
    """The namespace of a resource; Unsupported when that makes no sense."""
    if not kind_of(resource_type).namespaced:
        if own:
            raise Unsupported(
                "namespace should not be specified for a non-namespaced resource. "
                f"{resource_type.KIND} is not a namespaced resource"
            )
        if asked:
            raise Unsupported(f"{resource_type.KIND} is not namespaced")
        return ""
    if own and asked and own != asked:
        raise Unsupported(f"resource namespace does not match client namespace. {own} != {asked}")
    return own or asked or "default"


def kinds_but(left_out: Collection[type[Resource]]) -> Iterable[str]:
    """Lines for the help: what kinds there are."""
    names = sorted(
        resource_type.KIND.lower()
        for resource_type in RESOURCE_TYPES.values()
        if resource_type not in left_out
    )
    return (f"  - {name}" for name in names)
