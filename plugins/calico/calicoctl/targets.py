"""Targets are the resources that a command means: a kind with names, or what a file holds."""

from __future__ import annotations

from dataclasses import dataclass

from calico.calicoctl.arguments import Arguments, BadUsage
from calico.calicoctl.files import BadFile
from calico.calicoctl.manifests import (
    Unsupported,
    loaded,
    namespace_of,
    resource_type_named,
    resource_type_of,
)
from calico.calicoctl.session import Refused, Session
from calico.resources.envelope import Resource
from fabric.api.objects import Object


@dataclass(frozen=True, slots=True)
class Target:
    """A resource, or (without a name) all of a kind."""

    resource_type: type[Resource]
    name: str
    namespace: str = ""
    """Where it is; empty for all namespaces, and for a kind that has none."""
    resource_version: str = ""


def targets(session: Session, arguments: Arguments) -> list[Target]:
    """The resources that the words, or else the file, name; BadUsage, Refused and Unsupported."""
    if arguments.flag("filename"):
        if arguments.words:
            raise Refused("give a kind and names, or --filename, but not both")
        try:
            found = loaded(arguments, session.context.stdin)
            return [_in_file(obj, arguments) for obj in found]
        except BadFile as error:
            raise Refused(f"failed to execute command: {error}") from None
    if not arguments.words:
        raise BadUsage("a kind is needed, or --filename=<FILENAME>")
    kind, *names = arguments.words
    resource_type = resource_type_named(kind)
    return [
        Target(resource_type, name, _namespace(resource_type, name, "", arguments)) for name in names or [""]
    ]


def _in_file(obj: Object, arguments: Arguments) -> Target:
    resource_type = resource_type_of(obj)
    meta = obj.get("metadata")
    if not isinstance(meta, dict) or not isinstance(meta.get("name"), str) or not meta["name"]:
        raise BadFile(f"a resource of kind {resource_type.KIND} has no metadata.name")
    namespace = _namespace(resource_type, meta["name"], str(meta.get("namespace") or ""), arguments)
    return Target(resource_type, meta["name"], namespace, str(meta.get("resourceVersion") or ""))


def _namespace(resource_type: type[Resource], name: str, own: str, arguments: Arguments) -> str:
    asked = arguments.value("namespace")
    if not arguments.flag("all-namespaces"):
        return namespace_of(resource_type, own, asked)
    if asked:
        raise Unsupported("cannot use both --namespace and --all-namespaces flags at the same time")
    if not namespace_of(resource_type, own, ""):
        raise Unsupported(f"{resource_type.KIND} is not namespaced")
    if name:
        raise Unsupported("cannot use --all-namespace flag for getting a single resource")
    return ""
