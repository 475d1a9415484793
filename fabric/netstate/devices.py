"""The devices that fabric makes, as frozen values: one line of `ip link` each.

`fabric.netstate.objects` names them all; they stand here because each is a device of its own, while all else
hangs on one.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

IPAddress = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Bridge:
    """A Linux bridge without VLAN filtering."""

    name: str
    mtu: int = 1500
    mac: str | None = None
    """None leaves the kernel's choice, and matches any MAC that is read back."""
    up: bool = True

    @property
    def key(self) -> Hashable:
        return ("link", self.name)

    def __str__(self) -> str:
        return f"link {self.name} type bridge mtu {self.mtu}{_mac(self.mac)}{_up(self.up)}"


@dataclass(frozen=True, slots=True)
class Veth:
    """A veth pair: this end here, the other end in namespace `peer_ns`, both made in one message.

    The peer's end gets the same MTU when the pair is made. From then on it belongs to its own namespace: a
    `LinkUp` there raises it, `LinkMtu` and `LinkMac` keep its MTU and MAC.
    """

    name: str
    peer: str
    peer_ns: str
    mtu: int = 1500
    mac: str | None = None
    peer_mac: str | None = field(default=None, compare=False)
    """The MAC of the other end when the pair is made; None leaves the kernel's choice."""
    master: str | None = None
    hairpin: bool = False
    up: bool = True

    @property
    def key(self) -> Hashable:
        return ("link", self.name)

    def __str__(self) -> str:
        master = f" master {self.master}" if self.master else ""
        peer = f" peer {self.peer} netns {self.peer_ns}{_mac(self.peer_mac)}"
        return (
            f"link {self.name} type veth mtu {self.mtu}{_mac(self.mac)}{peer}{master}"
            f"{' hairpin on' * self.hairpin}{_up(self.up)}"
        )


@dataclass(frozen=True, slots=True)
class Vxlan:
    """A VXLAN tunnel end whose peers are static: FDB entries and neighbours, no learning."""

    name: str
    vni: int
    parent: str
    local: IPAddress
    port: int = 8472
    mtu: int = 1450
    mac: str | None = None
    learning: bool = False
    gbp: bool = False
    up: bool = True
    qlen: int | None = field(default=None, compare=False)
    """Packets that a queue of the device holds, given when it is made; None leaves Linux' 1000."""

    @property
    def key(self) -> Hashable:
        return ("link", self.name)

    def __str__(self) -> str:
        learning = "" if self.learning else " nolearning"
        return (
            f"link {self.name} type vxlan id {self.vni} local {self.local} dev {self.parent} "
            f"dstport {self.port}{learning}{' gbp' * self.gbp} mtu {self.mtu}{_mac(self.mac)}{_up(self.up)}"
        )


@dataclass(frozen=True, slots=True)
class Ipip:
    """Linux' tunnel of IPv4 in IPv4: a packet goes out as it is behind another header, with its TTL and DF.

    Without ends it takes every packet of protocol 4 that no other tunnel takes, and a route's gateway says
    where a packet goes. Where the driver is loaded, every namespace has it already, lowered, as `tunl0`:
    Linux neither makes a second nor deletes it. So adding it raises it, deleting it lowers it and takes its
    addresses, and one that is lowered counts as absent.
    """

    name: str = "tunl0"
    mtu: int = 1480
    local: IPAddress | None = None
    remote: IPAddress | None = None
    up: bool = True

    @property
    def key(self) -> Hashable:
        return ("link", self.name)

    @property
    def is_open(self) -> bool:
        """True without ends: a namespace has at most one such."""
        return self.local is None and self.remote is None

    @property
    def is_absent(self) -> bool:
        """True for what counts as no device: the driver's own before anybody raised it."""
        return self.is_open and not self.up

    def __str__(self) -> str:
        ends = f"local {self.local or 'any'} remote {self.remote or 'any'}"
        return f"link {self.name} type ipip {ends} mtu {self.mtu}{_up(self.up)}"


@dataclass(frozen=True, slots=True)
class Tun:
    """A device whose packets a program carries; it stays when that program ends, and has no carrier then."""

    name: str
    mtu: int = 1500
    up: bool = True

    @property
    def key(self) -> Hashable:
        return ("link", self.name)

    def __str__(self) -> str:
        return f"link {self.name} type tun mtu {self.mtu}{_up(self.up)}"


Link = Bridge | Veth | Vxlan | Ipip | Tun


def _mac(mac: str | None) -> str:
    return f" address {mac}" if mac else ""


def _up(up: bool) -> str:
    return " up" if up else ""
