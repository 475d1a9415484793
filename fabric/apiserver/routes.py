"""A URL path names a kind and what of it: all objects, one, or a subresource of one.

No kind has code here: paths are taken apart by the API's grammar, and the kind is looked up in the
table of kinds.

    /api/v1/pods                               the pods of all namespaces
    /api/v1/namespaces/default/pods/web/status a subresource of one pod
    /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-1
    /api/v1/watch/namespaces/default/pods/web  a watch of one pod, as clients asked before `?watch=true`
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fabric.api.kinds import Kind, KindTable
from fabric.errors import NotFound


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a request: a kind, and the names in the path; an empty name means all."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    is_watch: bool = False
    """Whether the path itself asks for a watch, of all objects or of one."""

    @property
    def is_collection(self) -> bool:
        return not self.name


def target_of(path: str, kinds: KindTable) -> Target | None:
    """Find what `path` names; None when the table has no such resource."""
    parts = path.strip("/").split("/")
    if "" in parts:
        return None
    if len(parts) >= 3 and parts[0] == "api":
        return _target("", parts[1], parts[2:], kinds)
    if len(parts) >= 4 and parts[0] == "apis":
        return _target(parts[1], parts[2], parts[3:], kinds)
    return None


def unknown_path() -> NotFound:
    return NotFound("the server could not find the requested resource")


def _target(group: str, version: str, parts: list[str], kinds: KindTable) -> Target | None:
    if parts[0] != "watch":
        return _resource(group, version, parts, kinds)
    found = _resource(group, version, parts[1:], kinds) if len(parts) > 1 else None
    return None if found is None or found.subresource else replace(found, is_watch=True)


def _resource(group: str, version: str, parts: list[str], kinds: KindTable) -> Target | None:
    namespace = ""
    if parts[0] == "namespaces" and len(parts) >= 3 and not _is_subresource(group, version, parts, kinds):
        namespace, parts = parts[1], parts[2:]
    kind = kinds.by_resource(group, version, parts[0])
    if kind is None or len(parts) > 3 or (namespace and not kind.namespaced):
        return None
    name = parts[1] if len(parts) > 1 else ""
    subresource = parts[2] if len(parts) > 2 else ""
    if name and kind.namespaced and not namespace:
        return None
    if subresource and subresource not in kind.subresources:
        return None
    return Target(kind, namespace, name, subresource)


def _is_subresource(group: str, version: str, parts: list[str], kinds: KindTable) -> bool:
    """`/namespaces/x/status` is the namespace's status, not a collection in the namespace."""
    kind = kinds.by_resource(group, version, "namespaces")
    return kind is not None and len(parts) == 3 and parts[2] in kind.subresources
