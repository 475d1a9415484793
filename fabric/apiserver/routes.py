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
from fabric.apiserver.refusals import cut
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


def unknown_path(path: str = "") -> NotFound:
    """Refuse a path as upstream does; of one that names a resource, say what there is instead.

    kubectl shows the message as it is, for a kind that is not served when it looks for a definition of it.
    """
    return NotFound("the server could not find the requested resource" + _instead(path.strip("/").split("/")))


_INSTEAD = {
    "exec": "fabric exec POD -- COMMAND",
    "attach": "fabric logs -f POD",
    "log": "fabric logs POD",
    "portforward": "fabric exec --node NODE -- COMMAND, from where pods are reached by their addresses",
}
"""What does the work of a pod's subresource that is not served."""


def _instead(parts: list[str]) -> str:
    core = parts[0] == "api"
    below = parts[2 if core else 3 :]
    if not below or parts[0] not in ("api", "apis"):
        return ""
    group_version = "/".join(parts[1 : 2 if core else 3])
    if below[0] == "namespaces" and len(below) > 2:
        below = below[2:]
    resource, subresource = below[0], below[2] if len(below) > 2 else ""
    if resource == "pods" and subresource in _INSTEAD:
        return f": pods/{subresource} is not served; instead: {_INSTEAD[subresource]}"
    name = f"{resource}/{subresource}" if subresource else resource
    shown = cut(f"{name} of {group_version}", _SHOWN_CHARACTERS_MAX)
    return f": {shown} is not served; what is: kubectl api-resources"


_SHOWN_CHARACTERS_MAX = 100


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
