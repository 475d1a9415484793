"""IPv4 in IPv4 (RFC 2003) as Linux' ipip driver does it, on bytes: headers, ECN, fragments, ICMP errors.

The outer header takes over the inner one's TTL and its Don't Fragment; its DSCP is 0 and its ECN follows
RFC 6040. The identification counts, to each gateway by itself. Total length, checksum and source are filled
in by the kernel when the packet leaves through a raw socket (raw(7), IP_HDRINCL). A packet that is to leave
lies behind room for its outer header.
"""

from __future__ import annotations

import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER_BYTES = 20
PROTOCOL, _ICMP = 4, 1
UNREACHABLE, HOST_UNREACHABLE, FRAGMENTATION_NEEDED = 3, 1, 4
_DONT_FRAGMENT, _MORE_FRAGMENTS = 0x40, 0x2000
_NOT_ECT, _ECT_1, _ECT_0, _CE = range(4)
_OUTER_ECN = (_NOT_ECT, _ECT_1, _ECT_0, _ECT_0)
"""By the inner one (include/net/inet_ecn.h, INET_ECN_encapsulate): congestion so far is not told again."""
_QUOTED_BYTES_MAX = 576 - HEADER_BYTES - 8
"""Of the packet that an ICMP message is about (RFC 1812, 4.3.2.3)."""
_ICMP_ERRORS = frozenset((3, 4, 5, 11, 12))
_HEADER = struct.Struct("!BBHHBBBBHI4s")


class Identifications:
    """The identifications of outer headers: from a random one on, never 0, which the kernel would replace."""

    def __init__(self) -> None:
        self._last: dict[bytes, int] = {}

    def next(self, gateway: bytes) -> int:
        """The next one of the packets to this gateway."""
        last = self._last.get(gateway)
        number = int.from_bytes(os.urandom(2)) if last is None else last + 1
        self._last[gateway] = number = number & 0xFFFF or 1
        return number


def fill_header(packet: bytearray, gateway: bytes, identification: int) -> None:
    """Write the outer header in front of the inner packet at byte 20."""
    ecn = _OUTER_ECN[packet[21] & 3]
    flags = packet[26] & _DONT_FRAGMENT
    _HEADER.pack_into(packet, 0, 0x45, ecn, 0, identification, flags, 0, packet[28], PROTOCOL, 0, 0, gateway)


def may_fragment(inner: memoryview) -> bool:
    return not inner[6] & _DONT_FRAGMENT


def fragments(packet: memoryview, mtu: int) -> Iterator[bytes]:
    """Yield a packet, whose outer header is filled, in pieces of at most `mtu` bytes; `mtu` is 28 or more."""
    room = (mtu - HEADER_BYTES) & ~7
    for at in range(HEADER_BYTES, len(packet), room):
        head = bytearray(packet[:HEADER_BYTES])
        place = (at - HEADER_BYTES) >> 3 | (_MORE_FRAGMENTS if at + room < len(packet) else 0)
        struct.pack_into("!H", head, 6, place)
        yield bytes(head) + packet[at : at + room]


def strip(packet: memoryview, size: int) -> memoryview | None:
    """Return the inner packet of a received one of `size` bytes; None when it is none, or is to be dropped.

    Congestion that the outer packet met is written into the inner one (RFC 6040, 4.2).
    """
    at = (packet[0] & 15) * 4
    if size < at + HEADER_BYTES or packet[at] >> 4 != 4:
        return None
    length = packet[at + 2] << 8 | packet[at + 3]
    if not HEADER_BYTES <= length <= size - at:
        return None
    inner = packet[at : at + length]
    outer_ecn = packet[1] & 3
    return inner if outer_ecn == _NOT_ECT or _take_over(inner, outer_ecn) else None


def _take_over(inner: memoryview, outer_ecn: int) -> bool:
    """Note the outer packet's ECN in the inner one; False when it must be dropped."""
    inner_ecn = inner[1] & 3
    if inner_ecn == _NOT_ECT:
        return outer_ecn != _CE
    if outer_ecn == _CE:
        _set_ecn(inner, _CE)
    elif outer_ecn == _ECT_1 and inner_ecn == _ECT_0:
        _set_ecn(inner, _ECT_1)
    return True


def _set_ecn(packet: memoryview, ecn: int) -> None:
    """Change it, and the checksum by the difference (RFC 1624)."""
    before = packet[1]
    packet[1] = before & ~3 | ecn
    total = (~int.from_bytes(packet[10:12], "big") & 0xFFFF) + (~before & 0xFFFF) + packet[1]
    packet[10:12] = _folded(total).to_bytes(2, "big")


def may_be_told_of(packet: memoryview) -> bool:
    """Whether an ICMP error may be sent about a packet (RFC 1122, 3.2.2)."""
    if packet[6] & 0x1F or packet[7]:
        return False
    if packet[16] >= 224 or packet[12] >= 224 or packet[12] in (0, 127):
        return False
    at = (packet[0] & 15) * 4
    return packet[9] != _ICMP or (len(packet) > at and packet[at] not in _ICMP_ERRORS)


def unreachable(code: int, packet: memoryview, mtu: int = 0) -> bytes:
    """Return the ICMP message that a packet came no further, with the next link's MTU (RFC 1191)."""
    body = struct.pack("!BBHHH", UNREACHABLE, code, 0, 0, mtu) + packet[:_QUOTED_BYTES_MAX]
    return body[:2] + _checksum(body).to_bytes(2, "big") + body[4:]


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    return _folded(sum(struct.unpack(f"!{len(data) // 2}H", data)))


def _folded(total: int) -> int:
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
