"""The fields that are taken and kept and change nothing here, by kind, each with its reason.

Whoever sets one to another value than Calico's default is warned. docs/fidelity.md lists them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from calico.resources import crds, policies
from calico.resources.envelope import Resource
from calico.resources.felix import DEFAULTS, FelixConfigurationSpec

_PRIORITIES = "a route's priority is 1024, or what a BGPFilter sets"
_REASONS: Mapping[str, str] = {
    "kube-proxy has no IPVS here": "kubeNodePortRanges",
    "the rate of logged packets is not limited": "logActionRateLimit logActionRateLimitBurst",
    "services are not routed yet": "serviceLoopPrevention",
    "a pod sends from its own addresses only": "workloadSourceSpoofing ignoreLooseRPF",
    "the kernel is read again at fabric's own intervals": """
        interfaceRefreshInterval iptablesPostWriteCheckInterval nftablesRefreshInterval
    """,
    "iptables' flavour is that of the machine": "iptablesBackend nftablesMode",
    "fabric's nodes have one underlay device, eth0": "mtuIfacePattern interfaceExclude requireMTUFile",
    "floating IPs are not supported": "floatingIPs",
    "fabric's Felix writes its routes, into table main": "routeTableRange routeTableRanges",
    _PRIORITIES: """
        ipv4NormalRoutePriority ipv4ElevatedRoutePriority ipv6NormalRoutePriority ipv6ElevatedRoutePriority
    """,
}
_BY_PREFIX = {
    "bpf": "there is no eBPF data plane",
    "xdp": "there is no eBPF data plane",
    "nftables": "there is no nftables data plane",
    "wireguard": "there is no WireGuard",
    "flowLogs": "there are no flow logs",
    "prometheus": "there are no metrics of Prometheus",
}
_READ = [it for it in fields(FelixConfigurationSpec) if "json" in it.metadata]
OTHERS = "fabric's Felix has nothing that it would change"
_HARMLESS: Mapping[str, tuple[Any, ...]] = {
    **{it.metadata["json"]: (getattr(DEFAULTS, it.name),) for it in _READ},
    "bpfConnectTimeLoadBalancing": ("TCP",),
    "bpfHostNetworkedNATWithoutCTLB": ("Enabled",),
    "floatingIPs": ("Disabled",),
    "iptablesBackend": ("Auto",),
    "ipv6Support": (True,),
    "logSeverityScreen": ("Info",),
    "nftablesMode": ("Disabled", "Auto"),
    "reportingInterval": ("0s",),
    "serviceLoadBalancerAggregation": ("Enabled",),
    "serviceLoopPrevention": ("Drop",),
}


def _felix() -> Mapping[str, str]:
    """The fields of FelixConfiguration that FelixConfigurationSpec does not read, and those of `_REASONS`."""
    found = {name: reason for reason, names in _REASONS.items() for name in names.split()}
    found["logSeverityScreen"] = OTHERS
    unread = crds.fields_of("FelixConfiguration").keys() - {it.metadata["json"] for it in _READ}
    for name in unread:
        reason = next((why for prefix, why in _BY_PREFIX.items() if name.startswith(prefix)), OTHERS)
        found.setdefault(name, reason)
    return found


_NO_SERVICES = "the API has no Services yet, so that none has an endpoint"
_WORKLOADS = "there are no BGP sessions with pods"
TABLES: Mapping[str, Mapping[str, str]] = {
    "FelixConfiguration": _felix(),
    "BGPConfiguration": {
        "ipv4NormalRoutePriority": _PRIORITIES,
        "ipv4ElevatedRoutePriority": _PRIORITIES,
        "ipv6NormalRoutePriority": _PRIORITIES,
        "ipv6ElevatedRoutePriority": _PRIORITIES,
        "localWorkloadPeeringIPV4": _WORKLOADS,
        "localWorkloadPeeringIPV6": _WORKLOADS,
        "programClusterRoutes": "FelixConfiguration's decides for both",
        "serviceLoadBalancerAggregation": "every node announces the ranges of services as a whole",
    },
    "BGPPeer": {"localWorkloadSelector": _WORKLOADS},
    "Node": {
        "interfaces": "fabric's nodes have one underlay device, eth0",
        "wireguard": "there is no WireGuard",
    },
}
"""By the kind, and the field's name in its spec."""


def warnings(resource: Resource) -> Iterator[str]:
    """The warnings for a client that writes this resource."""
    yield from _of_policy(resource)
    table = TABLES.get(resource.KIND, {})
    for name, value in (resource.to_object().get("spec") or {}).items():
        harmless = value in _HARMLESS.get(name, ()) or value in (False, "", None)
        if name in table and not harmless:
            yield f"spec.{name}: it changes nothing: {table[name]}"


def _of_policy(resource: Resource) -> Iterator[str]:
    """Warnings of what a policy says and nothing applies."""
    if not isinstance(resource, policies.POLICIES):
        return
    spec = resource.spec
    for name, rules, type_ in (
        ("ingress", spec.ingress, policies.INGRESS),
        ("egress", spec.egress, policies.EGRESS),
    ):
        if rules and type_ not in spec.types:
            yield f"spec.{name}: it changes nothing: spec.types has no {type_}"
        for index, rule in enumerate(rules):
            for side, entity in (("source", rule.source), ("destination", rule.destination)):
                if entity.services is not None:
                    yield f"spec.{name}[{index}].{side}.services: the rule matches nothing: {_NO_SERVICES}"
    if isinstance(spec, policies.GlobalNetworkPolicySpec) and (spec.do_not_track or spec.pre_dnat):
        of_pods = {
            "namespaceSelector": spec.namespace_selector,
            "serviceAccountSelector": spec.service_account_selector,
        }
        for name in (name for name, given in of_pods.items() if given):
            yield f"spec.{name}: it selects pods, and doNotTrack and preDNAT are for host endpoints alone"
