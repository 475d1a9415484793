"""Watching many kernels' routing tables at once: what BIRD has in each, told by the kernels as it changes.

One netlink socket in each namespace gets a message for each route that comes or goes, so that nothing is
asked while the daemons work, and the moment of a change is the moment of its message. Where a socket
overflowed, the table is read anew.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from ipaddress import ip_network

from fabric.kernel import netlink
from fabric.kernel.namespaces import inside
from fabric.kernel.routes import main_table
from fabric.netstate.objects import IPNetwork

_RTMGRP_IPV4_ROUTE = 0x40
_RTM_NEWROUTE, _RTM_DELROUTE = 24, 25
_RTA_DST = 1
_HEADER, _RTMSG = struct.Struct("=IHHII"), struct.Struct("=BBBBBBBBI")
_SO_RCVBUFFORCE = 33
_BUFFER_BYTES = 8 << 20
_READ_BYTES = 256 * 1024
BIRD = 12
_UNICAST = 1

Has = Callable[[str, set[IPNetwork]], bool]
"""(host, networks that BIRD has a way to there) → whether that is what is waited for."""


class RouteWatch:
    """The networks that BIRD has a way to, by host. One thread uses it, but for `give_up`."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._poll = select.epoll()
        self._sockets: dict[int, tuple[str, socket.socket]] = {}
        for host, pid in pids.items():
            with inside(pid):
                opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
            opened.bind((0, _RTMGRP_IPV4_ROUTE))
            opened.setblocking(False)
            self._sockets[opened.fileno()] = host, opened
            self._poll.register(opened.fileno(), select.EPOLLIN)
        self._given_up = os.eventfd(0, os.EFD_CLOEXEC)
        self._poll.register(self._given_up, select.EPOLLIN)
        self.networks = {host: set(_read_anew(pid)) for host, pid in pids.items()}

    def close(self) -> None:
        """Close all sockets; nobody waits in `until` any more."""
        self._poll.close()
        os.close(self._given_up)
        for _, opened in self._sockets.values():
            opened.close()

    def give_up(self) -> None:
        """End `until`, from any thread."""
        os.eventfd_write(self._given_up, 1)

    def until(self, has: Has, *, hosts: Iterable[str], seconds_max: float) -> float | None:
        """Wait until all of these hosts have what is waited for at once; the moment (monotonic).

        None when time is over, or somebody gave it up.
        """
        hosts = set(hosts)
        waiting = {host for host in hosts if not has(host, self.networks[host])}
        deadline = time.monotonic() + seconds_max
        while (left := deadline - time.monotonic()) > 0:
            # A host that has it may lose it again, by what waits in its socket when the last one gets it.
            ready = self._poll.poll(left if waiting else 0)
            if not (ready or waiting):
                return time.monotonic()
            for descriptor, _ in ready:
                if descriptor == self._given_up:
                    return None
                host, opened = self._sockets[descriptor]
                self._take(host, opened)
                if host in hosts:
                    (waiting.discard if has(host, self.networks[host]) else waiting.add)(host)
        return None

    def _take(self, host: str, opened: socket.socket) -> None:
        networks = self.networks[host]
        try:
            data = opened.recv(_READ_BYTES)
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                _drain(opened)  # what still waits is older than the table
                networks.clear()
                networks.update(_read_anew(self._pids[host]))
            return
        for is_there, network in _changes(data):
            (networks.add if is_there else networks.discard)(network)


def _drain(opened: socket.socket) -> None:
    while True:
        try:
            opened.recv(_READ_BYTES)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                return


def _read_anew(pid: int) -> Iterator[IPNetwork]:
    return (it.dst for it in main_table(pid) if it.proto == BIRD and it.type == "unicast")


def _changes(data: bytes) -> Iterator[tuple[bool, IPNetwork]]:
    """(came or went, network) of each message about a way of BIRD's."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            return
        body = data[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3
        if kind not in (_RTM_NEWROUTE, _RTM_DELROUTE) or len(body) < _RTMSG.size:
            continue
        _, bits, _, _, _, protocol, _, type_, _ = _RTMSG.unpack_from(body)
        if protocol == BIRD and type_ == _UNICAST:
            found = netlink.attributes(body, _RTMSG.size)
            yield kind == _RTM_NEWROUTE, _network(found.get(_RTA_DST, bytes(4)), bits)


@cache
def _network(packed: bytes, length: int) -> IPNetwork:
    """Each network once: all kernels tell of the same ones."""
    return ip_network((packed, length))
