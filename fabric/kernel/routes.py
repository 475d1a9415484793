"""Routes as netlink requests, and back.

Read are the routes of every table but `local` that somebody wrote: not those of `proto kernel` (a
device's own subnet), of router advertisements and redirects, nor cached copies.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping
from ipaddress import ip_address, ip_network
from socket import AF_INET, AF_INET6
from typing import Literal, get_args

from fabric.kernel import netlink
from fabric.kernel.links import IndexOf, devices, names_by_index
from fabric.kernel.namespaces import inside
from fabric.kernel.netlink import Request, attribute, u32
from fabric.netstate.objects import MAIN_TABLE, Family, IPAddress, NextHop, Route

RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
_RTMSG = struct.Struct("=BBBBBBBBI")
_RTNEXTHOP = struct.Struct("=HBBi")
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_PREFSRC = 1, 4, 5, 6, 7
_RTA_MULTIPATH, _RTA_TABLE = 9, 15
_RTNH_F_ONLINK, _RTM_F_CLONED = 0x4, 0x200
_TABLE_LOCAL = 255
_PROTO_REDIRECT, _PROTO_KERNEL, _PROTO_RA = 1, 2, 9
_SCOPES: dict[str, int] = {"global": 0, "link": 253, "host": 254}
_TYPES: dict[str, int] = {"unicast": 1, "blackhole": 6, "unreachable": 7, "prohibit": 8}
_Type = Literal["unicast", "blackhole", "unreachable", "prohibit"]
_Scope = Literal["global", "link", "host"]
_SCOPE_NAMES: dict[int, _Scope] = {_SCOPES[name]: name for name in get_args(_Scope)}
_TYPE_NAMES: dict[int, _Type] = {_TYPES[name]: name for name in get_args(_Type)}


def request(obj: Route, index_of: IndexOf, type: int, flags: int) -> Request:
    """Return the request that adds, replaces or deletes `obj`."""
    family = AF_INET if obj.dst.version == 4 else AF_INET6
    table = obj.table if obj.table < 256 else 0
    bits = _RTNH_F_ONLINK if obj.onlink else 0
    body = _RTMSG.pack(
        family, obj.dst.prefixlen, 0, 0, table, obj.proto, _SCOPES[obj.scope], _TYPES[obj.type], bits
    )
    body += attribute(_RTA_DST, obj.dst.network_address.packed) + u32(_RTA_TABLE, obj.table)
    body += u32(_RTA_PRIORITY, obj.metric) if obj.metric else b""
    body += attribute(_RTA_PREFSRC, obj.src.packed) if obj.src else b""
    if obj.type == "unicast":
        body += attribute(_RTA_GATEWAY, obj.via.packed) if obj.via else b""
        body += u32(_RTA_OIF, index_of(obj.dev)) if obj.dev else b""
        body += attribute(_RTA_MULTIPATH, _legs(obj, index_of)) if obj.next_hops else b""
    return Request(type, flags, body)


def read(
    socket: netlink.Socket,
    names: Mapping[int, str],
    families: Collection[Family] = (4, 6),
    *,
    with_kernel_s: bool = False,
) -> Iterator[Route]:
    """Yield every route that somebody wrote; `with_kernel_s` those too that the kernel made by itself."""
    for family in (AF_INET if it == 4 else AF_INET6 for it in sorted(families)):
        for kind, body in socket.dump(RTM_GETROUTE, _RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)):
            route = parse(body, names, with_kernel_s=with_kernel_s) if kind == RTM_NEWROUTE else None
            if route is not None:
                yield route


def main_table(pid: int) -> tuple[Route, ...]:
    """Return the routes that `ip route` shows in the namespace of that process; OSError when it is gone."""
    with inside(pid):
        socket = netlink.Socket()
    try:
        names = names_by_index(devices(socket))
        routes = tuple(read(socket, names, with_kernel_s=True))
    finally:
        socket.close()
    return tuple(route for route in routes if route.table == MAIN_TABLE)


def is_the_kernels(body: bytes) -> bool:
    """True for a message of a route of `proto kernel`: a device's own subnet, a multicast range."""
    return body[5] == _PROTO_KERNEL


def _legs(obj: Route, index_of: IndexOf) -> bytes:
    packed = b""
    for hop in obj.next_hops:
        gateway = attribute(_RTA_GATEWAY, hop.via.packed) if hop.via else b""
        bits = _RTNH_F_ONLINK if hop.onlink else 0
        packed += _RTNEXTHOP.pack(8 + len(gateway), bits, hop.weight - 1, index_of(hop.dev)) + gateway
    return packed


def parse(body: bytes, names: Mapping[int, str], *, with_kernel_s: bool = False) -> Route | None:
    """Return the route that a message tells of; None for one that nobody wrote."""
    family, length, _, _, table, proto, scope, kind, bits = _RTMSG.unpack_from(body)
    found = netlink.attributes(body, _RTMSG.size)
    table = _number(found.get(_RTA_TABLE)) or table
    kernels_own = not with_kernel_s and proto in (_PROTO_KERNEL, _PROTO_REDIRECT, _PROTO_RA)
    if table == _TABLE_LOCAL or kernels_own or bits & _RTM_F_CLONED or kind not in _TYPE_NAMES:
        return None
    unicast = _TYPE_NAMES[kind] == "unicast"
    packed = found.get(_RTA_DST, bytes(4 if family == AF_INET else 16))
    return Route(
        dst=ip_network((packed, length)),
        via=_address(found.get(_RTA_GATEWAY)),
        dev=names.get(_number(found.get(_RTA_OIF))) if unicast else None,
        onlink=bool(bits & _RTNH_F_ONLINK),
        src=_address(found.get(_RTA_PREFSRC)),
        scope=_SCOPE_NAMES.get(scope, "global"),
        metric=_number(found.get(_RTA_PRIORITY)),
        table=table,
        proto=proto,
        type=_TYPE_NAMES[kind],
        next_hops=_read_legs(found.get(_RTA_MULTIPATH, b""), names),
    )


def _read_legs(data: bytes, names: Mapping[int, str]) -> tuple[NextHop, ...]:
    legs: list[NextHop] = []
    offset = 0
    while offset + _RTNEXTHOP.size <= len(data):
        length, bits, hops, index = _RTNEXTHOP.unpack_from(data, offset)
        found = netlink.attributes(data[offset + _RTNEXTHOP.size : offset + length])
        via = _address(found.get(_RTA_GATEWAY))
        legs.append(NextHop(via, names.get(index, ""), hops + 1, bool(bits & _RTNH_F_ONLINK)))
        offset += (length + 3) & ~3
    return tuple(legs)


def _address(packed: bytes | None) -> IPAddress | None:
    return ip_address(packed) if packed else None


def _number(value: bytes | None) -> int:
    return int(struct.unpack("=I", value)[0]) if value else 0
