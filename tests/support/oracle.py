"""What a network namespace holds, as pyroute2 reads it: a second opinion on fabric's own netlink.

Nothing of fabric.kernel but entering the namespace is used here: the messages are asked for, and every
number in them is told, by pyroute2's own tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_interface, ip_network
from socket import AF_BRIDGE, AF_INET, AF_INET6
from types import TracebackType
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.rtnl import ndmsg, rt_proto, rt_scope, rt_type
from pyroute2.netlink.rtnl.ifinfmsg import IFF_UP

from fabric.kernel.namespaces import inside
from fabric.netstate.objects import (
    Address,
    Bridge,
    FdbEntry,
    IPAddress,
    Ipip,
    LinkMac,
    LinkMtu,
    LinkUp,
    Neighbor,
    NetObject,
    NetState,
    NextHop,
    Route,
    Tun,
    Veth,
    Vxlan,
)

KINDS: frozenset[type] = frozenset(
    (Bridge, Veth, Vxlan, Ipip, Tun, LinkUp, LinkMtu, LinkMac, Address, Route, Neighbor, FdbEntry)
)
"""What a namespace tells by netlink; sets, rules and sysctls have other doors."""
ARPHRD_ETHER, ARPHRD_LOOPBACK = 1, 772
IFF_TUN, RTNH_F_ONLINK, RTM_F_CLONED, TABLE_LOCAL, METRIC_IPV6 = 1, 4, 0x200, 255, 1024
Message = Any


class Oracle:
    """An open IPRoute in each of some namespaces; not to be used where an event loop runs."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._sockets: dict[str, IPRoute] = {}
        for name, pid in pids.items():
            with inside(pid):
                self._sockets[name] = IPRoute()

    def __enter__(self) -> Oracle:
        return self

    def __exit__(
        self, type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for socket in self._sockets.values():
            socket.close()

    def socket(self, name: str) -> IPRoute:
        """The IPRoute of that namespace, for what NetState has no words for."""
        return self._sockets[name]

    def read(self, name: str) -> NetState:
        """Return what `LinuxKernel` promises to read there of KINDS, for an owner of everything."""
        links = {link["index"]: link for link in self._sockets[name].get_links()}
        names = {index: link.get("ifname") for index, link in links.items()}
        return frozenset(
            (
                *self._links(name, links, names),
                *self._addresses(name, names),
                *self._routes(name, names),
                *self._neighbors(name, names),
                *self._entries(name, links, names),
            )
        )

    def _links(
        self, name: str, links: Mapping[int, Message], names: Mapping[int, str]
    ) -> Iterator[NetObject]:
        for link in links.values():
            device, up = link.get("ifname"), bool(link["flags"] & IFF_UP)
            mtu, mac = link.get("mtu"), link.get("address")
            data = link.get(("linkinfo", "data"))
            yield LinkMtu(device, mtu)
            if link["ifi_type"] in (ARPHRD_ETHER, ARPHRD_LOOPBACK):
                yield LinkMac(device, mac)
            match link.get(("linkinfo", "kind")):
                case "bridge":
                    yield Bridge(device, mtu, mac, up)
                    continue
                case "vxlan":
                    yield _vxlan(device, mtu, mac, up, data, names)
                    continue
                case "ipip":
                    yield from _ipip(device, mtu, up, data)
                    continue
                case "tun":
                    if data.get("tun_type") == IFF_TUN and data.get("tun_persist"):
                        yield Tun(device, mtu, up)
                    continue
                case "veth":
                    far = self._far_end(name, link)
                    mode = link.get(("linkinfo", "slave_data", "mode")) if link.get("master") else 0
                    master = names.get(link.get("master"))
                    yield Veth(device, far[0], far[1], mtu, mac, far[2], master, mode == 1, up)
            if up:
                yield LinkUp(device)

    def _far_end(self, name: str, link: Message) -> tuple[str, str, str]:
        where = name
        if (number := link.get("link_netnsid")) is not None:
            here = self._sockets[name]
            numbers = {other: here.get_netnsid(pid=pid)["nsid"] for other, pid in self._pids.items()}
            (where,) = (other for other, found in numbers.items() if found == number)
        (far,) = self._sockets[where].get_links(link.get("link"))
        return far.get("ifname"), where, far.get("address")

    def _addresses(self, name: str, names: Mapping[int, str]) -> Iterator[Address]:
        for it in self._sockets[name].get_addr():
            address = ip_interface((it.get("local") or it.get("address"), it["prefixlen"]))
            if not address.ip.is_link_local and not address.ip.is_loopback:
                yield Address(address, names[it["index"]])

    def _routes(self, name: str, names: Mapping[int, str]) -> Iterator[Route]:
        strange = {rt_proto["kernel"], rt_proto["redirect"], rt_proto["ra"]}
        for family in (AF_INET, AF_INET6):
            for it in self._sockets[name].get_routes(family=family):
                cached = it["flags"] & RTM_F_CLONED
                if it.get("table") != TABLE_LOCAL and it["proto"] not in strange and not cached:
                    yield _route(it, names)

    def _neighbors(self, name: str, names: Mapping[int, str]) -> Iterator[Neighbor]:
        for it in self._sockets[name].get_neighbours():
            if it["state"] & ndmsg.NUD_PERMANENT:
                yield Neighbor(ip_address(it.get("dst")), it.get("lladdr"), names[it["ifindex"]])

    def _entries(
        self, name: str, links: Mapping[int, Message], names: Mapping[int, str]
    ) -> Iterator[FdbEntry]:
        for it in self._sockets[name].get_neighbours(family=AF_BRIDGE):
            is_tunnel = links[it["ifindex"]].get(("linkinfo", "kind")) == "vxlan"
            if is_tunnel and it["state"] & ndmsg.NUD_PERMANENT and it.get("dst"):
                yield FdbEntry(it.get("lladdr"), ip_address(it.get("dst")), names[it["ifindex"]])


def _vxlan(device: str, mtu: int, mac: str, up: bool, data: Message, names: Mapping[int, str]) -> Vxlan:
    return Vxlan(
        name=device,
        vni=data.get("vxlan_id"),
        parent=names[data.get("vxlan_link")],
        local=ip_address(data.get("vxlan_local") or data.get("vxlan_local6")),
        port=data.get("vxlan_port"),
        mtu=mtu,
        mac=mac,
        learning=bool(data.get("vxlan_learning")),
        gbp=bool(data.get("vxlan_gbp")),
        up=up,
    )


def _ipip(device: str, mtu: int, up: bool, data: Message) -> Iterator[Ipip]:
    ends = [end if (end := data.get(name)) != "0.0.0.0" else None for name in ("ipip_local", "ipip_remote")]
    if up or any(ends):
        yield Ipip(device, mtu, _address(ends[0]), _address(ends[1]), up)


def _route(it: Message, names: Mapping[int, str]) -> Route:
    unicast = it["type"] == rt_type["unicast"]
    empty = "0.0.0.0" if it["family"] == AF_INET else "::"
    metric = it.get("priority") or 0
    return Route(
        dst=ip_network((it.get("dst") or empty, it["dst_len"])),
        via=_address(it.get("gateway")),
        dev=names.get(it.get("oif")) if unicast else None,
        onlink=bool(it["flags"] & RTNH_F_ONLINK),
        src=_address(it.get("prefsrc")),
        scope={"universe": "global"}.get(scope := rt_scope[it["scope"]], scope),
        metric=0 if it["family"] == AF_INET6 and metric == METRIC_IPV6 else metric,
        table=it.get("table"),
        proto=it["proto"],
        type=rt_type[it["type"]],
        next_hops=tuple(_leg(leg, names) for leg in it.get("multipath") or ()),
    )


def _leg(leg: Message, names: Mapping[int, str]) -> NextHop:
    onlink = bool(leg["flags"] & RTNH_F_ONLINK)
    return NextHop(_address(leg.get("gateway")), names[leg["oif"]], leg["hops"] + 1, onlink)


def _address(text: str | None) -> IPAddress | None:
    return ip_address(text) if text else None
