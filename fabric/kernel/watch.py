"""A watch hears what a namespace tells of its changes: netlink, nftables, and the end of its process.

Devices, addresses, routes, permanent neighbours and FDB entries are told as netstate's objects, the last word
on each; so are the sysctls of forwarding, reverse path filters and proxies. Rules are told only as a change
that was not ours. A namespace ends with the process by which it is known: then no socket of the watch keeps
it alive.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import suppress

from fabric.kernel import addresses, links, neighbors, netlink, programs, routes
from fabric.kernel.namespaces import inside
from fabric.netstate.objects import NetObject, Sysctl, Veth
from fabric.netstate.port import Notice

_LINK, _NEIGH, _ADDRESS4, _ROUTE4, _ADDRESS6, _ROUTE6 = 0x1, 0x4, 0x10, 0x40, 0x100, 0x400
_NETCONF4, _NETCONF6 = 0x800000, 0x1000000
_GROUPS = _LINK | _NEIGH | _ADDRESS4 | _ROUTE4 | _ADDRESS6 | _ROUTE6 | _NETCONF4 | _NETCONF6
_RTM_NEWNETCONF = 80
_NETCONF_IFINDEX = 1
_ALL, _DEFAULT = -1, -2
"""The indices that stand for `conf/all` and `conf/default`."""
_CONFIGURED: Mapping[int, Mapping[int, str]] = {
    socket.AF_INET: {2: "forwarding", 3: "rp_filter", 5: "proxy_arp"},
    socket.AF_INET6: {2: "forwarding", 5: "proxy_ndp"},
}
"""The attributes of RTM_NEWNETCONF (linux/netconf.h) that are sysctls of net/ipv4/conf or net/ipv6/conf."""
_NETLINK_NETFILTER, _GROUP_NFTABLES = 12, 0x40
_NEW_GENERATION, _GENERATION_PID = 0x0A0F, 2
_HEADER = struct.Struct("=IHHII")
RECEIVE_BYTES = 1 << 16
_BUFFER_BYTES = 1 << 22
_SO_RCVBUFFORCE = 33
READS_MAX = 1000
GATHER_SECONDS = 0.01
"""A change seldom comes alone: a pod's veth is told of a dozen times while it is made."""
_GONE = {links.RTM_DELLINK, addresses.RTM_DELADDR, routes.RTM_DELROUTE, neighbors.RTM_DELNEIGH}

_Told = dict[Hashable, tuple[NetObject | None, bool]]


class Watch:
    """The notifications of the namespace that process `pid` is in; lives in the running event loop."""

    def __init__(
        self, pid: int, names: Callable[[], dict[int, str]], tell: Notice, ended: Callable[[], None]
    ) -> None:
        """`names` gives the devices by index as last read; OSError when the process is gone."""
        self.pid = pid
        self._names = names
        self._tell = tell
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._process = os.pidfd_open(pid)
        try:
            with inside(pid):
                self._sockets = [listening(netlink.NETLINK_ROUTE, _GROUPS)]
                with suppress(OSError):
                    self._sockets.append(listening(_NETLINK_NETFILTER, _GROUP_NFTABLES))
        except BaseException:
            os.close(self._process)
            raise
        self._loop.add_reader(self._process, self._end)
        for opened, read in zip(self._sockets, (self._read_route, self._read_rules), strict=False):
            self._loop.add_reader(opened.fileno(), self._gather, opened, read)

    def close(self) -> None:
        """Hear no more; a second time does nothing."""
        if self._process < 0:
            return
        for descriptor in (self._process, *(opened.fileno() for opened in self._sockets)):
            self._loop.remove_reader(descriptor)
        os.close(self._process)
        for opened in self._sockets:
            opened.close()
        self._process = -1

    def _end(self) -> None:
        self.close()
        self._ended()

    def _gather(self, opened: socket.socket, read: Callable[[], None]) -> None:
        """Have `read` called a moment later, for all that is told until then."""
        self._loop.remove_reader(opened.fileno())

        def due() -> None:
            if self._process >= 0:
                self._loop.add_reader(opened.fileno(), self._gather, opened, read)
                read()

        self._loop.call_later(GATHER_SECONDS, due)

    def _read_route(self) -> None:
        told: _Told = {}
        try:
            messages = list(_messages(self._sockets[0]))
            last = {body[4:8]: n for n, (kind, body) in enumerate(messages) if _is_of_device(kind, body)}
            for n, (kind, body) in enumerate(messages):
                if not self._is_outdated(kind, body, n, last):
                    self._take(kind, body, told)
        except OSError:  # Overrun: more was told than there was room for.
            told = {None: (None, False)}
        for obj, gone in told.values():
            self._tell("sysctl" if isinstance(obj, Sysctl) else "netlink", obj, gone)

    def _is_outdated(self, kind: int, body: bytes, n: int, last: dict[bytes, int]) -> bool:
        """True for a word on a device that another follows; the first is heard for the device's name."""
        return (
            _is_of_device(kind, body)
            and last[body[4:8]] > n
            and int.from_bytes(body[4:8], sys.byteorder) in self._names()
        )

    def _take(self, kind: int, body: bytes, told: _Told) -> None:
        names = self._names()
        obj: NetObject | None = None
        match kind:
            case links.RTM_NEWLINK | links.RTM_DELLINK:
                obj = _device(body, names)
            case addresses.RTM_NEWADDR | addresses.RTM_DELADDR:
                obj = addresses.parse(body, names)
            case routes.RTM_NEWROUTE | routes.RTM_DELROUTE:
                obj = routes.parse(body, names)
            case neighbors.RTM_NEWNEIGH | neighbors.RTM_DELNEIGH:
                obj = neighbors.parse(body, names, gone=kind == neighbors.RTM_DELNEIGH)
            case _ if kind == _RTM_NEWNETCONF:
                told.update((it.key, (it, False)) for it in _sysctls(body, names))
        if obj is not None:
            told[obj.key] = (obj, kind in _GONE)

    def _read_rules(self) -> None:
        try:
            pids = [
                int.from_bytes(netlink.attributes(body, 4).get(_GENERATION_PID, b""), "big")
                for kind, body in _messages(self._sockets[1])
                if kind == _NEW_GENERATION
            ]
        except OSError:
            pids = [0]
        if any(pid not in programs.STARTED for pid in pids):
            self._tell("rules", None, False)


def _sysctls(body: bytes, names: Mapping[int, str]) -> Iterator[Sysctl]:
    """Yield the sysctls of a device, of all, or of the next ones, as the kernel tells them."""
    attributes = netlink.attributes(body, 4)
    found = {kind: int.from_bytes(it, sys.byteorder, signed=True) for kind, it in attributes.items()}
    index = found.get(_NETCONF_IFINDEX, 0)
    device = {_ALL: "all", _DEFAULT: "default"}.get(index) or names.get(index)
    version = 6 if body[0] == socket.AF_INET6 else 4
    for kind, name in _CONFIGURED.get(body[0], {}).items():
        if device is None or kind not in found:
            continue
        yield Sysctl(f"net/ipv{version}/conf/{device}/{name}", str(found[kind]))
        if version == 4 and name == "forwarding" and index == _ALL:
            yield Sysctl("net/ipv4/ip_forward", str(found[kind]))


def listening(protocol: int, groups: int) -> socket.socket:
    """Open a socket that hears these groups of the calling thread's namespace."""
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    opened = socket.socket(socket.AF_NETLINK, kind, protocol)
    try:
        try:
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        except PermissionError:  # Not the machine's root: as much as net.core.rmem_max gives.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        opened.bind((0, groups))
    except BaseException:
        opened.close()
        raise
    return opened


def _messages(opened: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Yield all that waits now: so the last word on an object is heard together with those before."""
    for _ in range(READS_MAX):
        try:
            data = opened.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        yield from messages_in(data)


def messages_in(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (type, body) of each message of one receive."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            break
        yield kind, data[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def _is_of_device(kind: int, body: bytes) -> bool:
    """True for news of a device; the same message is also a bridge's word on its port."""
    return kind == links.RTM_NEWLINK and body[0] == socket.AF_UNSPEC


def _device(body: bytes, names: dict[int, str]) -> NetObject | None:
    """Return the device that a message tells of, and keep its name; None for a bridge's word on its port."""
    if body[0] != socket.AF_UNSPEC:
        return None
    it = links.device(body)
    names[it.index] = it.name
    if it.kind in ("veth", ""):
        return Veth(it.name, "", "", it.mtu, it.mac, None, names.get(it.master), it.hairpin, it.up)
    found = links.read_link(it, names, ("", ""))
    return found or Veth(it.name, "", "", it.mtu, it.mac, up=it.up)
