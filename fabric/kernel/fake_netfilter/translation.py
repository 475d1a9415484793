"""Network address translation: how a connection's ends are chosen, and each packet of it rewritten.

As nf_nat does it: a connection is decided about once at each end, by its first packet; its later packets, its
answers and the ICMP errors about it follow. A port that Linux would draw at random is drawn from the
connection itself here, so that it is the same each time.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from fabric.kernel.fake_netfilter.members import WITH_PORTS
from fabric.kernel.fake_netfilter.packets import ICMP, ICMPV6, Nat
from fabric.kernel.fake_netfilter.skb import Skb
from fabric.kernel.fake_netfilter.tracking import Connection, Connections, ConntrackTuple, End

END_AT: dict[str, End] = {
    "PREROUTING": "destination",
    "OUTPUT": "destination",
    "INPUT": "source",
    "POSTROUTING": "source",
}
"""The end that the nat table translates at each hook."""


class Range(NamedTuple):
    """The address and ports that a rule of NAT asks for; what is None or 0 stays."""

    address: int | None = None
    low: int = 0
    high: int = 0
    is_random: bool = False


def settle(connections: Connections, connection: Connection, end: End, wanted: Range) -> None:
    """Decide about one end of a connection, for good."""
    now = connection.reply.inverted()
    new = _unique(connections, now, end, wanted)
    if new != now:
        connection.reply = new.inverted()
        connection.translated.add(end)
    connection.settled.add(end)


def translate(skb: Skb) -> None:
    """Rewrite a packet at its hook as its connection's translation says."""
    end, connection = END_AT[skb.hook], skb.connection
    assert connection is not None
    ours: End = end if not skb.is_reply else _other(end)
    if ours not in connection.translated:
        return
    target = connection.tuple_of(not skb.is_reply).inverted()
    if skb.is_icmp_error and skb.inner is not None:
        _rewrite(skb.inner, _other(end), target.inverted())
        _rewrite_address(skb, end, target)
        return
    old = _end_of(skb, end)
    _rewrite(skb, end, target)
    new = _end_of(skb, end)
    skb.nat.append(Nat(end, (skb.address(old[0]), old[1]), (skb.address(new[0]), new[1])))


def _rewrite(skb: Skb, end: End, target: ConntrackTuple) -> None:
    _rewrite_address(skb, end, target)
    if skb.protocol in (ICMP, ICMPV6):
        skb.source_port = target.source_port
    elif skb.protocol in WITH_PORTS:
        if end == "source":
            skb.source_port = target.source_port
        else:
            skb.destination_port = target.destination_port


def _rewrite_address(skb: Skb, end: End, target: ConntrackTuple) -> None:
    if end == "source":
        skb.source = target.source
    else:
        skb.destination = target.destination


def _end_of(skb: Skb, end: End) -> tuple[int, int]:
    if end == "source":
        return skb.source, skb.source_port
    return skb.destination, skb.destination_port


def _other(end: End) -> End:
    return "destination" if end == "source" else "source"


def _unique(connections: Connections, now: ConntrackTuple, end: End, wanted: Range) -> ConntrackTuple:
    """Return the tuple with the wanted end, and with a port by which no other connection has it."""
    address = f"{end}"
    new = now if wanted.address is None else now._replace(**{address: wanted.address})
    is_icmp = now.protocol in (ICMP, ICMPV6)
    if not is_icmp and now.protocol not in WITH_PORTS:
        return new
    name = "source_port" if end == "source" or is_icmp else "destination_port"
    port: int = getattr(new, name)
    low, high = wanted.low, wanted.high or wanted.low
    if not wanted.is_random:
        fits = not low or low <= port <= high
        if fits and ((low and low == high) or not connections.has(new.inverted())):
            return new
    if not low:
        if name == "destination_port":
            return new
        low, high = _usual_ports(port, is_icmp)
    size = high - low + 1
    start = zlib.crc32(repr(new).encode()) % size
    tries = (new._replace(**{name: low + (start + step) % size}) for step in range(size))
    return next((it for it in tries if not connections.has(it.inverted())), new)


def _usual_ports(port: int, is_icmp: bool) -> tuple[int, int]:
    if is_icmp:
        return 0, 65535
    return (1, 511) if port < 512 else (600, 1023) if port < 1024 else (1024, 65535)
