"""Headers, ECN, fragments and ICMP errors of the tunnel's carrier, judged by scapy."""

from __future__ import annotations

from ipaddress import IPv4Address
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP, defragment
from scapy.packet import Raw

from calico.carrier import CARRIER
from fabric.runtime.builtin import ipip
from fabric.runtime.builtin.carrier import PROGRAM

POD_1, POD_2 = "10.244.1.5", "10.244.2.5"
NODE_1, NODE_2 = "192.168.0.11", "192.168.0.12"
NOT_ECT, ECT_1, ECT_0, CE = range(4)
ADDRESSES = st.integers(1 << 24, 224 << 24).map(lambda n: str(IPv4Address(n)))


def inner(payload: bytes = b"x" * 64, **fields: Any) -> bytes:
    return bytes(IP(src=POD_1, dst=POD_2, **fields) / UDP(sport=1, dport=2) / Raw(payload))


def with_header(packet: bytes, gateway: str = NODE_2, id: int = 1) -> Any:
    """The packet as the carrier hands it to its socket, in scapy's layers."""
    buffer = bytearray(ipip.HEADER_BYTES) + packet
    ipip.fill_header(buffer, IPv4Address(gateway).packed, id)
    return IP(bytes(buffer))


def stripped(packet: bytes, outer_tos: int = 0, **fields: Any) -> Any:
    """The inner packet as the carrier hands it to the device, or None."""
    arrived = bytearray(bytes(IP(src=NODE_2, dst=NODE_1, proto=4, tos=outer_tos, **fields) / Raw(packet)))
    found = ipip.strip(memoryview(arrived), len(arrived))
    return None if found is None else IP(bytes(found))


def correct(packet: Any) -> bool:
    """Whether all checksums of a packet are as scapy computes them."""
    again = packet.copy()
    for layer in (IP, UDP, ICMP):
        if layer in again:
            del again[layer].chksum
    return bytes(again) == bytes(packet)


def test_calico_calls_the_program_by_its_name():
    assert CARRIER.argv[0] == PROGRAM


@given(ADDRESSES, st.integers(1, 255), st.sampled_from(["", "DF"]), st.integers(0, 63))
def test_the_outer_header_is_the_ipip_drivers(gateway: str, ttl: int, flags: str, dscp: int):
    outer = with_header(inner(ttl=ttl, flags=flags, tos=dscp << 2), gateway)
    assert (outer.version, outer.ihl, outer.proto, outer.dst, outer.ttl) == (4, 5, 4, gateway, ttl)
    assert (str(outer.flags), outer.frag, outer.tos) == (flags, 0, 0)
    assert (outer.len, outer.chksum, outer.src) == (0, 0, "0.0.0.0"), "the kernel fills these"


def test_identifications_count_to_each_gateway_by_itself_and_are_never_0():
    numbers = ipip.Identifications()
    here = [numbers.next(b"here") for _ in range(70_000)]
    there = [numbers.next(b"there") for _ in range(3)]
    for counted in (here, there):
        steps = {(after - before) % 65536 for before, after in pairwise(counted)}
        assert 0 not in counted and steps <= {1, 2}
    assert len({ipip.Identifications().next(b"") for _ in range(20)}) > 1


@pytest.mark.parametrize(
    ("inner_ecn", "outer_ecn"), [(NOT_ECT, NOT_ECT), (ECT_0, ECT_0), (ECT_1, ECT_1), (CE, ECT_0)]
)
def test_the_way_in_begins_without_congestion(inner_ecn: int, outer_ecn: int):
    assert with_header(inner(tos=0xB8 | inner_ecn)).tos == outer_ecn


ARRIVALS = {
    (NOT_ECT, NOT_ECT): NOT_ECT,
    (NOT_ECT, ECT_1): NOT_ECT,
    (NOT_ECT, ECT_0): NOT_ECT,
    (NOT_ECT, CE): None,
    (ECT_0, NOT_ECT): ECT_0,
    (ECT_0, ECT_1): ECT_1,
    (ECT_0, ECT_0): ECT_0,
    (ECT_0, CE): CE,
    (ECT_1, NOT_ECT): ECT_1,
    (ECT_1, ECT_1): ECT_1,
    (ECT_1, ECT_0): ECT_1,
    (ECT_1, CE): CE,
    (CE, NOT_ECT): CE,
    (CE, ECT_1): CE,
    (CE, ECT_0): CE,
    (CE, CE): CE,
}
"""RFC 6040, figure 4: by what the inner and the outer header say; None is dropped."""


@pytest.mark.parametrize(("pair", "result"), ARRIVALS.items())
def test_congestion_on_the_way_is_told_inside(pair: tuple[int, int], result: int | None):
    inner_ecn, outer_ecn = pair
    packet = stripped(inner(tos=0xB8 | inner_ecn), outer_tos=outer_ecn)
    if result is None:
        assert packet is None
    else:
        assert packet.tos == 0xB8 | result
        assert correct(packet)


@given(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=200), st.integers(0, 65535))
def test_a_checksum_stays_right_whatever_the_outer_header_says(tos: int, outer: int, data: bytes, id: int):
    packet = stripped(inner(data, tos=tos, id=id), outer_tos=outer)
    assert packet is None or correct(packet)


def test_what_is_behind_the_inner_packet_and_options_of_the_outer_are_cut_off():
    packet = inner()
    assert bytes(stripped(packet + b"padding", options=b"\1\1\1\1")) == packet


@pytest.mark.parametrize(
    "packet",
    [b"", b"\x45" + bytes(18), b"\x60" + bytes(60), inner()[:-1], b"\x45\0\0\x13" + bytes(40)],
    ids=["empty", "too short", "IPv6", "cut", "a length below the header's"],
)
def test_what_is_no_ipv4_packet_is_dropped(packet: bytes):
    assert stripped(packet) is None


@given(st.integers(28, 1500), st.integers(1, 65535), st.integers(0, 3000))
def test_fragments_fit_and_are_the_packet_again(mtu: int, id: int, size: int):
    packet = with_header(inner(bytes(n % 251 for n in range(size))), id=id)
    pieces = list(ipip.fragments(memoryview(bytes(packet)), mtu))
    assert all(len(piece) <= mtu for piece in pieces)
    whole = [_as_sent(piece) for piece in pieces]
    (together,) = defragment(whole) if len(whole) > 1 else whole
    assert bytes(together[IP].payload) == bytes(packet.payload)
    assert {(piece.id, piece.dst, piece.proto) for piece in whole} == {(id, NODE_2, 4)}


def _as_sent(piece: bytes) -> Any:
    """With what the kernel fills in."""
    packet = IP(piece)
    packet.len, packet.src = len(piece), NODE_1
    del packet.chksum
    return IP(bytes(packet))


@given(st.binary(max_size=1500), st.integers(68, 65535))
def test_fragmentation_needed_quotes_the_packet_and_names_the_mtu(payload: bytes, mtu: int):
    packet = inner(payload, flags="DF")
    message = ICMP(ipip.unreachable(ipip.FRAGMENTATION_NEEDED, memoryview(packet), mtu))
    assert (message.type, message.code, message.nexthopmtu) == (3, 4, mtu)
    assert bytes(message.payload) == packet[:548]
    assert correct(message)


def test_host_unreachable_names_no_mtu():
    message = ICMP(ipip.unreachable(ipip.HOST_UNREACHABLE, memoryview(inner())))
    assert (message.type, message.code, message.nexthopmtu) == (3, 1, 0)


TOLD = {
    "a datagram": IP(src=POD_1, dst=POD_2) / UDP(),
    "an echo request": IP(src=POD_1, dst=POD_2) / ICMP(type=8),
    "a first fragment": IP(src=POD_1, dst=POD_2, flags="MF") / UDP(),
}
NOT_TOLD = {
    "a later fragment": IP(src=POD_1, dst=POD_2, frag=100) / Raw(b"x"),
    "an error": IP(src=POD_1, dst=POD_2) / ICMP(type=3),
    "an ICMP message without a type": IP(src=POD_1, dst=POD_2, proto=1),
    "a multicast": IP(src=POD_1, dst="224.0.0.5") / UDP(),
    "a broadcast": IP(src=POD_1, dst="255.255.255.255") / UDP(),
    "one from nobody": IP(src="0.0.0.0", dst=POD_2) / UDP(),
    "one from many": IP(src="239.1.1.1", dst=POD_2) / UDP(),
    "one from the loopback": IP(src="127.0.0.1", dst=POD_2) / UDP(),
}


@pytest.mark.parametrize("packet", TOLD.values(), ids=TOLD.keys())
def test_icmp_tells_of(packet: Any):
    assert ipip.may_be_told_of(memoryview(bytes(packet)))


@pytest.mark.parametrize("packet", NOT_TOLD.values(), ids=NOT_TOLD.keys())
def test_icmp_does_not_tell_of(packet: Any):
    assert not ipip.may_be_told_of(memoryview(bytes(packet)))
