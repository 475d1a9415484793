"""Addresses of devices as netlink requests, and back.

IPv4 addresses get the broadcast address that CNI plugins give them; IPv6 ones skip duplicate detection,
so that they can be used at once. Link-local IPv6 addresses and those of `lo` are the kernel's own: not read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from ipaddress import ip_interface
from socket import AF_INET, AF_INET6

from fabric.kernel import netlink
from fabric.kernel.netlink import Request, attribute, u32
from fabric.netstate.objects import Address

RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
_IFADDR = struct.Struct("=BBBBI")
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS = 1, 2, 4, 8
_IFA_F_NODAD, _IFA_F_TEMPORARY = 0x02, 0x01
_SCOPE_GLOBAL, _SCOPE_LINK, _SCOPE_HOST = 0, 253, 254


def request(obj: Address, index: int, type: int, flags: int) -> Request:
    """Return the request that adds or deletes `obj`."""
    it = obj.address
    family = AF_INET if it.version == 4 else AF_INET6
    scope = _SCOPE_HOST if it.ip.is_loopback else _SCOPE_GLOBAL
    body = _IFADDR.pack(family, it.network.prefixlen, 0, scope, index)
    body += attribute(_IFA_LOCAL, it.packed) + attribute(_IFA_ADDRESS, it.packed)
    if it.version == 6:
        body += u32(_IFA_FLAGS, _IFA_F_NODAD)
    elif it.network.prefixlen < 31:
        body += attribute(_IFA_BROADCAST, it.network.broadcast_address.packed)
    return Request(type, flags, body)


def read(socket: netlink.Socket, names: Mapping[int, str]) -> Iterator[Address]:
    """Yield every address of the namespace that somebody gave to a device."""
    for kind, body in socket.dump(RTM_GETADDR, _IFADDR.pack(0, 0, 0, 0, 0)):
        address = parse(body, names) if kind == RTM_NEWADDR else None
        if address is not None:
            yield address


def parse(body: bytes, names: Mapping[int, str]) -> Address | None:
    """Return the address that a message tells of; None for the kernel's own, and for an unknown device."""
    family, prefix_length, _, scope, index = _IFADDR.unpack_from(body)
    device = names.get(index)
    if device is None or (family == AF_INET6 and scope == _SCOPE_LINK):
        return None
    found = netlink.attributes(body, _IFADDR.size)
    packed = found.get(_IFA_LOCAL) or found[_IFA_ADDRESS]
    address = ip_interface((packed, prefix_length))
    return None if device == "lo" and address.ip.is_loopback else Address(address, device)
