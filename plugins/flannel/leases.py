"""The layout of the store: the configuration at `config`, one key for each node's subnet.

    /coreos.com/network/config                                   net-conf.json
    /coreos.com/network/subnets/10.244.1.0-24                    the lease of one node
    /coreos.com/network/subnets/10.244.1.0-24&fd00:10:244:1::-64 the same with two families

Keys and values are flannel's own, to the letter, so that `etcdctl get --prefix /coreos.com/network`
reads as on a real cluster, and a real flanneld could read it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from fabric.netstate.objects import Family, IPAddress, IPNetwork

PREFIX = "/coreos.com/network"
CONFIG_KEY = f"{PREFIX}/config"
SUBNETS = f"{PREFIX}/subnets/"


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease is one node's subnets, and what the others need to know to reach them."""

    subnets: tuple[IPNetwork, ...]
    """One per family, in the order of the configuration's ranges."""
    public_ips: tuple[IPAddress, ...]
    """The node's underlay addresses, one per family at most."""
    backend: str
    data: tuple[str, ...] = ()
    """BackendData as JSON text, one per subnet; empty for a backend that has none."""

    @property
    def key(self) -> str:
        return SUBNETS + subnet_key(self.subnets)

    @property
    def value(self) -> bytes:
        """The value that flannel writes: compact JSON in the order of its struct, absent data left out."""
        v4, v6 = self._by_family(4), self._by_family(6)
        public = {ip.version: str(ip) for ip in self.public_ips}
        doc: dict[str, Any] = {"PublicIP": public.get(4, "0.0.0.0"), "PublicIPv6": public.get(6)}
        doc["BackendType"] = self.backend
        doc |= {"BackendData": json.loads(v4)} if v4 else {}
        doc |= {"BackendV6Data": json.loads(v6)} if v6 else {}
        return compact(doc).encode()

    def subnet(self, family: Family) -> IPNetwork | None:
        return next((subnet for subnet in self.subnets if subnet.version == family), None)

    def public_ip(self, family: Family) -> IPAddress | None:
        return next((ip for ip in self.public_ips if ip.version == family), None)

    def backend_data(self, family: Family) -> dict[str, Any]:
        """BackendData of that family, or an empty object."""
        text = self._by_family(family)
        found = json.loads(text) if text else None
        return found if isinstance(found, dict) else {}

    def _by_family(self, family: Family) -> str:
        pairs = zip(self.subnets, self.data, strict=False)
        return next((text for subnet, text in pairs if subnet.version == family), "")


def subnet_key(subnets: Iterable[IPNetwork]) -> str:
    """`10.244.1.0-24`, with a second family `10.244.1.0-24&fd00:10:244:1::-64`.

    flannel's keys always open with an IPv4 part; without IPv4 that is `0.0.0.0-0`.
    """
    texts = {subnet.version: f"{subnet.network_address}-{subnet.prefixlen}" for subnet in subnets}
    return "&".join((texts.get(4, "0.0.0.0-0"), *([texts[6]] if 6 in texts else [])))


def parse_subnet_key(text: str) -> tuple[IPNetwork, ...]:
    """Read the last part of a lease's key; ValueError when it is none."""
    if text.count("-") != text.count("&") + 1:
        raise ValueError(f"{text!r} names no subnet")
    networks = tuple(ip_network(part.replace("-", "/")) for part in text.split("&"))
    kept = tuple(network for network in networks if network.prefixlen)
    if not kept or len(networks) > 2:
        raise ValueError(f"{text!r} names no subnet")
    return kept


def parse_lease(key: str, value: bytes) -> Lease | None:
    """Read one key of the store; None when it is not a lease (somebody wrote it by hand, and wrong)."""
    try:
        subnets = parse_subnet_key(key.removeprefix(SUBNETS))
        doc = json.loads(value)
        texts = (doc.get("PublicIP"), doc.get("PublicIPv6"))
        found = (ip_address(str(text)) for text in texts if text)
        public_ips = tuple(ip for ip in found if not ip.is_unspecified)
        data = tuple(_data(doc, subnet) for subnet in subnets)
    except (ValueError, AttributeError):
        return None
    return Lease(subnets, public_ips, str(doc.get("BackendType") or ""), data if any(data) else ())


def compact(doc: object) -> str:
    """JSON as Go's encoder writes it: no blanks."""
    return json.dumps(doc, separators=(",", ":"))


def _data(doc: dict[str, Any], subnet: IPNetwork) -> str:
    found = doc.get("BackendData" if subnet.version == 4 else "BackendV6Data")
    return "" if found is None else compact(found)
