"""Discovery: the documents that list all groups, versions and resources, which clients read first.

Two forms of the same table: the legacy one (a list of groups, then one document for each
group-version) and the aggregated one (all of it in one answer), chosen by `Accept`.
"""

from __future__ import annotations

from collections.abc import Iterable

from fabric.api.kinds import Kind, KindTable
from fabric.api.objects import Object
from fabric.apiserver.negotiation import JSON, MediaType
from fabric.apiserver.subresources import subresource_of

AGGREGATED = tuple(
    MediaType(JSON, "APIGroupDiscoveryList", "apidiscovery.k8s.io", version) for version in ("v2", "v2beta1")
)


def group_versions(kinds: Iterable[Kind]) -> dict[str, list[str]]:
    """The versions of each group, preferred first; the core group is the empty name.

    The group of pods' evictions has no resource of its own here, and is listed all the same: kubectl 1.20
    looks for it to find out whether `drain` may evict, and deletes outright where it is not.
    """
    found: dict[str, list[str]] = {}
    for kind in kinds:
        below = (subresource_of(kind, name) for name in kind.subresources)
        evicted = [(sub.group, sub.version) for sub in below if sub.kind == "Eviction"]
        for group, version in ((kind.group, kind.version), *evicted):
            versions = found.setdefault(group, [])
            if version not in versions:
                versions.append(version)
    return found


def api_versions(address: str) -> Object:
    """GET /api. `address` is where the client got us: it may go on asking there, wherever it is."""
    places = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": places}


def api_group_list(kinds: KindTable) -> Object:
    """GET /apis."""
    groups = [_group(name, versions) for name, versions in group_versions(kinds).items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def api_group(kinds: KindTable, name: str) -> Object | None:
    """GET /apis/<group>; None when there is no such group."""
    versions = group_versions(kinds).get(name) if name else None
    return {"kind": "APIGroup", "apiVersion": "v1"} | _group(name, versions) if versions else None


def api_resource_list(kinds: KindTable, group: str, version: str) -> Object | None:
    """GET /api/v1 or /apis/<group>/<version>; None when there is no such group-version."""
    if version not in group_versions(kinds).get(group, ()):
        return None
    served = [kind for kind in kinds if (kind.group, kind.version) == (group, version)]
    resources = [entry for kind in served for entry in (_resource(kind), *_subresources(kind))]
    group_version = f"{group}/{version}" if group else version
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": resources,
    }


def aggregated(kinds: KindTable, media: MediaType, *, core: bool) -> Object:
    """GET /api (`core`) or /apis, in one document."""
    items = []
    for name, versions in group_versions(kinds).items():
        if core == (not name):
            served = [_discovered_version(kinds, name, version) for version in versions]
            items.append({"metadata": {"name": name} if name else {}, "versions": served})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": media.group_version,
        "metadata": {},
        "items": items,
    }


def _group(name: str, versions: list[str]) -> Object:
    named = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": named, "preferredVersion": named[0]}


def _resource(kind: Kind) -> Object:
    resource: Object = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        resource["shortNames"] = list(kind.short_names)
    if kind.categories:
        resource["categories"] = list(kind.categories)
    return resource


def _subresources(kind: Kind) -> Iterable[Object]:
    for name in kind.subresources:
        below = subresource_of(kind, name)
        entry: Object = {
            "name": f"{kind.plural}/{name}",
            "singularName": "",
            "namespaced": kind.namespaced,
            "kind": below.kind,
            "verbs": list(below.verbs),
        }
        if (below.group, below.version) != (kind.group, kind.version):
            entry |= {"group": below.group, "version": below.version}
        yield entry


def _discovered_version(kinds: KindTable, group: str, version: str) -> Object:
    resources = [_discovered(kind) for kind in kinds if (kind.group, kind.version) == (group, version)]
    return {"version": version, "resources": resources, "freshness": "Current"}


def _discovered(kind: Kind) -> Object:
    resource: Object = {
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        resource["shortNames"] = list(kind.short_names)
    if kind.categories:
        resource["categories"] = list(kind.categories)
    below = [(name, subresource_of(kind, name)) for name in kind.subresources]
    if below:
        resource["subresources"] = [
            {
                "subresource": name,
                "responseKind": {"group": sub.group, "version": sub.version, "kind": sub.kind},
                "verbs": list(sub.verbs),
            }
            for name, sub in below
        ]
    return resource
