"""A pod watch hears by one socket what the namespaces of all pods tell of their changes.

A netlink socket can listen to every namespace that has a number (nsid) where the socket was opened. That is a
namespace made for it, in which pods' are numbered and no others, so that nothing is heard of nodes and
switches. A number goes with its namespace.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
from collections.abc import Callable, Iterator

from fabric.kernel import addresses, links, netlink, nsids, routes
from fabric.kernel.namespaces import inside_a_new_one
from fabric.kernel.watch import READS_MAX, RECEIVE_BYTES, listening, messages_in
from fabric.netstate.objects import LinkMac, LinkMtu, LinkUp, NetState

_LINK, _ADDRESS4, _ROUTE4, _ADDRESS6, _ROUTE6 = 0x1, 0x10, 0x40, 0x100, 0x400
_GROUPS = _LINK | _ADDRESS4 | _ROUTE4 | _ADDRESS6 | _ROUTE6
_SOL_NETLINK, _NETLINK_LISTEN_ALL_NSID = 270, 8
_NSID = struct.Struct("=i")


class PodWatch:
    """The notifications of pods' namespaces; lives in the running event loop."""

    def __init__(self) -> None:
        """OSError where Linux has no namespace or socket left."""
        self._numbers = itertools.count(1)
        self._pods: dict[int, _Followed] = {}
        self._loop = asyncio.get_running_loop()
        with inside_a_new_one():
            self._asks = netlink.Socket()
            try:
                self._socket = listening(netlink.NETLINK_ROUTE, _GROUPS)
            except BaseException:
                self._asks.close()
                raise
        try:
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_LISTEN_ALL_NSID, 1)
        except BaseException:
            self._close_sockets()
            raise
        self._loop.add_reader(self._socket.fileno(), self._read)

    def close(self) -> None:
        """Hear no more."""
        self._loop.remove_reader(self._socket.fileno())
        self._close_sockets()

    def follow(self, pid: int, state: NetState, changed: Callable[[], None]) -> Callable[[], None]:
        """Do what `Kernel.follow` does for the namespace of process `pid`; OSError when it is gone."""
        number = nsids.numbered(self._asks, pid, next(self._numbers))
        followed = self._pods[number] = _Followed(state, changed)

        def stop() -> None:
            if self._pods.get(number) is followed:
                del self._pods[number]

        return stop

    def _close_sockets(self) -> None:
        self._asks.close()
        self._socket.close()

    def _read(self) -> None:
        try:
            suspects = {followed for followed, told in self._told() if followed.is_suspicious(*told)}
        except OSError:  # Overrun: more was told than there was room for.
            suspects = set(self._pods.values())
        for followed in suspects:
            followed.changed()

    def _told(self) -> Iterator[tuple[_Followed, tuple[int, bytes]]]:
        """Yield all that waits now, with whom it concerns."""
        for _ in range(READS_MAX):
            try:
                data, ancillary, _, _ = self._socket.recvmsg(RECEIVE_BYTES, socket.CMSG_SPACE(_NSID.size))
            except BlockingIOError:
                return
            followed = self._pods.get(_number_in(ancillary))
            if followed is not None:
                yield from ((followed, message) for message in messages_in(data))


class _Followed:
    """A pod's namespace that is followed: what it must have, and whom to call when it may lack some."""

    def __init__(self, state: NetState, changed: Callable[[], None]) -> None:
        self.changed = changed
        self._raised = {obj.dev for obj in state if isinstance(obj, LinkUp)}
        self._mtus = {obj.dev: obj.mtu for obj in state if isinstance(obj, LinkMtu)}
        self._macs = {obj.dev: obj.mac for obj in state if isinstance(obj, LinkMac)}

    def is_suspicious(self, kind: int, body: bytes) -> bool:
        """True for a word after which something may be missing. An address more is nobody's loss."""
        match kind:
            case links.RTM_NEWLINK:
                return body[0] == socket.AF_UNSPEC and not self._is_as_wanted(links.device(body))
            case routes.RTM_NEWROUTE | routes.RTM_DELROUTE:
                return not routes.is_the_kernels(body)
        return kind in (links.RTM_DELLINK, addresses.RTM_DELADDR)

    def _is_as_wanted(self, it: links.Device) -> bool:
        return (
            it.name in self._raised
            and it.up
            and self._mtus.get(it.name, it.mtu) == it.mtu
            and self._macs.get(it.name, it.mac) == it.mac
        )


def _number_in(ancillary: list[tuple[int, int, bytes]]) -> int:
    """Return the number of the namespace that a message is from; none is below 0."""
    for level, kind, data in ancillary:
        if (level, kind) == (_SOL_NETLINK, _NETLINK_LISTEN_ALL_NSID):
            return int(_NSID.unpack(data)[0])
    return -1
