"""Policies that nobody would write: drawn from the schemas, as the pods of `any_pod`."""

from __future__ import annotations

from copy import deepcopy
from ipaddress import ip_network

from hypothesis import strategies as st

from calico import served
from fabric.api.kinds import NETWORK_POLICY, Kind
from fabric.api.objects import Object
from fabric.apiserver import schema
from fabric.plugin.contract import NetworkConfig
from support.any_pod import change

_EXPRESSIONS = [
    {"key": "a", "operator": "In", "values": ["1", "2"]},
    {"key": "b", "operator": "NotIn", "values": ["1"]},
    {"key": "c", "operator": "Exists"},
    {"key": "d", "operator": "DoesNotExist"},
]
_SELECTOR = {"matchLabels": {"app": "web"}, "matchExpressions": _EXPRESSIONS}
_PEERS = [
    {"podSelector": _SELECTOR},
    {"podSelector": {}, "namespaceSelector": _SELECTOR},
    {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "10.2.0.0/16"]}},
    {"ipBlock": {"cidr": "fd00::/64"}},
]
_PORTS = [
    {"port": 80},
    {"port": "http", "protocol": "TCP"},
    {"port": 1000, "endPort": 2000, "protocol": "UDP"},
    {"protocol": "SCTP"},
]
_ENTITY = {
    "selector": "app == 'web'",
    "namespaceSelector": "stage in {'live', 'test'}",
    "notSelector": "has(none)",
    "nets": ["10.0.0.0/8", "10.244.0.0/16"],
    "notNets": ["10.1.0.0/16", "10.2.0.0/16"],
    "serviceAccounts": {"names": ["robot"], "selector": "role == 'bot'"},
    "ports": [80, "81:90", "http"],
    "notPorts": [85, "dns"],
}
_RULES = [
    {"action": "Allow", "protocol": "TCP", "source": {**_ENTITY}, "destination": {**_ENTITY}},
    {"action": "Deny", "protocol": "ICMP", "ipVersion": 4, "icmp": {"type": 8, "code": 0}},
    {"action": "Log", "notProtocol": "UDP"},
    {"action": "Pass", "protocol": 132, "metadata": {"annotations": {"a": "b"}}},
]
_POLICY = {
    "tier": "default",
    "order": 10,
    "selector": "app == 'web'",
    "serviceAccountSelector": "role == 'bot'",
    "types": ["Ingress", "Egress"],
    "ingress": _RULES,
    "egress": _RULES,
    "performanceHints": ["AssumeNeededOnEveryNode"],
}
SPECS: dict[str, Object] = {
    "NetworkPolicy": _POLICY,
    "GlobalNetworkPolicy": {
        **_POLICY,
        "namespaceSelector": "stage == 'live'",
        "applyOnForward": True,
    },
    "HostEndpoint": {
        "node": "node-1",
        "interfaceName": "eth0",
        "expectedIPs": ["192.168.0.1", "fd01::1"],
        "profiles": ["kns.default"],
        "ports": [{"name": "http", "protocol": "TCP", "port": 80}],
    },
    "NetworkSet": {"nets": ["10.0.0.0/8", "10.0.0.1", "fd00::/64"]},
    "GlobalNetworkSet": {"nets": ["0.0.0.0/0"]},
    "Profile": {"ingress": _RULES, "egress": _RULES, "labelsToApply": {"a": "b"}},
    "Tier": {"order": 10, "defaultAction": "Pass"},
}
"""Of Calico's kinds that policies are computed from: a good specification that uses much of it."""

FELIX = {
    "logPrefix": "policy %k %n of %t: %p",
    "iptablesFilterDenyAction": "Reject",
    "iptablesFilterAllowAction": "Return",
    "iptablesMangleAllowAction": "Return",
    "iptablesMarkMask": 0xFFFF0000,
    "interfacePrefix": "cali,tap",
    "defaultEndpointToHostAction": "Drop",
    "failsafeInboundPorts": [{"protocol": "TCP", "port": 22, "net": "10.0.0.0/8"}],
    "failsafeOutboundPorts": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 6443}],
    "chainInsertMode": "Append",
    "vxlanPort": 8472,
    "disableConntrackInvalidCheck": True,
}
"""A good FelixConfiguration, of the fields that stand in rules."""


def full_network_policy() -> Object:
    """A good policy of Kubernetes that uses much of what one can say."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "policy-1", "namespace": "default"},
        "spec": {
            "podSelector": _SELECTOR,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": _PEERS, "ports": _PORTS}],
            "egress": [{"to": _PEERS, "ports": _PORTS}],
        },
    }


def calico_kinds() -> dict[str, Kind]:
    """Calico's kinds that policies are computed from, by name."""
    found = served.kinds(NetworkConfig((ip_network("10.244.0.0/16"),), ()))
    return {kind.kind: kind for kind in found if kind.kind in SPECS}


@st.composite
def any_network_policies(draw: st.DrawFn) -> Object:
    """A policy of Kubernetes with its specification changed in one to three places."""
    return _changed(draw, NETWORK_POLICY, full_network_policy())


@st.composite
def any_calico_objects(draw: st.DrawFn) -> Object:
    """An object of Calico's that policies are computed from, changed in one to three places."""
    kind = calico_kinds()[draw(st.sampled_from(sorted(SPECS)))]
    metadata = {"name": "thing", **({"namespace": "x"} if kind.namespaced else {})}
    obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
    return _changed(draw, kind, {**obj, "spec": SPECS[kind.kind]})


@st.composite
def any_felix(draw: st.DrawFn) -> Object:
    """A FelixConfiguration of the fields that stand in rules, changed in one to three places."""
    found = served.kinds(NetworkConfig((ip_network("10.244.0.0/16"),), ()))
    kind = next(it for it in found if it.kind == "FelixConfiguration")
    obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "default"}}
    changed = _changed(draw, kind, {**obj, "spec": FELIX})
    spec = changed["spec"] if isinstance(changed["spec"], dict) else {}
    return {**changed, "spec": {name: value for name, value in spec.items() if name in FELIX}}


def _changed(draw: st.DrawFn, kind: Kind, obj: Object) -> Object:
    changed = deepcopy(obj)
    shape = schema.shape(kind)
    assert shape is not None
    for _ in range(draw(st.integers(1, 3))):
        change(draw, shape.child("spec"), changed, "spec")
    return changed
