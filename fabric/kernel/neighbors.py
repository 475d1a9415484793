"""Permanent neighbours and VXLAN forwarding entries as netlink requests, and back."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from socket import AF_BRIDGE, AF_INET, AF_INET6

from fabric.kernel import netlink
from fabric.kernel.links import Device
from fabric.kernel.netlink import Request, attribute
from fabric.netstate.objects import FdbEntry, Neighbor

RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
_NDMSG = struct.Struct("=BxxxiHBB")
_NDA_DST, _NDA_LLADDR = 1, 2
_NUD_NOARP, _NUD_PERMANENT = 0x40, 0x80
_NTF_SELF = 0x02


def neighbor(obj: Neighbor, index: int, type: int, flags: int) -> Request:
    family = AF_INET if obj.address.version == 4 else AF_INET6
    body = _NDMSG.pack(family, index, _NUD_PERMANENT, 0, 0)
    return Request(type, flags, body + attribute(_NDA_DST, obj.address.packed) + _mac(obj.mac))


def entry(obj: FdbEntry, index: int, type: int, flags: int) -> Request:
    body = _NDMSG.pack(AF_BRIDGE, index, _NUD_NOARP | _NUD_PERMANENT, _NTF_SELF, 0)
    return Request(type, flags, body + _mac(obj.mac) + attribute(_NDA_DST, obj.dst.packed))


def read_neighbors(socket: netlink.Socket, names: Mapping[int, str]) -> Iterator[Neighbor]:
    """Yield every permanent neighbour of the namespace."""
    for kind, body in socket.dump(RTM_GETNEIGH, _NDMSG.pack(0, 0, 0, 0, 0)):
        found = parse(body, names) if kind == RTM_NEWNEIGH else None
        if isinstance(found, Neighbor):
            yield found


def read_entries(socket: netlink.Socket, devices: Iterable[Device]) -> Iterator[FdbEntry]:
    """Yield every permanent entry of the VXLAN devices; other devices are not asked."""
    for device in devices:
        if device.kind != "vxlan":
            continue
        for kind, body in socket.dump(RTM_GETNEIGH, _NDMSG.pack(AF_BRIDGE, device.index, 0, 0, 0)):
            _, index, state, _, _ = _NDMSG.unpack_from(body)
            found = netlink.attributes(body, _NDMSG.size)
            if kind != RTM_NEWNEIGH or index != device.index or not state & _NUD_PERMANENT:
                continue
            if _NDA_DST in found and _NDA_LLADDR in found:
                yield FdbEntry(found[_NDA_LLADDR].hex(":"), ip_address(found[_NDA_DST]), device.name)


def parse(body: bytes, names: Mapping[int, str], *, gone: bool = False) -> Neighbor | FdbEntry | None:
    """Return the neighbour or FDB entry that a message tells of; None for one that is not permanent.

    One that is gone is no more permanent, and may have lost its MAC: it is told whatever it was.
    """
    family, index, state, _, _ = _NDMSG.unpack_from(body)
    if not (gone or state & _NUD_PERMANENT) or index not in names:
        return None
    found = netlink.attributes(body, _NDMSG.size)
    mac = found.get(_NDA_LLADDR, b"").hex(":")
    if _NDA_DST not in found or not (mac or gone):
        return None
    address = ip_address(found[_NDA_DST])
    if family == AF_BRIDGE:
        return FdbEntry(mac, address, names[index])
    return Neighbor(address, mac, names[index]) if family in (AF_INET, AF_INET6) else None


def _mac(mac: str) -> bytes:
    return attribute(_NDA_LLADDR, bytes.fromhex(mac.replace(":", "")))
