"""The tunnel's routes: the kernel is asked for the gateway of each destination once.

An answer is kept until anything is said of routes, rules, addresses or links; what was said is not read. So
this holds the destinations that packets go to now, however many routes there are, and the kernel
decides as it did for the packet: longest prefix, metric, legs, rules and tables.

What ICMP said of a gateway's path is kept as long as the kernel keeps it.
"""

from __future__ import annotations

import errno
import socket
import struct
import time

PACKET_BYTES_MAX = 0xFFFF
_HOPS_MAX = 4096
_PATHS_MAX = 1024
PATH_SECONDS_MAX = 600.0
"""As net.ipv4.route.mtu_expires has it."""
_PATH_MTU_MIN = 552
"""As net.ipv4.route.min_pmtu has it: what a stranger's message can bring a path down to."""
_NEWS = 1 << 0 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 31
"""RTNLGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE, _NEXTHOP."""
_RTM_NEWROUTE, _RTM_GETROUTE, _NLM_F_REQUEST = 24, 26, 1
_RTN_UNICAST = 1
_RTA_DST, _RTA_OIF, _RTA_GATEWAY = 1, 4, 5
_REQUEST = struct.Struct("=IHHII BBBBBBBBI HH4s HHI")
_REPLY_HEAD_BYTES, _TYPE_AT, _KIND_AT = 28, 4, 23
_RECEIVE_BYTES = 1 << 16


class Hop:
    """The end of the tunnel for one destination."""

    __slots__ = ("address", "gateway", "mtu")

    def __init__(self, gateway: bytes, mtu: int) -> None:
        self.gateway = gateway
        self.address = (socket.inet_ntoa(gateway), 0)
        self.mtu = mtu
        """Of the path to the gateway, where something is known of it beyond the device's own."""


class Routes:
    """The routes of this network namespace through one device at a time; `device` is its index."""

    def __init__(self) -> None:
        self.device = 0
        self.news = _netlink(_NEWS)
        """Readable when `look` is to be called."""
        self._asked = _netlink(0)
        self._asked.settimeout(None)
        self._hops: dict[bytes, Hop | None] = {}
        self._paths: dict[bytes, tuple[int, float]] = {}
        self._expires = float("inf")

    def hop(self, destination: bytes) -> Hop | None:
        """Return where the tunnel to an address ends; None when no route through the device has a gateway."""
        try:
            return self._hops[destination]
        except KeyError:
            if len(self._hops) >= _HOPS_MAX:
                self._hops.clear()
            hop = self._hops[destination] = self._find(destination)
            return hop

    def look(self) -> None:
        """Take the news, and forget the answers."""
        self._hops.clear()
        while True:
            try:
                self.news.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # There was more than the socket could hold.
                    raise

    def learn(self, gateway: bytes, mtu: int) -> None:
        """Note what ICMP said of the path to a gateway."""
        if len(self._paths) >= _PATHS_MAX:
            self._paths.clear()
        until = time.monotonic() + PATH_SECONDS_MAX
        self._paths[gateway] = max(mtu, _PATH_MTU_MIN), until
        self._expires = min(self._expires, until)
        self._hops.clear()

    def expire(self) -> None:
        """Forget paths that were learned too long ago."""
        now = time.monotonic()
        if now < self._expires:
            return
        self._paths = {gateway: path for gateway, path in self._paths.items() if path[1] > now}
        self._expires = min((until for _, until in self._paths.values()), default=float("inf"))
        self._hops.clear()

    def _find(self, destination: bytes) -> Hop | None:
        device, gateway = self._ask(destination, 0)
        if device != self.device:
            # Another rule or leg sent the packet here. Asked about one device, the kernel spreads nothing.
            device, gateway = self._ask(destination, self.device)
        if device != self.device or gateway is None:
            return None
        if self._ask(gateway, 0)[0] == self.device:
            return None  # The way to the gateway is the tunnel itself.
        mtu, _ = self._paths.get(gateway, (PACKET_BYTES_MAX, 0.0))
        return Hop(gateway, mtu)

    def _ask(self, destination: bytes, device: int) -> tuple[int, bytes | None]:
        """Return device and gateway of the kernel's route, (0, None) without one; a device of 0 is any."""
        self._asked.send(
            _REQUEST.pack(
                *(_REQUEST.size, _RTM_GETROUTE, _NLM_F_REQUEST, 0, 0),
                *(socket.AF_INET, 32, 0, 0, 0, 0, 0, 0, 0),
                *(8, _RTA_DST, destination),
                *(8, _RTA_OIF, device),
            )
        )
        reply = self._asked.recv(_RECEIVE_BYTES)
        (kind,) = struct.unpack_from("=H", reply, _TYPE_AT)
        if kind != _RTM_NEWROUTE or reply[_KIND_AT] != _RTN_UNICAST:
            return 0, None
        found = attributes(reply[_REPLY_HEAD_BYTES:])
        (through,) = struct.unpack("=I", found.get(_RTA_OIF, bytes(4)))
        return through, found.get(_RTA_GATEWAY)


def attributes(data: bytes) -> dict[int, bytes]:
    """Take a message's attributes apart (rtnetlink(7))."""
    found = {}
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        found[kind] = data[at + 4 : at + length]
        at += length + 3 & ~3
    return found


def _netlink(groups: int) -> socket.socket:
    end = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    end.bind((0, groups))
    end.setblocking(False)
    return end
