"""Root queueing disciplines as netlink requests, and back.

Ours have the handle 1:, so that one more of the same kind changes what is there and drops no packet; one of
another kind is made anew. Structures are those of linux/pkt_sched.h; lengths of time go in ticks of 64 ns,
netem's in nanoseconds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fabric.kernel import netlink
from fabric.kernel.netlink import Request, attribute, text
from fabric.netstate.qdiscs import TICK_NS, Qdisc, bytes_of, queue_of, ticks_of, wait_of

RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC = 36, 37, 38
RTM_NEWTCLASS, RTM_GETTCLASS = 40, 42
_TC_H_ROOT = 0xFFFFFFFF
_HANDLE, _CLASS = 0x10000, 0x10001
_TCMSG = struct.Struct("=BxxxiIII")
_TCA_KIND, _TCA_OPTIONS = 1, 2
_TCA_TBF_PARMS, _TCA_HTB_PARMS, _TCA_HTB_INIT = 1, 1, 2
_TCA_NETEM_REORDER, _TCA_NETEM_RATE, _TCA_NETEM_LATENCY64, _TCA_NETEM_JITTER64 = 3, 6, 10, 11
_RATE = struct.Struct("=BBHhHI")
"""tc_ratespec: its second byte is the link layer, 1 for Ethernet: rates are computed, not looked up."""
_TBF = struct.Struct("=12s12sIII")
_HTB_GLOBAL = struct.Struct("=IIIII")
_HTB = struct.Struct("=12s12sIIIII")
_NETEM = struct.Struct("=IIIIII")
_NETEM_LIMIT = 1000
"""Packets that netem holds at once; what comes on top is lost."""
_HTB_VERSION, _HTB_RATE_TO_QUANTUM, _HTB_QUANTUM = 3, 10, 1514
_MILLION = 10**6


def requests(obj: Qdisc, index: int, verb: str, flags: int) -> list[Request]:
    """Return the requests that add, replace or delete the root queue of the device with that index."""
    if verb == "delete":
        return [Request(RTM_DELQDISC, 0, _TCMSG.pack(0, index, 0, _TC_H_ROOT, 0))]
    head = _TCMSG.pack(0, index, _HANDLE, _TC_H_ROOT, 0) + text(_TCA_KIND, obj.kind)
    match obj.kind:
        case "tbf":
            return [Request(RTM_NEWQDISC, flags, head + attribute(_TCA_OPTIONS, _tbf(obj)))]
        case "netem":
            return [Request(RTM_NEWQDISC, flags, head + attribute(_TCA_OPTIONS, _netem(obj)))]
    made = head + attribute(_TCA_OPTIONS, _htb_global()) if verb == "add" else b""
    rate = _TCMSG.pack(0, index, _CLASS, _HANDLE, 0) + text(_TCA_KIND, "htb")
    changed = Request(RTM_NEWTCLASS, netlink.NLM_F_CREATE, rate + attribute(_TCA_OPTIONS, _htb(obj)))
    return [Request(RTM_NEWQDISC, flags, made), changed] if made else [changed]


def read(socket: netlink.Socket, names: Mapping[int, str]) -> Iterator[Qdisc]:
    """Yield the root queue of every device that has a tbf, a netem, or an htb with one default class."""
    for kind, body in socket.dump(RTM_GETQDISC, _TCMSG.pack(0, 0, 0, 0, 0)):
        _, index, _, parent, _ = _TCMSG.unpack_from(body)
        found = netlink.attributes(body, _TCMSG.size)
        device, name = names.get(index), found.get(_TCA_KIND, b"").rstrip(b"\0").decode(errors="replace")
        if kind != RTM_NEWQDISC or parent != _TC_H_ROOT or device is None:
            continue
        options = found.get(_TCA_OPTIONS, b"")
        match name:
            case "tbf":
                yield _read_tbf(device, options)
            case "netem":
                yield _read_netem(device, options)
            case "htb":
                yield from _read_htb(socket, device, index)


def _rate(rate: int) -> bytes:
    return _RATE.pack(0, 1, 0, 0, 0, rate // 8)


def _tbf(obj: Qdisc) -> bytes:
    ticks = ticks_of(obj.rate, obj.burst) if obj.rate else 0
    limit = (queue_of(obj.rate, obj.latency_us) if obj.rate else 0) + obj.burst
    return attribute(_TCA_TBF_PARMS, _TBF.pack(_rate(obj.rate), bytes(12), limit, ticks, 0))


def _read_tbf(device: str, options: bytes) -> Qdisc:
    parms = netlink.attributes(options)[_TCA_TBF_PARMS]
    rate_spec, _, limit, ticks, _ = _TBF.unpack_from(parms)
    rate = 8 * int(_RATE.unpack(rate_spec)[-1])
    burst = bytes_of(rate, ticks)
    return Qdisc(device, "tbf", rate, burst, wait_of(rate, max(0, limit - burst)))


def _htb_global() -> bytes:
    packed = _HTB_GLOBAL.pack(_HTB_VERSION, _HTB_RATE_TO_QUANTUM, _CLASS - _HANDLE, 0, 0)
    return attribute(_TCA_HTB_INIT, packed)


def _htb(obj: Qdisc) -> bytes:
    ticks = ticks_of(obj.rate, obj.burst) if obj.rate else 0
    rate = _rate(obj.rate)
    return attribute(_TCA_HTB_PARMS, _HTB.pack(rate, rate, ticks, ticks, _HTB_QUANTUM, 0, 0))


def _read_htb(socket: netlink.Socket, device: str, index: int) -> Iterator[Qdisc]:
    for _, body in socket.dump(RTM_GETTCLASS, _TCMSG.pack(0, index, 0, 0, 0)):
        if _TCMSG.unpack_from(body)[2] & 0xFFFF == _CLASS - _HANDLE:
            options = netlink.attributes(body, _TCMSG.size)[_TCA_OPTIONS]
            rate_spec, _, ticks, *_ = _HTB.unpack_from(netlink.attributes(options)[_TCA_HTB_PARMS])
            rate = 8 * int(_RATE.unpack(rate_spec)[-1])
            yield Qdisc(device, "htb", rate, bytes_of(rate, ticks))


@dataclass(frozen=True, slots=True)
class _Share:
    """A share of packets as Linux says it: 32 bits are certainty."""

    ppm: int

    @classmethod
    def read(cls, number: int) -> _Share:
        return cls(round(number * _MILLION / 0xFFFFFFFF))

    @property
    def number(self) -> int:
        return round(self.ppm * 0xFFFFFFFF / _MILLION)


def _netem(obj: Qdisc) -> bytes:
    """All of it each time: what a change leaves out stays as it was."""
    delay, jitter = (us * 1000 // TICK_NS for us in (obj.delay_us, obj.jitter_us))
    gap = int(obj.reorder_ppm > 0)
    return (
        _NETEM.pack(delay, _NETEM_LIMIT, _Share(obj.loss_ppm).number, gap, 0, jitter)
        + attribute(_TCA_NETEM_REORDER, struct.pack("=II", _Share(obj.reorder_ppm).number, 0))
        + attribute(_TCA_NETEM_RATE, struct.pack("=IiIi", obj.rate // 8, 0, 0, 0))
        + attribute(_TCA_NETEM_LATENCY64, struct.pack("=q", obj.delay_us * 1000))
        + attribute(_TCA_NETEM_JITTER64, struct.pack("=q", obj.jitter_us * 1000))
    )


def _read_netem(device: str, options: bytes) -> Qdisc:
    delay, _, loss, gap, _, jitter = _NETEM.unpack_from(options)
    found = netlink.attributes(options, _NETEM.size)
    rate = struct.unpack_from("=I", found.get(_TCA_NETEM_RATE, bytes(4)))[0]
    reorder = struct.unpack_from("=I", found.get(_TCA_NETEM_REORDER, bytes(4)))[0]
    return Qdisc(
        device,
        "netem",
        rate=8 * rate,
        delay_us=_nanoseconds(found.get(_TCA_NETEM_LATENCY64), delay) // 1000,
        jitter_us=_nanoseconds(found.get(_TCA_NETEM_JITTER64), jitter) // 1000,
        loss_ppm=_Share.read(loss).ppm,
        reorder_ppm=_Share.read(reorder).ppm if gap else 0,
    )


def _nanoseconds(exact: bytes | None, ticks: int) -> int:
    return int(struct.unpack("=q", exact)[0]) if exact else ticks * TICK_NS
