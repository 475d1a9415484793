"""The annotations by which a pod, or its namespace, asks the CNI plugin for certain addresses.

    cni.projectcalico.org/ipv4pools    pools by name or CIDR; the namespace's hold where the pod has none
    cni.projectcalico.org/ipv6pools    the same; names pools of IPv6, from which pods get nothing yet
    cni.projectcalico.org/ipAddrs      this very address; the pod's alone
    cni.projectcalico.org/ipFamilies   the pod's or the namespace's; pods have IPv4 addresses only

Refused, as by Calico's plugin by default: ipAddrsNoIpam, floatingIPs, and with host-local ipAddrs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from fabric.errors import FabricError
from fabric.netstate.objects import IPAddress

_PREFIX = "cni.projectcalico.org/"
_DISABLED = {"ipAddrsNoIpam": "ip_addrs_no_ipam", "floatingIPs": "floating_ips"}


@dataclass(frozen=True, slots=True)
class AnnotationRequest:
    """A pod's requests to the CNI plugin; an address goes before pools."""

    address: IPAddress | None = None
    pools: tuple[str, ...] = ()
    """Names or CIDRs, in this order; none leaves it to the pools' selectors."""
    pools_v6: tuple[str, ...] = ()


def asked(pod: Mapping[str, str], namespace: Mapping[str, str]) -> AnnotationRequest:
    """Read the annotations of both; FabricError names the one that cannot be followed."""
    if pod.get(_PREFIX + "ipAddrs") and pod.get(_PREFIX + "ipAddrsNoIpam"):
        raise FabricError(
            "can't have both annotations: 'ipAddrs' and 'ipAddrsNoIpam' in use at the same time"
        )
    for name in _DISABLED:
        if pod.get(_PREFIX + name):
            raise FabricError(_not_enabled(name))
    both = {**namespace, **{name: text for name, text in pod.items() if text}}
    pools, pools_v6 = (_pools(both, name) for name in ("ipv4pools", "ipv6pools"))
    _check_families(both.get(_PREFIX + "ipFamilies", ""))
    if address := pod.get(_PREFIX + "ipAddrs"):
        return AnnotationRequest(address=_address(address))
    return AnnotationRequest(pools=pools, pools_v6=pools_v6)


def check_host_local(pod: Mapping[str, str]) -> None:
    """FabricError names an annotation of the pod that host-local cannot follow; pools do not concern it."""
    for name in ("ipAddrs", "ipAddrsNoIpam"):
        if pod.get(_PREFIX + name):
            raise FabricError(
                f"{name} is not compatible with configured IPAM: host-local "
                f"(annotation {_PREFIX}{name}; take it away)"
            )
    if pod.get(_PREFIX + "floatingIPs"):
        raise FabricError(_not_enabled("floatingIPs"))


def _not_enabled(name: str) -> str:
    return f"requested feature is not enabled: {_DISABLED[name]} (annotation {_PREFIX}{name}; take it away)"


def _pools(annotations: Mapping[str, str], name: str) -> tuple[str, ...]:
    text = annotations.get(_PREFIX + name)
    return tuple(_listed(text, name)) if text else ()


def _check_families(text: str) -> None:
    families = _listed(text, "ipFamilies") if text else ["IPv4"]
    if unknown := [family for family in families if family not in ("IPv4", "IPv6")]:
        raise FabricError(f"annotation {_PREFIX}ipFamilies: {unknown[0]!r} is neither IPv4 nor IPv6")
    if set(families) != {"IPv4"}:
        raise FabricError(f'annotation {_PREFIX}ipFamilies is {text!r}; pods have IPv4 addresses: ["IPv4"]')


def _address(text: str) -> IPAddress:
    try:
        (address,) = map(ip_address, _listed(text, "ipAddrs"))
    except ValueError:
        raise FabricError(f"annotation {_PREFIX}ipAddrs is {text!r}; write one IPv4 address") from None
    if address.version != 4:
        raise FabricError(f"annotation {_PREFIX}ipAddrs is {text!r}; pods have IPv4 addresses")
    return address


def _listed(text: str, annotation: str) -> list[str]:
    """A JSON list of texts in an annotation."""
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if found is None and text.strip() == "null":
        return []
    if isinstance(found, list) and all(isinstance(item, str) for item in found):
        return found
    raise FabricError(f'annotation {_PREFIX}{annotation} is {text!r}; write it as ["one", "another"]')
