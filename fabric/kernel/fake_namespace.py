"""A namespace of the fake kernel: objects, and what Linux changes by itself when one of them changes.

A device takes along what hangs on it, and the far end of a pair; a lowered one loses its routes, neighbours
and IPv6 addresses; an address takes the routes from it; a bridge without a MAC of its own has its lowest
port's. Rules are taken whole, by `fake`.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from dataclasses import replace

from fabric.kernel import strictness
from fabric.kernel.fake_objects import Objects
from fabric.kernel.fake_rules import BuiltInChains
from fabric.netstate.objects import (
    Address,
    Bridge,
    Ipip,
    IpSet,
    Jump,
    Link,
    LinkMac,
    LinkMtu,
    LinkUp,
    Neighbor,
    NetObject,
    NetState,
    Route,
    Setting,
    Sysctl,
    Tun,
    Veth,
    Vxlan,
    device_names,
    settings_of,
)

_NO_MAC = "00:00:00:00:00:00"


class FakeNamespace:
    """The objects of one namespace; `spaces` are all of the kernel, by name."""

    def __init__(self, name: str, spaces: MutableMapping[str, FakeNamespace]) -> None:
        self._name = name
        self._spaces = spaces
        self.objects = Objects()
        self.hooks = BuiltInChains()
        self._loopback: list[LinkMtu | LinkMac] = [
            LinkMtu("lo", 65536),
            LinkMac("lo", _NO_MAC),
        ]
        self._macs_kept: set[str] = set()
        """Bridges whose MAC was set, and does not follow their ports any more."""

    @property
    def visible(self) -> NetState:
        """The state as it is read: without what counts as absent, and hooks where they stand."""
        return frozenset(self._seen(self.objects))

    def read(self, kinds: Iterable[type]) -> Iterator[NetObject]:
        """Yield what is visible of these kinds."""
        for kind in kinds:
            yield from self._seen(self.objects.of_kind(kind))
        if not {LinkMtu, LinkMac}.isdisjoint(kinds):
            yield from self.settings

    def _seen(self, objects: Iterable[NetObject]) -> Iterator[NetObject]:
        for obj in objects:
            if not (isinstance(obj, Ipip) and obj.is_absent):
                yield self.hooks.seen(obj) if isinstance(obj, Jump) else obj

    @property
    def settings(self) -> frozenset[Setting]:
        """The MTU and the MAC of every device."""
        found = [it for obj in self.objects if isinstance(obj, Link) for it in settings_of(obj)]
        return frozenset((*self._loopback, *found))

    def drop_device(self, name: str) -> None:
        """Remove a device and all that hangs on it; both ends of a veth."""
        link = self.objects.drop(("link", name))
        for obj in self.objects.on_device(name):
            if isinstance(obj, Vxlan) and obj.parent == name:
                self.drop_device(obj.name)
            elif name in device_names(obj):
                self.objects.drop(obj.key)
            elif isinstance(obj, Veth) and obj.master == name:
                self.objects.put(replace(obj, master=None, hairpin=False))
        self._macs_kept.discard(name)
        if isinstance(link, Veth):
            self._follow_ports(link.master)
            peer_space = self._spaces.get(link.peer_ns)
            if peer_space is not None and peer_space.objects.link(link.peer) is not None:
                peer_space.drop_device(link.peer)

    def put(self, obj: NetObject) -> None:
        strictness.check(obj, self.objects)
        if isinstance(obj, Link):
            self._put_link(obj)
            return
        if isinstance(obj, LinkMtu | LinkMac):
            self._set(obj)
            return
        if isinstance(obj, Route) and obj.via and not obj.dev:
            obj = replace(obj, dev=strictness.device_towards(obj.via, None, self.objects))
        if isinstance(obj, IpSet):
            self._check_set_change(obj)
        self.objects.put(obj)
        if isinstance(obj, LinkUp):
            self._set_up(obj.dev, True)

    def _set(self, wanted: LinkMtu | LinkMac) -> None:
        link = self.objects.link(wanted.dev)
        match link, wanted:
            case Bridge() | Veth() | Vxlan(), LinkMac(mac=mac):
                self._put_link(replace(link, mac=mac))
            case Bridge() | Veth() | Vxlan(), LinkMtu(mtu=mtu):
                self._put_link(replace(link, mtu=mtu, mac=None))
            case Ipip() | Tun(), LinkMtu(mtu=mtu):
                self._put_link(replace(link, mtu=mtu))
            case _:
                self._loopback = [wanted if it.key == wanted.key else it for it in self._loopback]

    def _check_set_change(self, obj: IpSet) -> None:
        old = self.objects.get(obj.key)
        other = isinstance(old, IpSet) and (old.type, old.family) != (obj.type, obj.family)
        if other and self.objects.referring_to(obj.key):
            strictness.refuse(errno.EBUSY)

    def _put_link(self, link: Link) -> None:
        old, wanted = self.objects.link(link.name), link
        if isinstance(link, Veth):
            if isinstance(old, Veth) and (link.peer, link.peer_ns) != (old.peer, old.peer_ns):
                strictness.refuse(errno.EEXIST)
            if old is None:
                self._put_peer(link)
        if isinstance(link, Vxlan):
            link = self._fit_tunnel(link, old)
        if isinstance(link, Bridge) and link.mac is not None:
            self._macs_kept.add(link.name)
        if not isinstance(link, Ipip | Tun):
            link = self._with_mac(link, old)
        self.objects.put(link)
        if link.up or (old is not None and old.up):
            self._set_up(link.name, link.up)
        if isinstance(link, Veth):
            for bridge in {link.master, old.master if isinstance(old, Veth) else None}:
                self._follow_ports(bridge)
        if isinstance(link, Vxlan) and link.mtu != wanted.mtu and isinstance(old, Vxlan):
            strictness.refuse(errno.EINVAL)

    def _with_mac(self, link: Bridge | Veth | Vxlan, old: Link | None) -> Bridge | Veth | Vxlan:
        old_mac = getattr(old, "mac", None)
        link = replace(link, mac=link.mac or old_mac or _mac(self._name, link.name))
        if old_mac not in (None, link.mac):
            self._drop(link.name, lambda o: isinstance(o, Neighbor))
        return link

    def _follow_ports(self, name: str | None) -> None:
        """Give a bridge whose MAC was never set the lowest of its ports', or none without ports."""
        bridge = self.objects.link(name) if name and name not in self._macs_kept else None
        if isinstance(bridge, Bridge):
            ports = [it for it in self.objects.on_device(bridge.name) if isinstance(it, Veth)]
            mac = min((it.mac for it in ports if it.master == name and it.mac), default=_NO_MAC)
            self.objects.put(self._with_mac(replace(bridge, mac=mac), bridge))

    def _fit_tunnel(self, link: Vxlan, old: NetObject | None) -> Vxlan:
        """A tunnel is no larger than its parent allows: made so it shrinks, changed it stays as it was."""
        parent = self.objects.link(link.parent)
        overhead = 50 if link.local.version == 4 else 70
        largest = parent.mtu - overhead if parent is not None else link.mtu
        if link.mtu > largest and isinstance(old, Vxlan) and old.mtu != link.mtu:
            return replace(link, mtu=old.mtu)
        return replace(link, mtu=min(link.mtu, largest))

    def _put_peer(self, link: Veth) -> None:
        if link.peer_ns not in self._spaces:
            strictness.refuse(errno.ESRCH)
        there = self._spaces[link.peer_ns].objects
        if there.link(link.peer) is not None or link.peer == "lo":
            strictness.refuse(errno.EEXIST)
        mac = link.peer_mac or _mac(link.peer_ns, link.peer)
        there.put(Veth(link.peer, link.name, self._name, link.mtu, mac, up=False))

    def delete(self, obj: NetObject) -> None:
        match obj:
            case Bridge() | Veth() | Vxlan() | Ipip() | Tun():
                if obj.key in self.objects:
                    self.drop_device(obj.name)
            case LinkUp(dev=dev):
                self._set_up(dev, False)
            case Sysctl() | LinkMtu() | LinkMac():
                pass
            case IpSet():
                if self.objects.referring_to(obj.key):
                    strictness.refuse(errno.EBUSY)
                self.objects.drop(obj.key)
            case Address():
                self.objects.drop(obj.key)
                self._drop_routes_of(obj)
            case _:
                self.objects.drop(obj.key)

    def _drop_routes_of(self, gone: Address) -> None:
        version = gone.address.version
        addresses = self.objects.of_kind(Address)
        last = not any(o.dev == gone.dev and o.address.version == version for o in addresses)
        foreign = not any(o.address.ip == gone.address.ip for o in addresses)
        for route in self.objects.of_kind(Route):
            flushed = last and version == 4 and gone.dev in device_names(route)
            if route.dst.version == version and (flushed or (foreign and route.src == gone.address.ip)):
                self.objects.drop(route.key)
        if last and version == 4:
            self._drop(gone.dev, lambda o: isinstance(o, Neighbor) and o.address.version == 4)

    def _set_up(self, dev: str, up: bool) -> None:
        link = self.objects.link(dev)
        if link is not None:
            self.objects.put(replace(link, up=up))
        if up and (link is None or isinstance(link, Veth)):
            self.objects.put(LinkUp(dev))
        if not up:
            self.objects.drop(LinkUp(dev).key)
            self._drop(dev, lambda o: isinstance(o, Route | Neighbor) or _is_ipv6_address(o))

    def _drop(self, dev: str, which: Callable[[NetObject], bool]) -> None:
        for obj in self.objects.on_device(dev):
            if which(obj) and dev in device_names(obj):
                self.objects.drop(obj.key)


def _is_ipv6_address(obj: NetObject) -> bool:
    return isinstance(obj, Address) and obj.address.version == 6


def _mac(namespace: str, device: str) -> str:
    """Return a MAC as Linux would choose one: unicast, locally administered; the same each time here."""
    digest = hashlib.blake2b(f"{namespace}/{device}".encode(), digest_size=5).digest()
    return "02:" + digest.hex(":")
