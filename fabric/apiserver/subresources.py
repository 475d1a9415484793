"""The table of subresources: the verbs of each, and the kind of its bodies."""

from __future__ import annotations

from dataclasses import dataclass

from fabric.api.kinds import Kind
from fabric.apiserver.routes import Target

_READ_WRITE = ("get", "patch", "update")


@dataclass(frozen=True, slots=True)
class Subresource:
    """Verbs of a subresource and, where it differs from its object's, the kind of its bodies."""

    verbs: tuple[str, ...]
    kind: str = ""
    group: str = ""
    version: str = ""


SUBRESOURCES = {
    "status": Subresource(_READ_WRITE),
    "finalize": Subresource(("update",)),
    "binding": Subresource(("create",), "Binding", "", "v1"),
    # kubectl drain deletes pods outright where this does not say policy/v1.
    "eviction": Subresource(("create",), "Eviction", "policy", "v1"),
    "scale": Subresource(_READ_WRITE, "Scale", "autoscaling", "v1"),
    "ephemeralcontainers": Subresource(_READ_WRITE),
    "token": Subresource(("create",), "TokenRequest", "authentication.k8s.io", "v1"),
    "log": Subresource(("get",)),
    "exec": Subresource(("create", "get"), "PodExecOptions", "", "v1"),
    "attach": Subresource(("create", "get"), "PodAttachOptions", "", "v1"),
    "portforward": Subresource(("create", "get"), "PodPortForwardOptions", "", "v1"),
    "proxy": Subresource(("create", "delete", "get", "patch", "update")),
}


def subresource_of(kind: Kind, name: str) -> Subresource:
    """The row of that name; one that a plugin invented reads and writes its object."""
    found = SUBRESOURCES.get(name, Subresource(_READ_WRITE))
    if found.kind:
        return found
    return Subresource(found.verbs, kind.kind, kind.group, kind.version)


def verbs_of(target: Target) -> tuple[str, ...]:
    """Return the verbs that the target of a request has: a collection, an object, or a subresource."""
    if target.subresource:
        return subresource_of(target.kind, target.subresource).verbs
    if target.is_collection:
        across_namespaces = target.kind.namespaced and not target.namespace
        return tuple(verb for verb in target.kind.verbs if verb == "list" or not across_namespaces)
    return tuple(verb for verb in target.kind.verbs if verb != "create")
