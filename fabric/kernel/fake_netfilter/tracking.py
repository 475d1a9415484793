"""Connection tracking: which packets belong together, what state each is in, how a connection is translated.

The rules are those of nf_conntrack: a new connection is entered when its first packet has passed all hooks;
an ICMP error is RELATED to the packet that it quotes; a TCP packet that fits no state is INVALID. Nothing
times out here, windows of TCP are not looked at, and SCTP is taken to begin with INIT.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from fabric.kernel.fake_netfilter.members import WITH_PORTS
from fabric.kernel.fake_netfilter.packets import ICMP, ICMPV6, TCP

if TYPE_CHECKING:
    from fabric.kernel.fake_netfilter.skb import Skb

End = Literal["source", "destination"]
_ANSWERS = {ICMP: {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17}, ICMPV6: {128: 129, 129: 128}}
_BEGINNINGS = {ICMP: (8, 13, 15, 17), ICMPV6: (128,)}
_UNTRACKED_ICMPV6 = frozenset({130, 131, 132, 133, 134, 135, 136, 137, 143})
"""Neighbour discovery and multicast listeners: Linux tracks none of them."""

_TCP_STATES = ("none", "sent", "received", "established", "fin", "close", "last", "wait", "closed", "both")
_TCP_TABLE = {
    (False, "syn"): "sent sent - - - - - sent sent both",
    (False, "synack"): "! ! received ! ! ! ! ! ! received",
    (False, "fin"): "! ! fin fin last last last wait closed !",
    (False, "ack"): "established ! established established close close wait wait closed !",
    (False, "rst"): "! closed closed closed closed closed closed closed closed closed",
    (True, "syn"): "! both ! ! ! ! ! sent ! both",
    (True, "synack"): "! received - - - - - - - received",
    (True, "fin"): "! ! fin fin last last last wait closed !",
    (True, "ack"): "! - received established close close wait wait closed -",
    (True, "rst"): "! closed closed closed closed closed closed closed closed closed",
}
"""By direction and packet: the state after each of `_TCP_STATES`; `!` is INVALID, `-` changes nothing."""
_TCP = {key: dict(zip(_TCP_STATES, line.split(), strict=True)) for key, line in _TCP_TABLE.items()}


class ConntrackTuple(NamedTuple):
    """A direction of a connection; of ICMP the ports are its identifier, and its type and code."""

    family: int
    protocol: int
    source: int
    destination: int
    source_port: int
    destination_port: int

    def inverted(self) -> ConntrackTuple:
        """Return the tuple of what answers it."""
        ends = (self.family, self.protocol, self.destination, self.source)
        if self.protocol not in _ANSWERS:
            return ConntrackTuple(*ends, self.destination_port, self.source_port)
        kind = _ANSWERS[self.protocol].get(self.destination_port >> 8, 255)
        return ConntrackTuple(*ends, self.source_port, kind << 8 | self.destination_port & 255)


@dataclass(slots=True, eq=False)
class Connection:
    """A connection: how it was sent and how its answers come, which differ where it is translated."""

    original: ConntrackTuple
    reply: ConntrackTuple
    is_confirmed: bool = False
    has_reply: bool = False
    is_assured: bool = False
    mark: int = 0
    tcp_state: str = "none"
    translated: set[End] = field(default_factory=set)
    settled: set[End] = field(default_factory=set)
    """Ends whose translation, or lack of it, is decided."""

    def tuple_of(self, is_reply: bool) -> ConntrackTuple:
        return self.reply if is_reply else self.original


class Connections:
    """The connections of a namespace."""

    def __init__(self) -> None:
        self._found: dict[ConntrackTuple, tuple[Connection, bool]] = {}

    def has(self, it: ConntrackTuple) -> bool:
        return it in self._found

    def track(self, skb: Skb) -> None:
        """Say of a packet which connection it is of, and its state."""
        if skb.protocol == ICMPV6 and skb.icmp_type in _UNTRACKED_ICMPV6:
            skb.state = "UNTRACKED"
        elif skb.is_icmp_error:
            self._relate(skb)
        else:
            self._find(skb)

    def confirm(self, connection: Connection) -> None:
        """Enter a connection whose first packet has passed."""
        if not connection.is_confirmed:
            connection.is_confirmed = True
            self._found[connection.original] = (connection, False)
            self._found[connection.reply] = (connection, True)

    def pretend(self, skb: Skb) -> None:
        """Give a packet the state that it was said to have, with a connection where the state has one."""
        if skb.state in ("NEW", "ESTABLISHED", "RELATED"):
            quoted = skb.inner if skb.is_icmp_error and skb.inner is not None else skb
            sent = tuple_of(quoted)
            passed = skb.state != "NEW"
            skb.connection = Connection(sent, sent.inverted(), passed, passed, tcp_state="established")
            if passed:
                skb.connection.settled |= {"source", "destination"}

    def _find(self, skb: Skb) -> None:
        key = tuple_of(skb)
        connection, is_reply = self._found.get(key, (None, False))
        if connection is not None and _is_reopened(connection, skb, is_reply):
            self._forget(connection)
            connection = None
        if connection is None:
            if not _may_begin(skb):
                skb.state = "INVALID"
                return
            connection, is_reply = Connection(key, key.inverted()), False
        if skb.protocol == TCP and not _follow(connection, skb, is_reply):
            skb.state = "INVALID"
            return
        skb.connection, skb.is_reply = connection, is_reply
        connection.has_reply = connection.has_reply or is_reply
        skb.state = "ESTABLISHED" if connection.has_reply else "NEW"

    def _relate(self, skb: Skb) -> None:
        """An error is about a packet that was sent: it goes the way of that packet's answers."""
        skb.state = "INVALID"
        if skb.inner is None:
            return
        connection, is_reply = self._found.get(tuple_of(skb.inner).inverted(), (None, False))
        if connection is None or connection.tuple_of(is_reply).destination != skb.destination:
            return
        skb.state, skb.connection, skb.is_reply = "RELATED", connection, is_reply

    def _forget(self, connection: Connection) -> None:
        for it in (connection.original, connection.reply):
            self._found.pop(it, None)


def tuple_of(skb: Skb) -> ConntrackTuple:
    """Return the packet's direction as connections are told apart by it; most protocols have no ports."""
    source_port = destination_port = 0
    if skb.protocol in WITH_PORTS:
        source_port, destination_port = skb.source_port, skb.destination_port
    elif skb.protocol in _ANSWERS:
        source_port, destination_port = skb.source_port, skb.icmp_type << 8 | skb.icmp_code
    return ConntrackTuple(
        skb.family, skb.protocol, skb.source, skb.destination, source_port, destination_port
    )


def _may_begin(skb: Skb) -> bool:
    if skb.protocol in _BEGINNINGS:
        return skb.icmp_type in _BEGINNINGS[skb.protocol]
    return True


def _is_reopened(connection: Connection, skb: Skb, is_reply: bool) -> bool:
    ended = connection.tcp_state in ("wait", "closed")
    return skb.protocol == TCP and ended and not is_reply and _tcp_packet(skb) == "syn"


def _follow(connection: Connection, skb: Skb, is_reply: bool) -> bool:
    """Change the state of a TCP connection by a packet of it; False when the packet fits in no way."""
    old = connection.tcp_state
    new = _TCP.get((is_reply, _tcp_packet(skb)), {}).get(old, "!")
    if new == "!":
        return False
    if new != "-":
        connection.tcp_state = new
        if new == "established" and old in ("received", "established") and connection.has_reply:
            connection.is_assured = True
    return True


def _tcp_packet(skb: Skb) -> str:
    fin, syn, rst, ack = (skb.flags & bit for bit in (1, 2, 4, 16))
    if rst:
        return "rst"
    if syn:
        return "synack" if ack else "syn"
    return "fin" if fin else "ack" if ack else "none"
