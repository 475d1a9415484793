"""Routes of a namespace as Linux looks them up: own addresses first, then the longest prefix, then metrics.

A route of several next hops takes its first one. There are no rules of `ip rule` here: a mark leads nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

from fabric.netstate.objects import (
    MAIN_TABLE,
    Address,
    Bridge,
    Ipip,
    NetObject,
    Route,
    Sysctl,
    Tun,
    Veth,
    Vxlan,
)
from fabric.netstate.rules import Family

Type = Literal["local", "broadcast", "multicast", "unicast", "blackhole", "unreachable", "prohibit"]
_BITS: dict[Family, int] = {4: 32, 6: 128}
_IPV6_CONNECTED_METRIC = 256
_HEARD = {
    4: (int(ip_address("224.0.0.1")),),
    6: (int(ip_address("ff02::1")), int(ip_address("ff02::2"))),
}
_SOLICITED = int(ip_address("ff02::1:ff00:0")) >> 24
_LOOPBACK: dict[Family, tuple[int, int]] = {4: (127 << 24, 8), 6: (1, 128)}


@dataclass(frozen=True, slots=True)
class Found:
    """The route that an address has: its type, its devices and the next hop over the first of them."""

    type: Type
    devices: tuple[str, ...] = ()
    via: int | None = None
    metric: int = 0
    source: int | None = None

    @property
    def device(self) -> str:
        return self.devices[0] if self.devices else ""


class Routing:
    """The routes, addresses and settings of a namespace."""

    def __init__(self, objects: Iterable[NetObject] = ()) -> None:
        there = list(objects)
        lowered = {
            it.name for it in there if isinstance(it, Bridge | Veth | Vxlan | Ipip | Tun) and not it.up
        }
        self._settings = {it.path: it.value for it in there if isinstance(it, Sysctl)}
        self._addresses = [it for it in there if isinstance(it, Address) and it.dev not in lowered]
        self._routes: dict[Family, dict[int, dict[int, Found]]] = {4: {}, 6: {}}
        for family, (network, length) in _LOOPBACK.items():
            self._put(family, network, length, Found("local", ("lo",)))
        for address in self._addresses:
            self._put_address(address)
        for route in there:
            if isinstance(route, Route) and route.table == MAIN_TABLE:
                self._put_route(route)
        self._lengths = {family: sorted(found, reverse=True) for family, found in self._routes.items()}

    def lookup(self, family: Family, address: int) -> Found | None:
        """Return the route to an address; None when there is none."""
        if is_multicast(family, address):
            return Found("multicast")
        if family == 4 and address == 2**32 - 1:
            return Found("broadcast")
        bits = _BITS[family]
        for length in self._lengths[family]:
            found = self._routes[family][length].get(address >> (bits - length))
            if found is not None:
                return found
        return None

    def is_heard(self, family: Family, address: int) -> bool:
        """True for the multicast groups that every host is in."""
        return address in _HEARD[family] or (family == 6 and address >> 24 == _SOLICITED)

    def types(self, family: Family, address: int, device: str = "") -> frozenset[str]:
        """Return what `addrtype` says of an address; with a device, as far as its route is over that."""
        if family == 4 and address >> 24 == 0:
            return frozenset({"BROADCAST"})
        found = self.lookup(family, address)
        if family == 4:
            is_special = found is not None and found.type in ("local", "broadcast", "multicast")
            counts = found is not None and (not device or not found.devices or device == found.device)
            return frozenset({found.type.upper() if found and is_special and counts else "UNICAST"})
        if is_multicast(6, address):
            return frozenset({"MULTICAST"})
        if found is None or (device and device not in found.devices):
            return frozenset({"UNICAST", "UNREACHABLE"})
        return frozenset({"UNICAST", *(("LOCAL",) if found.type == "local" else ())})

    def source_over(self, family: Family, device: str, towards: int) -> int | None:
        """Return the address that the namespace itself sends from over a device, as MASQUERADE takes it."""
        own = [it for it in self._addresses if it.address.version == family]
        there = [it for it in own if it.dev == device and not it.address.is_link_local]
        for it in there:
            if ip_address(towards) in it.address.network if family == 4 else False:
                return int(it.address.ip)
        if family == 6:
            there.sort(key=lambda it: -_common_bits(int(it.address.ip), towards))
        others = [it for it in own if not (it.address.is_loopback or it.address.is_link_local)]
        return next((int(it.address.ip) for it in (*there, *others)), None)

    def is_reverse_path(
        self, family: Family, source: int, device: str, *, is_loose: bool = False, takes_local: bool = False
    ) -> bool:
        """True when answers to an address would leave over the device, or anywhere where that is enough."""
        found = self.lookup(family, source)
        if found is None or not (found.type == "unicast" or (takes_local and found.type == "local")):
            return False
        return is_loose or device in found.devices

    def setting(self, family: Family, name: str, device: str) -> int | None:
        """Return the larger of a sysctl's values for all devices and for one; None when nobody set it."""
        paths = (f"net/ipv{family}/conf/{scope}/{name}" for scope in ("all", device))
        return max((int(self._settings[path]) for path in paths if path in self._settings), default=None)

    def forwards(self, family: Family, device: str) -> bool:
        """True unless forwarding is off for what comes in at the device."""
        scopes = (device, "all") if family == 4 else ("all",)
        paths = [f"net/ipv{family}/conf/{scope}/forwarding" for scope in scopes] + ["net/ipv4/ip_forward"]
        found = [
            self._settings[path] for path in paths[: len(scopes) + (family == 4)] if path in self._settings
        ]
        return not found or found[0] != "0"

    def _put_address(self, it: Address) -> None:
        family: Family = 4 if it.address.version == 4 else 6
        network, bits = it.address.network, _BITS[family]
        self._put(family, int(it.address.ip), bits, Found("local", (it.dev,)))
        if family == 4 and network.prefixlen < bits - 1:
            self._put(family, int(network.broadcast_address), bits, Found("broadcast", (it.dev,)))
        if network.prefixlen < bits:
            metric = 0 if family == 4 else _IPV6_CONNECTED_METRIC
            connected = Found("unicast", (it.dev,), None, metric, int(it.address.ip))
            self._put(family, int(network.network_address), network.prefixlen, connected)

    def _put_route(self, it: Route) -> None:
        family: Family = 4 if it.dst.version == 4 else 6
        legs = it.next_hops or (it,)
        devices = tuple(leg.dev for leg in legs if leg.dev)
        via = int(legs[0].via) if legs[0].via is not None else None
        metric = it.metric or (1024 if family == 6 else 0)
        source = int(it.src) if it.src is not None else None
        found = Found(it.type, devices, via, metric, source)
        self._put(family, int(it.dst.network_address), it.dst.prefixlen, found)

    def _put(self, family: Family, network: int, length: int, it: Found) -> None:
        """Keep a route where none is better; an own address is better than all."""
        there = self._routes[family].setdefault(length, {})
        key = network >> (_BITS[family] - length)
        old = there.get(key)
        if old is None or (old.type not in ("local", "broadcast") and it.metric < old.metric):
            there[key] = it


def is_multicast(family: Family, address: int) -> bool:
    return address >> 28 == 0xE if family == 4 else address >> 120 == 0xFF


def _common_bits(a: int, b: int) -> int:
    return 128 - (a ^ b).bit_length()
