"""The table of kinds: what the API server serves and what clients may ask for.

A kind is one row. Later floors never special-case a kind by name where a column would do;
plugins and CRDs add rows of their own through `KindTable.add`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Kind:
    """A resource of the API: its names, its scope, and what hangs below it."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    """Names below an object: status, binding, log, exec, eviction, scale …"""
    verbs: tuple[str, ...] = ALL_VERBS

    @property
    def api_version(self) -> str:
        """`v1` for the core group, else `group/version`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def group_resource(self) -> str:
        """`pods`, `leases.coordination.k8s.io`: as it stands in error messages."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def names_same_as(self, other: Kind) -> bool:
        """True when both rows name one resource, whatever their versions and other columns."""
        return self.plural == other.plural and self.group == other.group

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        """The URL path of the collection, or of one object, or of a subresource of it."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        tail = f"/{name}" if name else ""
        return f"{root}{scope}/{self.plural}{tail}" + (f"/{subresource}" if subresource else "")

    def __str__(self) -> str:
        return f"{self.api_version} {self.kind}"


ONE_BY_ONE = tuple(verb for verb in ALL_VERBS if verb != "deletecollection")
"""The verbs of a kind whose objects nobody can delete all at once."""

NAMESPACE = Kind(
    *("", "v1", "Namespace", "namespaces", False, ("ns",)),
    subresources=("status", "finalize"),
    verbs=ONE_BY_ONE,
)
NODE = Kind("", "v1", "Node", "nodes", False, ("no",), subresources=("status",))
POD = Kind("", "v1", "Pod", "pods", True, ("po",), ("all",), ("status", "binding", "eviction"))
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps", True, ("cm",))
SECRET = Kind("", "v1", "Secret", "secrets", True)
SERVICE_ACCOUNT = Kind("", "v1", "ServiceAccount", "serviceaccounts", True, ("sa",))
EVENT = Kind("", "v1", "Event", "events", True, ("ev",))
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases", True)
NETWORK_POLICY = Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", True, ("netpol",))

BUILT_IN = (NAMESPACE, NODE, POD, CONFIG_MAP, SECRET, SERVICE_ACCOUNT, EVENT, LEASE, NETWORK_POLICY)


class KindTable:
    """All kinds of one cluster, found by group, version and plural, or by kind."""

    def __init__(self, kinds: tuple[Kind, ...] = BUILT_IN) -> None:
        self._by_resource: dict[tuple[str, str, str], Kind] = {}
        self._by_kind: dict[tuple[str, str], Kind] = {}
        for kind in kinds:
            self.add(kind)

    def add(self, kind: Kind) -> None:
        """Serve one more kind; a second row of the same resource replaces the first."""
        self._by_resource[kind.group, kind.version, kind.plural] = kind
        self._by_kind[kind.api_version, kind.kind] = kind

    def by_resource(self, group: str, version: str, plural: str) -> Kind | None:
        return self._by_resource.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> Kind | None:
        return self._by_kind.get((api_version, kind))

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._by_resource.values())
