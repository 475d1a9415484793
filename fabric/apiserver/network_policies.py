"""The defaults and warnings of NetworkPolicies (pkg/apis/networking/v1/defaults.go, and their strategy)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import IPv6Network, ip_address

from fabric.api.names import loose_network, without_leading_zeros
from fabric.api.objects import Object

RULES = (("ingress", "from"), ("egress", "to"))
"""The two lists of rules, and the field of a rule that lists peers."""


def defaulted(policy: Object) -> Object:
    """Return the policy with a selector, with its types, and with a protocol for each port.

    It is about ingress in any case, and about egress where it has rules for that.
    """
    spec = policy.get("spec") or {}
    types = spec.get("policyTypes") or ["Ingress", *["Egress"] * bool(spec.get("egress"))]
    filled = {"podSelector": {}, **spec, "policyTypes": types}
    for direction, _ in RULES:
        if spec.get(direction):
            filled[direction] = [_with_protocols(rule) for rule in spec[direction]]
    return {**policy, "spec": filled}


def _with_protocols(rule: Object) -> Object:
    if not rule.get("ports"):
        return rule
    return {**rule, "ports": [{"protocol": "TCP", **port} for port in rule["ports"]]}


def warnings(policy: Object, old: Object | None = None) -> Iterator[str]:
    """The warnings of CIDRs that could mean something else (GetWarningsForCIDR); none for unchanged rules."""
    spec = policy.get("spec") or {}
    if old is not None and old.get("spec") == spec:
        return
    for direction, peers in RULES:
        for i, rule in enumerate(spec.get(direction) or ()):
            for j, peer in enumerate(rule.get(peers) or ()):
                if not (block := peer.get("ipBlock")):
                    continue
                path = f"spec.{direction}[{i}].{peers}[{j}].ipBlock"
                yield from _cidr(f"{path}.cidr", block["cidr"])
                for k, text in enumerate(block.get("except") or ()):
                    yield from _cidr(f"{path}.except[{k}]", text)


def _cidr(path: str, text: str) -> Iterator[str]:
    plain = without_leading_zeros(text)
    network, address = loose_network(text), ip_address(plain.partition("/")[0])
    shown, meant = json.dumps(text), json.dumps(str(network))
    if address != network.network_address:
        alone = json.dumps(f"{address}/{network.max_prefixlen}")
        yield f"{path}: CIDR value {shown} is ambiguous in this context (should be {meant} or {alone}?)"
    if plain != text:
        what = "will be considered invalid in a future Kubernetes release"
        yield f"{path}: non-standard CIDR value {shown} {what}: use {meant}"
    elif isinstance(network, IPv6Network) and address == network.network_address and str(network) != text:
        yield f"{path}: IPv6 CIDR value {shown} should be in RFC 5952 canonical format ({meant})"
