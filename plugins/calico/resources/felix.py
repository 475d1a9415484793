"""FelixConfiguration: `default` for all nodes, `node.<name>` for one, which wins field by field.

A field left out is None here; `effective` says what holds. Fields that change nothing here are kept, and
whoever sets one is warned: see `without_effect`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from calico.resources import crds, failsafe
from calico.resources.envelope import Resource
from calico.resources.failsafe import ProtoPort
from calico.resources.fields import key, rest, takes
from calico.resources.readers import (
    address,
    choice,
    duration,
    flag,
    iptables_device,
    listed,
    masked_network,
    nested,
    number,
    of_family,
    ports,
    text,
    word,
)
from calico.resources.refusals import Refusal
from fabric.netstate.objects import IPAddress, IPNetwork

_FILLED_IN = {
    "bpfConnectTimeLoadBalancing": "TCP",
    "bpfHostNetworkedNATWithoutCTLB": "Enabled",
    "floatingIPs": "Disabled",
}
MARK_BITS_MIN = 5
"""Felix's own bits of the mark: accept, pass, drop, and two to compute with."""
_ROUTE_SOURCES = {"workloadips": "WorkloadIPs", "calicoipam": "CalicoIPAM"}
SEVERITIES = ("Trace", "Debug", "Info", "Warning", "Error", "Fatal")
_PREFIX = re.compile(r"[A-Za-z0-9_.-]{1,4}", re.ASCII)
"""Eleven of a device's 15 characters are digits of a hash."""
_NODES_DEVICES = ("eth0", "lo", "tunl0", "vxlan.calico", "vxlan-v6.calico", "flannel.1", "cni0", "kube-ipvs0")


@takes(type="integer", minimum=1, maximum=2**32 - 1)
def _mark_mask(value: Any, path: str, refusals: list[Refusal]) -> Any:
    """The bits of the mark that are Felix's, and no others': it needs five."""
    found = number(1, 2**32 - 1)(value, path, refusals)
    if isinstance(found, int) and found.bit_count() < MARK_BITS_MIN:
        refusals.append(Refusal(path, f"must have at least {MARK_BITS_MIN} bits set", value))
    return found


@takes(type="string")
def _prefixes(value: Any, path: str, refusals: list[Refusal]) -> Any:
    """The beginnings of names of pods' devices, such as `cali,azv`; no device of a node's own begins so."""
    for prefix in value.split(",") if isinstance(value, str) and value else ():
        own = next((name for name in _NODES_DEVICES if name.startswith(prefix)), None)
        if not _PREFIX.fullmatch(prefix):
            reason = "must be prefixes of 1 to 4 letters, digits, '_', '.' or '-', with a comma between them"
            refusals.append(Refusal(path, reason, value))
        elif own is not None:
            refusals.append(Refusal(path, f"{own} is the node's own device, and no pod's", value))
    return text(value, path, refusals)


@dataclass(frozen=True, slots=True, kw_only=True)
class FelixConfigurationSpec:
    log_severity_screen: str | None = key("logSeverityScreen", word(*SEVERITIES), default=None)
    interface_prefix: str | None = key("interfacePrefix", _prefixes, default=None)
    """With a comma between them; new pods' devices are named with the first."""
    default_endpoint_to_host_action: str | None = key(
        "defaultEndpointToHostAction", word("Drop", "Accept", "Return"), default=None
    )
    chain_insert_mode: str | None = key("chainInsertMode", word("Insert", "Append"), default=None)
    iptables_filter_allow_action: str | None = key(
        "iptablesFilterAllowAction", word("Accept", "Return"), default=None
    )
    iptables_mangle_allow_action: str | None = key(
        "iptablesMangleAllowAction", word("Accept", "Return"), default=None
    )
    iptables_filter_deny_action: str | None = key(
        "iptablesFilterDenyAction", word("Drop", "Reject"), default=None
    )
    log_prefix: str | None = key("logPrefix", text, default=None)
    """Of what rules with action Log write; %t, %k, %n and %p are tier, kind, name, and namespace/name."""
    failsafe_inbound_ports: tuple[ProtoPort, ...] | None = key(
        "failsafeInboundHostPorts", listed(nested(ProtoPort)), default=None
    )
    failsafe_outbound_ports: tuple[ProtoPort, ...] | None = key(
        "failsafeOutboundHostPorts", listed(nested(ProtoPort)), default=None
    )
    """An empty list is none at all."""
    disable_conntrack_invalid_check: bool | None = key("disableConntrackInvalidCheck", flag, default=None)
    iptables_refresh_interval: str | None = key("iptablesRefreshInterval", duration, default=None)
    route_refresh_interval: str | None = key("routeRefreshInterval", duration, default=None)
    ipsets_refresh_interval: str | None = key("ipsetsRefreshInterval", duration, default=None)
    iptables_mark_mask: int | None = key("iptablesMarkMask", _mark_mask, default=None)
    ipip_enabled: bool | None = key("ipipEnabled", flag, default=None)
    ipip_mtu: int | None = key("ipipMTU", number(0, 65535), default=None)
    vxlan_enabled: bool | None = key("vxlanEnabled", flag, default=None)
    vxlan_mtu: int | None = key("vxlanMTU", number(0, 65535), default=None)
    vxlan_port: int | None = key("vxlanPort", number(1, 65535), default=None)
    vxlan_vni: int | None = key("vxlanVNI", number(1, 2**24 - 1), default=None)
    mtu_iface_pattern: str | None = key("mtuIfacePattern", text, default=None)
    device_route_protocol: int | None = key("deviceRouteProtocol", number(1, 255), default=None)
    remove_external_routes: bool | None = key("removeExternalRoutes", flag, default=None)
    program_cluster_routes: str | None = key(
        "programClusterRoutes", choice("Enabled", "EnabledIPIPOnly", "Disabled"), default=None
    )
    """Disabled: BIRD writes the routes of IPIP pools, as up to Calico 3.32. The others are one here."""
    nat_outgoing_address: IPAddress | None = key("natOutgoingAddress", of_family(address, 4), default=None)
    nat_port_range: str | int | None = key("natPortRange", ports, default=None)
    """`1024:65535`, or one port; see `port_range`."""
    iptables_nat_outgoing_interface_filter: str | None = key(
        "iptablesNATOutgoingInterfaceFilter", iptables_device, default=None
    )
    device_route_source_address: IPAddress | None = key(
        "deviceRouteSourceAddress", of_family(address, 4), default=None
    )
    device_route_source_address_v6: IPAddress | None = key(
        "deviceRouteSourceAddressIPv6", of_family(address, 6), default=None
    )
    vxlan_mtu_v6: int | None = key("vxlanMTUV6", number(0, 65535), default=None)
    nat_outgoing_exclusions: str | None = key(
        "natOutgoingExclusions", choice("IPPoolsOnly", "IPPoolsAndHostIPs"), default=None
    )
    allow_vxlan_packets_from_workloads: bool | None = key(
        "allowVXLANPacketsFromWorkloads", flag, default=None
    )
    allow_ipip_packets_from_workloads: bool | None = key("allowIPIPPacketsFromWorkloads", flag, default=None)
    route_source: str | None = key("routeSource", word(*_ROUTE_SOURCES.values()), default=None)
    """Felix's routes to other nodes follow the IPAM's blocks, or each pod's WorkloadEndpoint."""
    route_sync_disabled: bool | None = key("routeSyncDisabled", flag, default=None)
    """Felix makes, changes and removes no route; those that it made stay."""
    external_nodes_list: tuple[IPNetwork, ...] = key("externalNodesList", listed(masked_network), default=())
    rest: Mapping[str, Any] = rest(crds.fields_of("FelixConfiguration"))

    def __post_init__(self) -> None:
        """Fill in what Calico's library fills in at each write."""
        object.__setattr__(self, "rest", {**_FILLED_IN, **self.rest})


def port_range(given: str | int | None) -> str:
    """natPortRange in the words of iptables: `1024-65535`; empty where nothing, or 0, is given."""
    first, _, last = str(given or "").partition(":")
    return f"{int(first)}-{int(last or first)}" if first else ""


DEFAULTS = FelixConfigurationSpec(
    log_severity_screen="Info",
    interface_prefix="cali",
    default_endpoint_to_host_action="Accept",
    chain_insert_mode="Insert",
    iptables_filter_allow_action="Accept",
    iptables_mangle_allow_action="Accept",
    iptables_filter_deny_action="Drop",
    log_prefix="calico-packet",
    failsafe_inbound_ports=failsafe.INBOUND,
    failsafe_outbound_ports=failsafe.OUTBOUND,
    disable_conntrack_invalid_check=False,
    iptables_refresh_interval="180s",
    route_refresh_interval="90s",
    ipsets_refresh_interval="90s",
    iptables_mark_mask=0xFFFF0000,
    ipip_mtu=0,
    vxlan_mtu=0,
    vxlan_mtu_v6=0,
    vxlan_port=4789,
    vxlan_vni=4096,
    device_route_protocol=3,
    remove_external_routes=True,
    program_cluster_routes="Disabled",
    nat_outgoing_exclusions="IPPoolsOnly",
    route_source="CalicoIPAM",
    route_sync_disabled=False,
    allow_vxlan_packets_from_workloads=False,
    allow_ipip_packets_from_workloads=False,
)
"""ipipEnabled and vxlanEnabled stay open: the pools decide. An MTU of 0 is derived.

Pods may speak to their node, as Calico's manifests for Kubernetes have it; Felix' own default is Drop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FelixConfiguration(Resource):
    KIND: ClassVar[str] = "FelixConfiguration"
    SPEC: ClassVar[type] = FelixConfigurationSpec

    spec: FelixConfigurationSpec

    def refusals(self) -> list[Refusal]:
        if self.name == "default" or self.name.startswith("node."):
            return []
        return [Refusal("metadata.name", "the name must be 'default' or 'node.<nodename>'", self.name)]


def effective(*configurations: FelixConfiguration | None) -> FelixConfigurationSpec:
    """The fields in force: each later configuration wins, field by field, over earlier ones and defaults.

    Words that may be written in any case are as Felix prints them.
    """
    spec = DEFAULTS
    for configuration in configurations:
        if configuration is not None:
            given = ((f.name, getattr(configuration.spec, f.name)) for f in fields(configuration.spec))
            spec = replace(spec, **{name: value for name, value in given if _is_given(name, value)})
    return replace(
        spec,
        log_severity_screen=str(spec.log_severity_screen).capitalize(),
        default_endpoint_to_host_action=str(spec.default_endpoint_to_host_action).capitalize(),
        chain_insert_mode=str(spec.chain_insert_mode).capitalize(),
        iptables_filter_allow_action=str(spec.iptables_filter_allow_action).capitalize(),
        iptables_mangle_allow_action=str(spec.iptables_mangle_allow_action).capitalize(),
        iptables_filter_deny_action=str(spec.iptables_filter_deny_action).capitalize(),
        route_source=_ROUTE_SOURCES[str(spec.route_source).lower()],
    )


def _is_given(name: str, value: object) -> bool:
    """True for a field that says something; no failsafe ports are something else than none said."""
    return value is not None and (value not in ("", (), {}) or name.startswith("failsafe"))
