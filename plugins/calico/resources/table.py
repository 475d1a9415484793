"""The table of kinds of projectcalico.org/v3, and where the store keeps their objects.

/calico/resources/v3/projectcalico.org/ippools/pool-1
/calico/resources/v3/projectcalico.org/workloadendpoints/default/node--1-k8s-pod--1-eth0
"""

from __future__ import annotations

from collections.abc import Mapping

from calico.resources.allocation import BlockAffinity, IPAMConfiguration
from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.bgp_filters import BGPFilter
from calico.resources.bgp_peers import BGPPeer
from calico.resources.endpoints import ClusterInformation, Profile, WorkloadEndpoint
from calico.resources.envelope import GROUP, VERSION, Resource
from calico.resources.felix import FelixConfiguration
from calico.resources.host_endpoints import HostEndpoint
from calico.resources.nodes import Node
from calico.resources.policies import (
    GlobalNetworkPolicy,
    NetworkPolicy,
    StagedGlobalNetworkPolicy,
    StagedNetworkPolicy,
)
from calico.resources.pools import IPPool, IPReservation
from calico.resources.sets import GlobalNetworkSet, NetworkSet
from calico.resources.staged_kubernetes import StagedKubernetesNetworkPolicy
from calico.resources.tiers import Tier
from fabric.api.kinds import Kind
from fabric.api.objects import Key

PREFIX = f"/calico/resources/{VERSION}/{GROUP}/"


def _row(
    resource_type: type[Resource], plural: str, *short_names: str, namespaced: bool = False
) -> tuple[type[Resource], Kind]:
    return resource_type, Kind(GROUP, VERSION, resource_type.KIND, plural, namespaced, short_names)


_ROWS = (
    _row(BGPConfiguration, "bgpconfigurations", "bgpconfig", "bgpconfigs"),
    _row(BGPFilter, "bgpfilters"),
    _row(BGPPeer, "bgppeers", "bgpp", "bgpps"),
    _row(BlockAffinity, "blockaffinities", "affinity", "affinities"),
    _row(ClusterInformation, "clusterinformations", "clusterinfo", "clusterinfos"),
    _row(FelixConfiguration, "felixconfigurations", "felixconfig", "felixconfigs"),
    _row(GlobalNetworkPolicy, "globalnetworkpolicies", "gnp", "cgnp"),
    _row(GlobalNetworkSet, "globalnetworksets", "gnetsets"),
    _row(HostEndpoint, "hostendpoints", "hep", "heps"),
    _row(IPAMConfiguration, "ipamconfigurations", "ipamconfig", "ipamconfigs"),
    _row(IPPool, "ippools", "ipp", "ipps", "pool", "pools"),
    _row(IPReservation, "ipreservations", "reservation", "reservations"),
    _row(NetworkPolicy, "networkpolicies", "cnp", "caliconetworkpolicy", namespaced=True),
    _row(NetworkSet, "networksets", "netsets", namespaced=True),
    _row(Node, "nodes", "no", "nos"),
    _row(Profile, "profiles", "pro", "pros"),
    _row(StagedGlobalNetworkPolicy, "stagedglobalnetworkpolicies", "sgnp"),
    _row(StagedKubernetesNetworkPolicy, "stagedkubernetesnetworkpolicies", "sknp", namespaced=True),
    _row(StagedNetworkPolicy, "stagednetworkpolicies", "snp", namespaced=True),
    _row(Tier, "tiers"),
    _row(WorkloadEndpoint, "workloadendpoints", "wep", "weps", namespaced=True),
)

RESOURCE_TYPES: dict[str, type[Resource]] = {kind.kind: resource_type for resource_type, kind in _ROWS}
KINDS: tuple[Kind, ...] = tuple(kind for _, kind in _ROWS)
_KINDS_BY_TYPE: dict[type[Resource], Kind] = dict(_ROWS)
CALICOCTL_NAMES: Mapping[type[Resource], str] = {
    GlobalNetworkPolicy: "globalpolicy globalpolicies gpol gpols",
    NetworkPolicy: "np policy policies pol pols",
    StagedGlobalNetworkPolicy: "stagedglobalpolicy stagedglobalpolicies sgpol sgpols",
    StagedKubernetesNetworkPolicy: "stagedkubernetespolicy stagedkubernetespolicies skpol skpols",
    StagedNetworkPolicy: "stagedpolicy stagedpolicies spol spols",
}
"""Names that calicoctl takes too; the short names are kubectl's and its own."""
_BY_NAME = {name: kind for kind in KINDS for name in (kind.singular, kind.plural, *kind.short_names)}
_BY_NAME |= {name: _KINDS_BY_TYPE[it] for it, names in CALICOCTL_NAMES.items() for name in names.split()}


_OTHERS = "nothing here would follow it"
_MISSING = {
    "KubeControllersConfiguration": (_OTHERS, "kubecontrollersconfigurations", "kcconfig"),
    "CalicoNodeStatus": (
        "fabric bgp and calicoctl node status tell it",
        "caliconodestatuses",
        "caliconodestatus",
    ),
}
"""Calico's kinds that are not served, with the reason and calicoctl's names."""


def why_missing(name: str) -> str:
    """The reason why a kind of Calico's is not served, by a name of it; empty for any other word."""
    folded = name.lower()
    found = (why for kind, (why, *names) in _MISSING.items() if folded in (kind.lower(), *names))
    return next(found, "")


def kind_of(resource_type: type[Resource]) -> Kind:
    return _KINDS_BY_TYPE[resource_type]


def kind_named(name: str) -> Kind | None:
    """The kind that a user means by `ippool`, `IPPools`, `ipp` …, whatever its case."""
    return _BY_NAME.get(name.lower())


def prefix(kind: Kind, namespace: str = "") -> str:
    """The key prefix of a kind's objects, of one namespace or of all."""
    return f"{PREFIX}{kind.plural}/" + (f"{namespace}/" if kind.namespaced and namespace else "")


def store_key(kind: Kind, name: str, namespace: str = "") -> str:
    """The key of an object; ValueError without the namespace that the kind needs."""
    if kind.namespaced and not namespace:
        raise ValueError(f"{kind.kind}({name}) needs a namespace")
    return prefix(kind, namespace) + name


def parse_key(key: str) -> tuple[Kind, Key] | None:
    """Undo `store_key`; None for a key of no kind of this table."""
    plural, _, tail = key.removeprefix(PREFIX).partition("/")
    kind = _BY_NAME.get(plural) if key.startswith(PREFIX) else None
    if kind is None or kind.plural != plural or tail.count("/") != kind.namespaced:
        return None
    namespace, _, name = tail.rpartition("/")
    return (kind, Key(namespace, name)) if name else None
