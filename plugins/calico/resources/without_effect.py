"""The fields of FelixConfiguration that are taken and kept and change nothing here, each with its reason.

Whoever sets one to another value than Calico's default is warned, by kubectl and by calicoctl.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from calico.resources import crds
from calico.resources.envelope import Resource
from calico.resources.felix import FelixConfiguration, FelixConfigurationSpec

POLICIES = "policies are not enforced yet"
_REASONS: Mapping[str, str] = {
    POLICIES: """
        allowIPIPPacketsFromWorkloads allowVXLANPacketsFromWorkloads defaultEndpointToHostAction
        disableConntrackInvalidCheck failsafeInboundHostPorts failsafeOutboundHostPorts
        iptablesFilterAllowAction iptablesFilterDenyAction iptablesMangleAllowAction iptablesMarkMask
        kubeNodePortRanges logActionRateLimit logActionRateLimitBurst logPrefix maxIpsetSize
        policySyncPathPrefix serviceLoopPrevention sidecarAccelerationEnabled workloadSourceSpoofing
        ignoreLooseRPF
    """,
    "the kernel is read again at fabric's own intervals": """
        interfaceRefreshInterval ipsetsRefreshInterval iptablesPostWriteCheckInterval
        iptablesRefreshInterval nftablesRefreshInterval routeRefreshInterval
    """,
    "iptables' flavour is that of the machine": "iptablesBackend nftablesMode",
    "fabric's nodes have one underlay device, eth0": "mtuIfacePattern interfaceExclude requireMTUFile",
    "pods' devices are called cali…": "interfacePrefix",
    "floating IPs are not supported": "floatingIPs",
    "routes follow the blocks of the IPAM": "routeSource routeSyncDisabled routeTableRange routeTableRanges",
    "there is no eBPF data plane": "",
    "there is no nftables data plane": "",
    "there is no WireGuard": "",
    "there are no flow logs": "",
    "there are no metrics of Prometheus": "",
}
_BY_PREFIX = {
    "bpf": "there is no eBPF data plane",
    "xdp": "there is no eBPF data plane",
    "nftables": "there is no nftables data plane",
    "wireguard": "there is no WireGuard",
    "flowLogs": "there are no flow logs",
    "prometheus": "there are no metrics of Prometheus",
}
OTHERS = "fabric's Felix has nothing that it would change"
_HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "bpfConnectTimeLoadBalancing": ("TCP",),
    "bpfHostNetworkedNATWithoutCTLB": ("Enabled",),
    "floatingIPs": ("Disabled",),
    "interfacePrefix": ("cali",),
    "iptablesBackend": ("Auto",),
    "ipv6Support": (True,),
    "logSeverityScreen": ("Info",),
    "nftablesMode": ("Disabled", "Auto"),
    "reportingInterval": ("0s",),
    "routeSource": ("CalicoIPAM",),
    "serviceLoopPrevention": ("Drop",),
}


_READ = {it.metadata["json"] for it in fields(FelixConfigurationSpec) if "json" in it.metadata}
_UNREAD = crds.fields_of("FelixConfiguration").keys() - _READ


def _table() -> Mapping[str, str]:
    found = {name: reason for reason, names in _REASONS.items() for name in names.split()}
    found["logSeverityScreen"] = OTHERS
    for name in _UNREAD:
        reason = next((why for prefix, why in _BY_PREFIX.items() if name.startswith(prefix)), OTHERS)
        found.setdefault(name, reason)
    return found


TABLE: Mapping[str, str] = _table()
"""By the field's name in the spec."""


def warnings(resource: Resource) -> Iterator[str]:
    """The warnings for a client that writes this resource."""
    if not isinstance(resource, FelixConfiguration):
        return
    for name, value in (resource.to_object().get("spec") or {}).items():
        harmless = value in _HARMLESS.get(name, ()) or value in (False, "", None)
        if name in TABLE and not harmless:
            yield f"spec.{name}: it changes nothing: {TABLE[name]}"
