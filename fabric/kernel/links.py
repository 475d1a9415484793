"""Bridges, veth pairs and tunnels as netlink requests, and back.

A pair is one request: the far end is made in its own namespace under its final name, and both ends have one
queue, because moving, renaming or resizing a device waits for RCU (16 to 20 ms each). Devices are deleted
by group: one request, however many they are.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from fabric.kernel import netlink
from fabric.kernel.netlink import NLM_F_CREATE, NLM_F_EXCL, Request, attribute, text, u32
from fabric.kernel.tun import TUN
from fabric.netstate.objects import Bridge, IPAddress, Ipip, Link, Tun, Veth, Vxlan

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
IFF_UP = 1
DELETION_GROUP = 0x0FAB
"""The group of devices that one request is about to delete."""
_IFINFO = struct.Struct("=BxHiII")
_ADDRESS, _IFNAME, _MTU, _LINK, _MASTER, _TXQLEN, _LINKINFO, _NET_NS_PID = 1, 3, 4, 5, 10, 13, 18, 19
_GROUP, _EXT_MASK, _NUM_TX_QUEUES, _NUM_RX_QUEUES, _LINK_NETNSID, _TARGET_NETNSID = 27, 29, 31, 32, 37, 46
_DEVICE_ATTRIBUTES = frozenset((_ADDRESS, _IFNAME, _MTU, _LINK, _MASTER, _LINKINFO, _LINK_NETNSID))
_INFO_KIND, _INFO_DATA, _INFO_SLAVE_KIND, _INFO_SLAVE_DATA = 1, 2, 4, 5
_VETH_INFO_PEER, _BRPORT_MODE = 1, 4
_VXLAN_ID, _VXLAN_LINK, _VXLAN_LOCAL, _VXLAN_LEARNING, _VXLAN_PORT = 1, 3, 4, 7, 15
_VXLAN_LOCAL6, _VXLAN_GBP = 17, 23
_IPIP_LOCAL, _IPIP_REMOTE, _IPIP_TTL, _IPIP_PMTUDISC = 2, 3, 4, 10
_TUN_TYPE, _TUN_PERSIST = 3, 6
_SKIP_STATISTICS = u32(_EXT_MASK, 8)
_ONE_QUEUE = u32(_NUM_TX_QUEUES, 1) + u32(_NUM_RX_QUEUES, 1)


IndexOf = Callable[[str], int]
"""Gives a device's index by its name; OSError ENODEV when there is none of that name."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device as Linux lists it; indexes are those of its namespace."""

    index: int
    name: str
    kind: str
    mtu: int
    mac: str
    up: bool
    master: int
    hairpin: bool
    link: int
    """Index of the far end of a veth, or of the parent."""
    netns_id: int | None
    """Where `link` is, as this namespace numbers others; None: in this one; negative: nobody numbered it."""
    data: Mapping[int, bytes]


def creation(link: Link, index_of: IndexOf, pids: Mapping[str, int]) -> list[Request]:
    """Return the requests that make `link`, which is no Tun; `pids` tells a peer's namespace.

    A bridge takes the smallest MTU of its ports until it is given another than it has; so it is.
    """
    head = _IFINFO.pack(0, 0, 0, IFF_UP if link.up else 0, IFF_UP if link.up else 0)
    mtu = link.mtu - 1 if isinstance(link, Bridge) else link.mtu
    body = head + text(_IFNAME, link.name) + u32(_MTU, mtu) + _mac_of(link)
    after: list[Request] = []
    match link:
        case Bridge():
            body += attribute(_LINKINFO, text(_INFO_KIND, "bridge"))
            after = [resized(link.name, link.mtu)]
        case Veth():
            body += _ONE_QUEUE + (u32(_MASTER, index_of(link.master)) if link.master else b"")
            info = attribute(_INFO_DATA, attribute(_VETH_INFO_PEER, _peer(link, pids[link.peer_ns])))
            body += attribute(_LINKINFO, text(_INFO_KIND, "veth") + info)
            after = [hairpin(link)] if link.hairpin else []
        case Vxlan():
            body += b"" if link.qlen is None else u32(_TXQLEN, link.qlen)
            info = attribute(_INFO_DATA, _vxlan(link, index_of(link.parent)))
            body += attribute(_LINKINFO, text(_INFO_KIND, "vxlan") + info)
        case Ipip():
            info = attribute(_INFO_DATA, _ipip(link))
            body += attribute(_LINKINFO, text(_INFO_KIND, "ipip") + info)
    return [Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body), *after]


def change(link: Link, old: Link | None, index_of: IndexOf) -> list[Request]:
    """Return the requests that give an existing device the changeable values of `link`.

    Only what differs from `old` is sent, one request a value, so that a refused one spoils no other: a device
    is raised first, a new MAC flushes its neighbours only where the MAC is new, and it is lowered last.
    """
    index = index_of(link.name)
    head = _IFINFO.pack(0, 0, index, 0, 0)
    requests = [raised(index, True)] if link.up and not (old and old.up) else []
    if old is None or link.mtu != old.mtu:
        requests.append(with_mtu(index, link.mtu))
    mac = None if isinstance(link, Ipip | Tun) else link.mac
    if mac and mac != getattr(old, "mac", None):
        requests.append(with_mac(index, mac))
    if isinstance(link, Veth):
        requests += _port(link, old, head, index_of)
    if not link.up and (old is None or old.up):
        requests.append(raised(index, False))
    return requests


def _port(link: Veth, old: Link | None, head: bytes, index_of: IndexOf) -> list[Request]:
    """Return the requests that put a veth into its bridge, or out of one."""
    requests: list[Request] = []
    moves = not isinstance(old, Veth) or link.master != old.master
    if moves:
        master = u32(_MASTER, index_of(link.master) if link.master else 0)
        requests.append(Request(RTM_SETLINK, 0, head + master, f"master {link.master or 'none'}"))
    if link.master and (moves or not isinstance(old, Veth) or link.hairpin != old.hairpin):
        requests.append(hairpin(link))
    return requests


def hairpin(link: Veth) -> Request:
    """Return the request that lets a bridge send frames back to this port, or not; by name."""
    mode = attribute(_BRPORT_MODE, bytes((link.hairpin,)))
    info = text(_INFO_SLAVE_KIND, "bridge") + attribute(_INFO_SLAVE_DATA, mode)
    body = _IFINFO.pack(0, 0, 0, 0, 0) + text(_IFNAME, link.name) + attribute(_LINKINFO, info)
    return Request(RTM_NEWLINK, 0, body)


def raised(index: int, up: bool) -> Request:
    """Return the request that raises or lowers a device."""
    flags = IFF_UP if up else 0
    return Request(RTM_SETLINK, 0, _IFINFO.pack(0, 0, index, flags, IFF_UP), "up" if up else "down")


def with_mtu(index: int, mtu: int) -> Request:
    return Request(RTM_SETLINK, 0, _IFINFO.pack(0, 0, index, 0, 0) + u32(_MTU, mtu), f"mtu {mtu}")


def with_mac(index: int, mac: str) -> Request:
    return Request(RTM_SETLINK, 0, _IFINFO.pack(0, 0, index, 0, 0) + _mac(mac), f"address {mac}")


def resized(name: str, mtu: int) -> Request:
    return Request(RTM_SETLINK, 0, _IFINFO.pack(0, 0, 0, 0, 0) + text(_IFNAME, name) + u32(_MTU, mtu))


def deletion(name: str) -> Request:
    return Request(RTM_DELLINK, 0, _IFINFO.pack(0, 0, 0, 0, 0) + text(_IFNAME, name))


def into_deletion_group(name: str) -> Request:
    """Return the request that puts a device into the group which `group_deletion` deletes."""
    body = _IFINFO.pack(0, 0, 0, 0, 0) + text(_IFNAME, name) + u32(_GROUP, DELETION_GROUP)
    return Request(RTM_SETLINK, 0, body)


def group_deletion() -> Request:
    return Request(RTM_DELLINK, 0, _IFINFO.pack(0, 0, 0, 0, 0) + u32(_GROUP, DELETION_GROUP))


def devices(socket: netlink.Socket) -> list[Device]:
    """Return every device of the socket's namespace."""
    body = _IFINFO.pack(0, 0, 0, 0, 0) + _SKIP_STATISTICS
    return [device(answer) for kind, answer in socket.dump(RTM_GETLINK, body) if kind == RTM_NEWLINK]


def question(index: int, netns_id: int | None = None) -> Request:
    """Return the request for one device, of another namespace when its number is given."""
    elsewhere = b"" if netns_id is None else u32(_TARGET_NETNSID, netns_id)
    return Request(RTM_GETLINK, 0, _IFINFO.pack(0, 0, index, 0, 0) + elsewhere + _SKIP_STATISTICS)


def device(body: bytes) -> Device:
    """Return the device that an answer tells of."""
    _, _, index, flags, _ = _IFINFO.unpack_from(body)
    found = netlink.attributes(body, _IFINFO.size, _DEVICE_ATTRIBUTES)
    info = netlink.attributes(found.get(_LINKINFO, b""))
    slave = netlink.attributes(info.get(_INFO_SLAVE_DATA, b""))
    netns_id = found.get(_LINK_NETNSID)
    return Device(
        index=index,
        name=_text(found.get(_IFNAME, b"")),
        kind=_text(info.get(_INFO_KIND, b"")),
        mtu=_number(found.get(_MTU)),
        mac=found.get(_ADDRESS, b"").hex(":"),
        up=bool(flags & IFF_UP),
        master=_number(found.get(_MASTER)),
        hairpin=slave.get(_BRPORT_MODE, b"\0")[0] == 1,
        link=_number(found.get(_LINK)),
        netns_id=None if netns_id is None else struct.unpack("=i", netns_id)[0],
        data=netlink.attributes(info.get(_INFO_DATA, b"")),
    )


def read_link(it: Device, names: Mapping[int, str], far_end: tuple[str, str]) -> Link | None:
    """Return what `it` is in netstate's words; `far_end` is a veth's peer and its namespace."""
    match it.kind:
        case "bridge":
            return Bridge(it.name, it.mtu, it.mac, it.up)
        case "veth":
            master = names.get(it.master)
            return Veth(it.name, *far_end, it.mtu, it.mac, None, master, it.hairpin, it.up)
        case "vxlan":
            return _read_vxlan(it, names)
        case "ipip":
            tunnel = Ipip(it.name, it.mtu, _end(it.data, _IPIP_LOCAL), _end(it.data, _IPIP_REMOTE), it.up)
            return None if tunnel.is_absent else tunnel
        case "tun" if it.data.get(_TUN_TYPE) == bytes((TUN,)) and it.data.get(_TUN_PERSIST) == b"\1":
            return Tun(it.name, it.mtu, it.up)
    return None


def is_open_ipip(it: Device) -> bool:
    """True for the one IPIP device of a namespace without ends, lowered or not."""
    return it.kind == "ipip" and not _end(it.data, _IPIP_LOCAL) and not _end(it.data, _IPIP_REMOTE)


def names_by_index(found: Iterable[Device]) -> dict[int, str]:
    """Return the names by index."""
    return {it.index: it.name for it in found}


def _read_vxlan(it: Device, names: Mapping[int, str]) -> Vxlan | None:
    local = it.data.get(_VXLAN_LOCAL) or it.data.get(_VXLAN_LOCAL6)
    parent = names.get(_number(it.data.get(_VXLAN_LINK)))
    if local is None or parent is None:
        return None
    return Vxlan(
        name=it.name,
        vni=_number(it.data.get(_VXLAN_ID)),
        parent=parent,
        local=ip_address(local),
        port=int.from_bytes(it.data.get(_VXLAN_PORT, b""), "big"),
        mtu=it.mtu,
        mac=it.mac,
        learning=it.data.get(_VXLAN_LEARNING, b"\0")[0] == 1,
        gbp=_VXLAN_GBP in it.data,
        up=it.up,
    )


def _peer(link: Veth, pid: int) -> bytes:
    head = _IFINFO.pack(0, 0, 0, 0, 0)
    name = text(_IFNAME, link.peer) + u32(_MTU, link.mtu) + _mac(link.peer_mac)
    return head + name + _ONE_QUEUE + u32(_NET_NS_PID, pid)


def _vxlan(link: Vxlan, parent: int) -> bytes:
    return (
        u32(_VXLAN_ID, link.vni)
        + u32(_VXLAN_LINK, parent)
        + _local(link.local)
        + attribute(_VXLAN_LEARNING, bytes((link.learning,)))
        + attribute(_VXLAN_PORT, link.port.to_bytes(2, "big"))
        + (attribute(_VXLAN_GBP, b"") if link.gbp else b"")
    )


def _ipip(link: Ipip) -> bytes:
    """A TTL of 0 is inherited, and so is DF without path MTU discovery: the driver's own device does both."""
    ends = attribute(_IPIP_LOCAL, link.local.packed) if link.local else b""
    ends += attribute(_IPIP_REMOTE, link.remote.packed) if link.remote else b""
    return ends + attribute(_IPIP_TTL, b"\0") + attribute(_IPIP_PMTUDISC, b"\0")


def _end(data: Mapping[int, bytes], kind: int) -> IPAddress | None:
    packed = data.get(kind, b"")
    return ip_address(packed) if any(packed) else None


def _local(local: IPAddress) -> bytes:
    match local:
        case IPv4Address():
            return attribute(_VXLAN_LOCAL, local.packed)
        case IPv6Address():
            return attribute(_VXLAN_LOCAL6, local.packed)


def _mac_of(link: Link) -> bytes:
    return b"" if isinstance(link, Ipip | Tun) else _mac(link.mac)


def _mac(mac: str | None) -> bytes:
    return attribute(_ADDRESS, bytes.fromhex(mac.replace(":", ""))) if mac else b""


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")


def _number(value: bytes | None) -> int:
    return int(struct.unpack("=I", value)[0]) if value else 0
