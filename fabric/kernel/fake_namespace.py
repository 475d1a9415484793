"""A namespace of the fake kernel: objects, and what Linux changes by itself when one of them changes.

A device takes along what hangs on it, and the far end of a pair; a lowered one loses its routes, neighbours
and IPv6 addresses; an address takes the routes from it. Rules are taken whole, by `fake`.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Hashable, MutableMapping
from dataclasses import replace

from fabric.kernel import strictness
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


class FakeNamespace:
    """The objects of one namespace; `spaces` are all of the kernel, by name."""

    def __init__(self, name: str, spaces: MutableMapping[str, FakeNamespace]) -> None:
        self._name = name
        self._spaces = spaces
        self.objects: dict[Hashable, NetObject] = {}
        self.hooks = BuiltInChains()
        self._loopback: list[LinkMtu | LinkMac] = [
            LinkMtu("lo", 65536),
            LinkMac("lo", "00:00:00:00:00:00"),
        ]

    @property
    def state(self) -> NetState:
        return frozenset(self.objects.values())

    @property
    def visible(self) -> NetState:
        """The state as it is read: without what counts as absent, and hooks where they stand."""
        return frozenset(
            self.hooks.seen(obj) if isinstance(obj, Jump) else obj
            for obj in self.objects.values()
            if not (isinstance(obj, Ipip) and obj.is_absent)
        )

    @property
    def settings(self) -> frozenset[Setting]:
        """The MTU and the MAC of every device."""
        found = [it for obj in self.objects.values() if isinstance(obj, Link) for it in settings_of(obj)]
        return frozenset((*self._loopback, *found))

    def drop_device(self, name: str) -> None:
        """Remove a device and all that hangs on it; both ends of a veth."""
        link = self.objects.pop(("link", name), None)
        for obj in list(self.objects.values()):
            if isinstance(obj, Vxlan) and obj.parent == name:
                self.drop_device(obj.name)
            elif name in device_names(obj):
                self.objects.pop(obj.key, None)
            elif isinstance(obj, Veth) and obj.master == name:
                self.objects[obj.key] = replace(obj, master=None, hairpin=False)
        if isinstance(link, Veth) and link.peer_ns in self._spaces:
            peer_space = self._spaces[link.peer_ns]
            if ("link", link.peer) in peer_space.objects:
                peer_space.drop_device(link.peer)

    def put(self, obj: NetObject) -> None:
        strictness.check(obj, self.state)
        if isinstance(obj, Link):
            self._put_link(obj)
            return
        if isinstance(obj, LinkMtu | LinkMac):
            self._set(obj)
            return
        if isinstance(obj, Route) and obj.via and not obj.dev:
            obj = replace(obj, dev=strictness.device_towards(obj.via, None, list(self.state)))
        if isinstance(obj, IpSet):
            self._check_set_change(obj)
        self.objects[obj.key] = obj
        if isinstance(obj, LinkUp):
            self._set_up(obj.dev, True)

    def _set(self, wanted: LinkMtu | LinkMac) -> None:
        link = self.objects.get(("link", wanted.dev))
        match link, wanted:
            case Bridge() | Veth() | Vxlan(), LinkMac(mac=mac):
                self._put_link(replace(link, mac=mac))
            case Bridge() | Veth() | Vxlan() | Ipip() | Tun(), LinkMtu(mtu=mtu):
                self._put_link(replace(link, mtu=mtu))
            case _:
                self._loopback = [wanted if it.key == wanted.key else it for it in self._loopback]

    def _check_set_change(self, obj: IpSet) -> None:
        old = self.objects.get(obj.key)
        other = isinstance(old, IpSet) and (old.type, old.family) != (obj.type, obj.family)
        if other and strictness.is_named(obj.name, self.state):
            strictness.refuse(errno.EBUSY)

    def _put_link(self, link: Link) -> None:
        old, wanted = self.objects.get(link.key), link
        if isinstance(link, Veth):
            if isinstance(old, Veth) and (link.peer, link.peer_ns) != (old.peer, old.peer_ns):
                strictness.refuse(errno.EEXIST)
            if old is None:
                self._put_peer(link)
        if isinstance(link, Vxlan):
            link = self._fit_tunnel(link, old)
        if not isinstance(link, Ipip | Tun):
            link = self._with_mac(link, old)
        was_up = old is not None and strictness.is_up(link.name, (old,))
        self.objects[link.key] = link
        if link.up or was_up:
            self._set_up(link.name, link.up)
        if isinstance(link, Vxlan) and link.mtu != wanted.mtu and isinstance(old, Vxlan):
            strictness.refuse(errno.EINVAL)

    def _with_mac(self, link: Bridge | Veth | Vxlan, old: NetObject | None) -> Link:
        old_mac = getattr(old, "mac", None)
        link = replace(link, mac=link.mac or old_mac or _mac(self._name, link.name))
        if old_mac not in (None, link.mac):
            self._drop(link.name, lambda o: isinstance(o, Neighbor))
        return link

    def _fit_tunnel(self, link: Vxlan, old: NetObject | None) -> Vxlan:
        """A tunnel is no larger than its parent allows: made so it shrinks, changed it stays as it was."""
        parent = self.objects.get(("link", link.parent))
        overhead = 50 if link.local.version == 4 else 70
        largest = parent.mtu - overhead if isinstance(parent, Link) else link.mtu
        if link.mtu > largest and isinstance(old, Vxlan) and old.mtu != link.mtu:
            return replace(link, mtu=old.mtu)
        return replace(link, mtu=min(link.mtu, largest))

    def _put_peer(self, link: Veth) -> None:
        if link.peer_ns not in self._spaces:
            strictness.refuse(errno.ESRCH)
        there = self._spaces[link.peer_ns]
        if ("link", link.peer) in there.objects or link.peer == "lo":
            strictness.refuse(errno.EEXIST)
        end = Veth(
            name=link.peer,
            peer=link.name,
            peer_ns=self._name,
            mtu=link.mtu,
            mac=link.peer_mac or _mac(link.peer_ns, link.peer),
            up=False,
        )
        there.objects[end.key] = end

    def delete(self, obj: NetObject) -> None:
        match obj:
            case Bridge() | Veth() | Vxlan() | Ipip() | Tun():
                if obj.key in self.objects:
                    self.drop_device(obj.name)
            case LinkUp(dev=dev):
                self._set_up(dev, False)
            case Sysctl() | LinkMtu() | LinkMac():
                pass
            case IpSet(name=name):
                if strictness.is_named(name, self.state - {obj}):
                    strictness.refuse(errno.EBUSY)
                self.objects.pop(obj.key, None)
            case Address():
                self.objects.pop(obj.key, None)
                self._drop_routes_of(obj)
            case _:
                self.objects.pop(obj.key, None)

    def _drop_routes_of(self, gone: Address) -> None:
        version = gone.address.version
        addresses = [o for o in self.state if isinstance(o, Address)]
        last = not any(o.dev == gone.dev and o.address.version == version for o in addresses)
        foreign = not any(o.address.ip == gone.address.ip for o in addresses)
        for obj in self.state:
            match obj:
                case Route(src=src) if obj.dst.version == version:
                    flushed = last and version == 4 and gone.dev in device_names(obj)
                    lost = flushed or (foreign and src == gone.address.ip)
                case Neighbor(dev=dev):
                    lost = last and version == obj.address.version == 4 and dev == gone.dev
                case _:
                    continue
            if lost:
                self.objects.pop(obj.key, None)

    def _set_up(self, dev: str, up: bool) -> None:
        link = self.objects.get(("link", dev))
        if isinstance(link, Link):
            self.objects[link.key] = replace(link, up=up)
        if up and (link is None or isinstance(link, Veth)):
            self.objects["up", dev] = LinkUp(dev)
        if not up:
            self.objects.pop(("up", dev), None)
            self._drop(dev, lambda o: isinstance(o, Route | Neighbor) or _is_ipv6_address(o))

    def _drop(self, dev: str, which: Callable[[NetObject], bool]) -> None:
        for obj in self.state:
            if dev in device_names(obj) and which(obj):
                self.objects.pop(obj.key, None)


def _is_ipv6_address(obj: NetObject) -> bool:
    return isinstance(obj, Address) and obj.address.version == 6


def _mac(namespace: str, device: str) -> str:
    """Return a MAC as Linux would choose one: unicast, locally administered; the same each time here."""
    digest = hashlib.blake2b(f"{namespace}/{device}".encode(), digest_size=5).digest()
    return "02:" + digest.hex(":")
