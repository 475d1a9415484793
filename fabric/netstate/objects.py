"""The vocabulary: every kind of kernel object fabric programs, as frozen values.

Each class is one line of `ip link`, `ip route`, `ip neigh`, `bridge fdb`, `tc qdisc`,
`iptables-save` or `sysctl`. Equality is the whole meaning of an object; `key` is its identity in the
kernel: two objects with one key cannot exist together, and going from one to the other is a replace.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from typing import Literal

from fabric.netstate.devices import Bridge as Bridge
from fabric.netstate.devices import IPAddress as IPAddress
from fabric.netstate.devices import Ipip as Ipip
from fabric.netstate.devices import Link as Link
from fabric.netstate.devices import Tun as Tun
from fabric.netstate.devices import Veth as Veth
from fabric.netstate.devices import Vxlan as Vxlan
from fabric.netstate.qdiscs import Qdisc as Qdisc
from fabric.netstate.rules import Chain as Chain
from fabric.netstate.rules import Family as Family
from fabric.netstate.rules import IpSet as IpSet
from fabric.netstate.rules import Jump as Jump
from fabric.netstate.rules import Rule as Rule
from fabric.netstate.rules import Table as Table

IPNetwork = IPv4Network | IPv6Network
IPInterface = IPv4Interface | IPv6Interface

MAIN_TABLE = 254
IPV6_METRIC = 1024
"""What Linux makes of metric 0 in IPv6; a Route says 0."""


@dataclass(frozen=True, slots=True)
class LinkUp:
    """A device that exists by another's doing (`lo`, the far end of a veth) is raised."""

    dev: str

    @property
    def key(self) -> Hashable:
        return ("up", self.dev)

    def __str__(self) -> str:
        return f"link {self.dev} up"


@dataclass(frozen=True, slots=True)
class LinkMtu:
    """The MTU of a device that exists by another's doing; no longer wanted, it stays as it is."""

    dev: str
    mtu: int

    @property
    def key(self) -> Hashable:
        return ("mtu", self.dev)

    def __str__(self) -> str:
        return f"link {self.dev} mtu {self.mtu}"


@dataclass(frozen=True, slots=True)
class LinkMac:
    """The MAC of a device that exists by another's doing; no longer wanted, it stays as it is."""

    dev: str
    mac: str

    @property
    def key(self) -> Hashable:
        return ("mac", self.dev)

    def __str__(self) -> str:
        return f"link {self.dev} address {self.mac}"


@dataclass(frozen=True, slots=True)
class Address:
    """An address of a device, with its prefix length."""

    address: IPInterface
    dev: str

    @property
    def key(self) -> Hashable:
        return ("address", self.address, self.dev)

    def __str__(self) -> str:
        return f"address {self.address} dev {self.dev}"


@dataclass(frozen=True, slots=True)
class NextHop:
    """A next hop is one leg of a multipath route."""

    via: IPAddress | None
    dev: str
    weight: int = 1
    onlink: bool = False

    def __str__(self) -> str:
        via = f" via {self.via}" if self.via else ""
        return f"nexthop{via} dev {self.dev} weight {self.weight}{' onlink' * self.onlink}"


@dataclass(frozen=True, slots=True)
class Route:
    """A route; `type` unicast needs a device, a next hop or next hops; blackhole and others need none."""

    dst: IPNetwork
    via: IPAddress | None = None
    dev: str | None = None
    onlink: bool = False
    src: IPAddress | None = None
    scope: Literal["global", "link", "host"] = "global"
    metric: int = 0
    table: int = MAIN_TABLE
    proto: int = 3
    """rtm_protocol: 2 kernel, 3 boot, 4 static, 12 bird, 80 Calico's."""
    type: Literal["unicast", "blackhole", "unreachable", "prohibit"] = "unicast"
    next_hops: tuple[NextHop, ...] = ()

    def __post_init__(self) -> None:
        """Write what Linux keeps: IPv6 has no scopes, calls metric 0 1024, and one leg is a plain route."""
        if self.dst.version == 6:
            object.__setattr__(self, "scope", "global")
            object.__setattr__(self, "metric", 0 if self.metric == IPV6_METRIC else self.metric)
        if len(self.next_hops) == 1:
            hop = self.next_hops[0]
            for name, value in (
                ("via", hop.via),
                ("dev", hop.dev),
                ("onlink", hop.onlink),
                ("next_hops", ()),
            ):
                object.__setattr__(self, name, value)

    @property
    def key(self) -> Hashable:
        return ("route", self.dst, self.table, self.metric)

    def __str__(self) -> str:
        kind = "" if self.type == "unicast" else f"{self.type} "
        dst = "default" if self.dst.prefixlen == 0 else str(self.dst)
        via = f" via {self.via}" if self.via else ""
        dev = f" dev {self.dev}" if self.dev else ""
        proto = "" if self.proto == 3 else f" proto {self.proto}"
        scope = "" if self.scope == "global" else f" scope {self.scope}"
        src = f" src {self.src}" if self.src else ""
        metric = f" metric {self.metric}" if self.metric else ""
        table = "" if self.table == MAIN_TABLE else f" table {self.table}"
        hops = "".join(f" {hop}" for hop in self.next_hops)
        return f"route {kind}{dst}{via}{dev}{proto}{scope}{src}{metric}{table}{hops}{' onlink' * self.onlink}"


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A permanent ARP or ND entry."""

    address: IPAddress
    mac: str
    dev: str

    @property
    def key(self) -> Hashable:
        return ("neigh", self.address, self.dev)

    def __str__(self) -> str:
        return f"neigh {self.address} lladdr {self.mac} dev {self.dev}"


@dataclass(frozen=True, slots=True)
class FdbEntry:
    """A permanent `self` entry of a VXLAN device: frames for `mac` go to the tunnel end `dst`."""

    mac: str
    dst: IPAddress
    dev: str

    @property
    def key(self) -> Hashable:
        return ("fdb", self.mac, self.dev)

    def __str__(self) -> str:
        return f"fdb {self.mac} dst {self.dst} dev {self.dev}"


@dataclass(frozen=True, slots=True)
class Sysctl:
    """A sysctl of the namespace, by its path below /proc/sys (`net/ipv4/ip_forward`)."""

    path: str
    value: str

    @property
    def key(self) -> Hashable:
        return ("sysctl", self.path)

    def __str__(self) -> str:
        return f"sysctl {self.path}={self.value}"


Setting = Sysctl | LinkMtu | LinkMac
"""What always has a value: Linux cannot delete one, so that the last stays."""
NetObject = (
    Link
    | LinkUp
    | LinkMtu
    | LinkMac
    | Address
    | Route
    | Neighbor
    | FdbEntry
    | Qdisc
    | Sysctl
    | IpSet
    | Chain
    | Jump
)
NetState = frozenset[NetObject]
"""Everything that one owner has, or wants, in one network namespace."""


def device_names(obj: NetObject) -> frozenset[str]:
    """Return the devices without which `obj` cannot be; a rule or a set needs none."""
    match obj:
        case Vxlan():
            return frozenset((obj.name, obj.parent))
        case Bridge() | Veth() | Ipip() | Tun():
            return frozenset((obj.name,))
        case LinkUp() | LinkMtu() | LinkMac() | Address() | Neighbor() | FdbEntry() | Qdisc():
            return frozenset((obj.dev,))
        case Route():
            return frozenset((obj.dev,) if obj.dev else ()) | {hop.dev for hop in obj.next_hops}
        case Sysctl():
            _, _, group, name, *setting = [*obj.path.split("/"), "", "", ""]
            per_device = group in ("conf", "neigh") and any(setting) and name not in ("all", "default")
            return frozenset((name,)) if per_device else frozenset()
    return frozenset()


def settings_of(link: Link) -> tuple[LinkMtu | LinkMac, ...]:
    """Return the MTU of a device, and its MAC where it has one, as objects of their own."""
    mac = None if isinstance(link, Ipip | Tun) else link.mac
    return (LinkMtu(link.name, link.mtu), *((LinkMac(link.name, mac),) if mac else ()))
