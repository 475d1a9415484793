"""ICMP errors as the error queue of a socket has them (ip(7), IP_RECVERR): which, and from whom.

With the option set, TCP and UDP sockets and raw ones alike keep what they were told, also what does not end a
connection; without it a program hears of a few in the shape of an errno.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from fabric.verify.probes import Answer, Outcome

_IP_RECVERR, _IPV6_RECVERR = 11, 25
_LOCAL, _ICMP, _ICMPV6 = 1, 2, 3
"""SO_EE_ORIGIN_*"""
_HEAD = struct.Struct("=IBBBxII")
_OFFENDERS = {_ICMP: (socket.AF_INET, 4, 4), _ICMPV6: (socket.AF_INET6, 8, 16)}
"""By origin: family, and where the address is in the sockaddr that follows the head."""
_PORT_UNREACHABLE = {(_ICMP, 3, 3), (_ICMPV6, 1, 4)}
_NAMES = {
    (_ICMP, 3): (
        "net unreachable",
        "host unreachable",
        "protocol unreachable",
        "port unreachable",
        "fragmentation needed",
        "source route failed",
        "net unknown",
        "host unknown",
        "source host isolated",
        "net prohibited",
        "host prohibited",
        "net unreachable for this type of service",
        "host unreachable for this type of service",
        "communication administratively prohibited",
    ),
    (_ICMP, 11): ("time to live exceeded", "fragment reassembly time exceeded"),
    (_ICMPV6, 1): (
        "no route",
        "communication administratively prohibited",
        "beyond scope of source address",
        "address unreachable",
        "port unreachable",
        "source address failed policy",
        "reject route",
    ),
    (_ICMPV6, 2): ("packet too big",),
    (_ICMPV6, 3): ("hop limit exceeded", "fragment reassembly time exceeded"),
}


@dataclass(frozen=True, slots=True)
class IcmpError:
    """An entry of the error queue that a packet of the network made."""

    origin: int
    type: int
    code: int
    sender: str
    about: bytes
    """The packet that it is about, from its transport header on."""

    @property
    def name(self) -> str:
        names = _NAMES.get((self.origin, self.type), ())
        known = names[self.code] if self.code < len(names) else f"type {self.type} code {self.code}"
        return f"{'ICMP' if self.origin == _ICMP else 'ICMPv6'} {known}"

    def answer(self, microseconds: int, tries: int) -> Answer:
        refused = (self.origin, self.type, self.code) in _PORT_UNREACHABLE
        outcome = Outcome.refused if refused else Outcome.rejected
        return Answer(outcome, f"{self.name} from {self.sender}", microseconds, tries, self.sender)


def enable(opened: socket.socket, version: int) -> None:
    """Let the socket keep the errors that it is told."""
    if version == 4:
        opened.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    else:
        opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)


def take(opened: socket.socket) -> IcmpError | None:
    """Take the next error that came from the network; None when there is none left."""
    while True:
        try:
            about, ancillary, _, _ = opened.recvmsg(512, 256, socket.MSG_ERRQUEUE)
        except OSError:
            return None
        for _, kind, told in ancillary:
            if kind in (_IP_RECVERR, _IPV6_RECVERR):
                _, origin, type_, code, _, _ = _HEAD.unpack_from(told)
                if origin in _OFFENDERS:
                    return IcmpError(origin, type_, code, _sender(told, origin), about)


def _sender(told: bytes, origin: int) -> str:
    family, at, length = _OFFENDERS[origin]
    address = told[_HEAD.size + at : _HEAD.size + at + length]
    return socket.inet_ntop(family, address) if len(address) == length else "nobody"
