"""Packets of the tests of netfilter as bytes, each with its number in it, and what of them is seen again."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import ip_address

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6Unknown, IPv6
from scapy.packet import Packet as Layer
from scapy.packet import Raw

from fabric.kernel.fake_netfilter.packets import Packet

_TAG = b"fabric-packet:"
_NO_TAG = -1


def written(packet: Packet, number: int) -> bytes:
    """Return the packet from its IP header on, with its number for payload."""
    return bytes(_layers(packet, number))


@dataclass(frozen=True)
class Seen:
    """A packet as it was seen: its ends, and the number of the packet that it is or is about."""

    number: int
    protocol: int
    source: str
    destination: str
    source_port: int
    destination_port: int
    icmp: tuple[int, int] | None
    is_reset: bool

    @property
    def ends(self) -> str:
        return f"{self.source}:{self.source_port}>{self.destination}:{self.destination_port}"


def read(data: bytes, own: int | None = None) -> Seen:
    """Read a packet from its IP header on; `own` is its protocol where the header of IPv6 was taken off."""
    if own is not None:
        protocol, start, source, destination = own, 0, "", ""
    elif data[0] >> 4 == 4:
        protocol, start = data[9], (data[0] & 15) * 4
        source, destination = (str(ip_address(data[at : at + 4])) for at in (12, 16))
    else:
        protocol, start = data[6], 40
        source, destination = (str(ip_address(data[at : at + 16])) for at in (8, 24))
    body = data[start:]
    number = _number(data)
    source_port = destination_port = 0
    icmp, is_reset = None, False
    if protocol in (6, 17, 132):
        source_port, destination_port = struct.unpack("!HH", body[:4])
    if protocol in (1, 58):
        icmp = (body[0], body[1])
        source_port = int.from_bytes(body[4:6], "big") if body[0] in (0, 8, 128, 129) else 0
    if protocol == 6:
        sequence, acknowledged = struct.unpack("!II", body[4:12])
        is_reset = bool(body[13] & 4) and number == _NO_TAG
        number = max(sequence, acknowledged) >> 16 if is_reset else number
    return Seen(number, protocol, source, destination, source_port, destination_port, icmp, is_reset)


def _number(data: bytes) -> int:
    at = data.rfind(_TAG)
    return int.from_bytes(data[at + len(_TAG) :][:4], "big") if at >= 0 else _NO_TAG


def _layers(packet: Packet, number: int) -> Layer:
    tag = Raw(_TAG + number.to_bytes(4, "big"))
    ends = {"src": str(packet.source), "dst": str(packet.destination)}
    if packet.family == 4:
        head: Layer = IP(**ends, proto=packet.protocol, id=number + 1)
    else:
        head = IPv6(**ends, nh=packet.protocol)
    ports = {"sport": packet.source_port, "dport": packet.destination_port}
    match packet.protocol:
        case 6:
            letters = "".join(name[0] for name in packet.flags)
            return head / TCP(**ports, flags=letters, seq=number << 16, ack=number << 16) / tag
        case 17:
            return head / UDP(**ports) / tag
        case 132:
            return head / Raw(_sctp_init(packet, bytes(tag)))
        case 1:
            about = tag if packet.inner is None else _layers(packet.inner, number)
            return head / ICMP(type=packet.icmp_type, code=packet.icmp_code, id=packet.source_port) / about
        case 58:
            return head / _icmpv6(packet, number, tag)
    return head / Raw(bytes(4)) / tag  # Of GRE an empty header.


def _icmpv6(packet: Packet, number: int, tag: Layer) -> Layer:
    if packet.icmp_type == 128:
        return ICMPv6EchoRequest(id=packet.source_port) / tag
    about = tag if packet.inner is None else _layers(packet.inner, number)
    return ICMPv6Unknown(type=packet.icmp_type, code=packet.icmp_code, msgbody=bytes(4)) / about


def _sctp_init(packet: Packet, tag: bytes) -> bytes:
    """Return an INIT with its checksum, without which it is none."""
    tag += bytes(-len(tag) % 4)
    start = struct.pack("!HHI", packet.source_port, packet.destination_port, 0)
    chunk = struct.pack("!BBHIIHHI", 1, 0, 20 + len(tag), 1, 65535, 1, 1, 1) + tag
    crc = 0xFFFFFFFF
    for byte in start + bytes(4) + chunk:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return start + struct.pack("<I", crc ^ 0xFFFFFFFF) + chunk
