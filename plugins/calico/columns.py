"""The columns of calicoctl's tables: each kind's headings, and the cells below them.

`calicoctl get` prints them; kubectl shows name and time of creation alone, as with Calico's API server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fabric.api.objects import Object
from fabric.plugin.served import PrinterColumn

Cell = Callable[[Object], str]

TEXT_MAX = 80
"""Characters of a list in a cell; more ends in dots."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one kind; a heading that is in neither list can be asked for by `custom-columns`."""

    narrow: tuple[str, ...]
    wide: tuple[str, ...]
    cells: Mapping[str, Cell]

    def headings(self, *, wide: bool) -> tuple[str, ...]:
        return self.wide if wide else self.narrow


def _created_at(obj: Object) -> str:
    return str(obj["metadata"].get("creationTimestamp") or "0001-01-01T00:00:00Z")


PRINTER_COLUMNS = (PrinterColumn("Created At", _created_at, type="date"),)
"""What kubectl shows of every kind beside its name, as of Calico's own API server."""


def _at(*path: str, default: str = "") -> Cell:
    """The value at a path, as Go prints it; `default` where there is none."""

    def cell(obj: Object) -> str:
        value: Any = obj
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        if value is None:
            return default
        return str(value).lower() if isinstance(value, bool) else str(value)

    return cell


def _joined(*path: str, most: int = 0) -> Cell:
    """A list with commas between; of a mapping its pairs."""

    def cell(obj: Object) -> str:
        value: Any = obj
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        if isinstance(value, dict):
            value = sorted(f"{name}={item}" for name, item in value.items())
        text = ",".join(map(str, value or ()))
        return text if not most or len(text) <= most else text[: most - 3] + "..."

    return cell


def _count(*names: str) -> Cell:
    return lambda obj: str(sum(len((obj.get("spec") or {}).get(name) or ()) for name in names))


def _columns(narrow: str, wide: str = "", **cells: Cell) -> Columns:
    both = {"NAME": _at("metadata", "name")} | cells
    return Columns(tuple(narrow.split()), tuple((wide or narrow).split()), both)


def _peer_node(obj: Object) -> str:
    spec = obj.get("spec") or {}
    return str(spec.get("node") or spec.get("nodeSelector") or "(global)")


def _workload(obj: Object) -> str:
    spec = obj.get("spec") or {}
    return str(spec.get("workload") or spec.get("pod") or "")


_NAMESPACE = _at("metadata", "namespace")
_POLICY = _columns(
    "NAME TIER",
    "NAME TIER ORDER SELECTOR",
    NAMESPACE=_NAMESPACE,
    TIER=_at("spec", "tier"),
    ORDER=_at("spec", "order", default="<nil>"),
    SELECTOR=_at("spec", "selector"),
)
_NETWORK_SET = _columns(
    "NAME", "NAME NETS", NAMESPACE=_NAMESPACE, NETS=_joined("spec", "nets", most=TEXT_MAX)
)
COLUMNS: Mapping[str, Columns] = {
    "BGPConfiguration": _columns(
        "NAME LOGSEVERITY MESHENABLED ASNUMBER",
        LOGSEVERITY=_at("spec", "logSeverityScreen"),
        MESHENABLED=_at("spec", "nodeToNodeMeshEnabled", default="-"),
        ASNUMBER=_at("spec", "asNumber", default="-"),
    ),
    "BGPFilter": _columns(
        "NAME NUMEXPORT NUMIMPORT",
        NUMEXPORT=_count("exportV4", "exportV6"),
        NUMIMPORT=_count("importV4", "importV6"),
    ),
    "BGPPeer": _columns(
        "NAME PEERIP NODE ASN",
        PEERIP=_at("spec", "peerIP"),
        NODE=_peer_node,
        ASN=_at("spec", "asNumber", default="0"),
    ),
    "BlockAffinity": _columns(
        "NAME NODE CIDR STATE",
        NODE=_at("spec", "node"),
        CIDR=_at("spec", "cidr"),
        STATE=_at("spec", "state"),
    ),
    "ClusterInformation": _columns(
        "NAME CLUSTERGUID CLUSTERTYPE CALICOVERSION DATASTOREREADY",
        CLUSTERGUID=_at("spec", "clusterGUID"),
        CLUSTERTYPE=_at("spec", "clusterType"),
        CALICOVERSION=_at("spec", "calicoVersion"),
        DATASTOREREADY=_at("spec", "datastoreReady"),
    ),
    "FelixConfiguration": _columns("NAME"),
    "GlobalNetworkPolicy": _POLICY,
    "GlobalNetworkSet": _NETWORK_SET,
    "HostEndpoint": _columns(
        "NAME NODE",
        "NAME NODE INTERFACE IPS PROFILES",
        NODE=_at("spec", "node"),
        INTERFACE=_at("spec", "interfaceName"),
        IPS=_joined("spec", "expectedIPs"),
        PROFILES=_joined("spec", "profiles"),
    ),
    "IPAMConfiguration": _columns(
        "NAME STRICTAFFINITY AUTOALLOCATEBLOCKS",
        "NAME STRICTAFFINITY AUTOALLOCATEBLOCKS MAXBLOCKSPERHOST",
        STRICTAFFINITY=_at("spec", "strictAffinity"),
        AUTOALLOCATEBLOCKS=_at("spec", "autoAllocateBlocks"),
        MAXBLOCKSPERHOST=_at("spec", "maxBlocksPerHost"),
    ),
    "IPPool": _columns(
        "NAME CIDR SELECTOR",
        "NAME CIDR NAT IPIPMODE VXLANMODE DISABLED DISABLEBGPEXPORT SELECTOR ASSIGNMENTMODE",
        CIDR=_at("spec", "cidr"),
        NAT=_at("spec", "natOutgoing", default="false"),
        IPIPMODE=_at("spec", "ipipMode", default="Never"),
        VXLANMODE=_at("spec", "vxlanMode", default="Never"),
        DISABLED=_at("spec", "disabled", default="false"),
        DISABLEBGPEXPORT=_at("spec", "disableBGPExport", default="false"),
        SELECTOR=_at("spec", "nodeSelector"),
        ASSIGNMENTMODE=_at("spec", "assignmentMode"),
    ),
    "IPReservation": _columns("NAME", "NAME CIDRS", CIDRS=_joined("spec", "reservedCIDRs", most=TEXT_MAX)),
    "NetworkPolicy": _POLICY,
    "NetworkSet": _NETWORK_SET,
    "Node": _columns(
        "NAME",
        "NAME ASN IPV4 IPV6",
        ASN=_at("spec", "bgp", "asNumber"),
        IPV4=_at("spec", "bgp", "ipv4Address"),
        IPV6=_at("spec", "bgp", "ipv6Address"),
    ),
    "Profile": _columns("NAME", "NAME LABELS", LABELS=_joined("spec", "labelsToApply")),
    "StagedGlobalNetworkPolicy": _POLICY,
    "StagedKubernetesNetworkPolicy": _columns(
        "NAME", "NAME PODSELECTOR", NAMESPACE=_NAMESPACE, PODSELECTOR=_joined("spec", "podSelector")
    ),
    "StagedNetworkPolicy": _POLICY,
    "Tier": _columns("NAME ORDER", ORDER=_at("spec", "order", default="<nil>")),
    "WorkloadEndpoint": _columns(
        "WORKLOAD NODE NETWORKS INTERFACE",
        "NAME WORKLOAD NODE NETWORKS INTERFACE PROFILES NATS",
        NAMESPACE=_NAMESPACE,
        NODE=_at("spec", "node"),
        ORCHESTRATOR=_at("spec", "orchestrator"),
        WORKLOAD=_workload,
        NETWORKS=_joined("spec", "ipNetworks"),
        NATS=_joined("spec", "ipNATs"),
        PROFILES=_joined("spec", "profiles"),
        INTERFACE=_at("spec", "interfaceName"),
    ),
}
"""By kind. The AS number of a node that says none is put in by whoever knows the cluster's."""
