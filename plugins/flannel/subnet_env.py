"""/run/flannel/subnet.env: how flanneld tells the CNI plugin of its node what to attach pods with.

It is there exactly when the node's network is up, it outlives flanneld, and it is replaced in one
rename: pods can be attached while flanneld is down, and nobody reads half a file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import ip_interface, ip_network
from pathlib import Path

from fabric.netstate.objects import Family, IPInterface, IPNetwork

PATH = Path("run/flannel/subnet.env")


@dataclass(frozen=True, slots=True)
class SubnetEnv:
    """The file's content."""

    networks: tuple[IPNetwork, ...]
    gateways: tuple[IPInterface, ...]
    """This node's subnets, each with its first host address: 10.244.1.1/24, the address of cni0."""
    mtu: int
    ip_masq: bool = True

    @property
    def subnets(self) -> tuple[IPNetwork, ...]:
        return tuple(gateway.network for gateway in self.gateways)

    def __str__(self) -> str:
        lines = []
        for network, gateway in zip(self.networks, self.gateways, strict=True):
            prefix = _prefix(4 if network.version == 4 else 6)
            lines += [f"{prefix}NETWORK={network}", f"{prefix}SUBNET={gateway}"]
        lines += [f"FLANNEL_MTU={self.mtu}", f"FLANNEL_IPMASQ={str(self.ip_masq).lower()}"]
        return "".join(f"{line}\n" for line in lines)


def of(networks: tuple[IPNetwork, ...], subnets: tuple[IPNetwork, ...], mtu: int) -> SubnetEnv:
    """The file of a node that holds these subnets."""
    return SubnetEnv(
        networks, tuple(ip_interface((s.network_address + 1, s.prefixlen)) for s in subnets), mtu
    )


def parse(text: str) -> SubnetEnv | None:
    """Read the file's text; None when it is not one that flanneld wrote."""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    try:
        prefixes = [_prefix(f) for f in _FAMILIES if _prefix(f) + "SUBNET" in values]
        networks = tuple(ip_network(values[prefix + "NETWORK"]) for prefix in prefixes)
        gateways = tuple(ip_interface(values[prefix + "SUBNET"]) for prefix in prefixes)
        mtu = int(values["FLANNEL_MTU"])
    except (KeyError, ValueError):
        return None
    return SubnetEnv(networks, gateways, mtu, values.get("FLANNEL_IPMASQ") == "true") if gateways else None


def read(root: Path) -> SubnetEnv | None:
    """The file of the node with these files; None when there is none, or none that can be read."""
    try:
        return parse((root / PATH).read_text())
    except (OSError, UnicodeDecodeError):
        return None


def write(root: Path, env: SubnetEnv) -> None:
    """Put the file in place, in one step; an equal one is left alone."""
    if read(root) == env:
        return
    path = root / PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(str(env))
    temporary.replace(path)


_FAMILIES: tuple[Family, ...] = (4, 6)


def _prefix(family: Family) -> str:
    return "FLANNEL_" if family == 4 else "FLANNEL_IPV6_"
