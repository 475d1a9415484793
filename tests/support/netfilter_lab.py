"""A client, a router and a server in namespaces of their own: packets are put on the wire and seen again.

Each packet carries a number. Nobody answers but the router's netfilter: its sockets take packets in silence.
All packets are sent from one processor, whose queues keep the order; when a last frame has gone the same way,
all is seen that will be.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import select
import socket
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from fabric.kernel import programs
from fabric.kernel.fake_netfilter.packets import Packet
from fabric.kernel.linux import LinuxKernel
from fabric.kernel.namespaces import inside
from fabric.kernel.sets import compose
from fabric.netstate.objects import LinkUp, NetState
from fabric.netstate.plan import Step
from support.case_contract import put
from support.frames import Seen, read, written
from support.namespaces import held_by_threads
from support.netfilter_contract import Outcome
from support.netfilter_rules import Place, RuleSet, counters
from support.netfilter_world import CLIENT_MAC, DEVICES, FAR, FAR_END, ROUTER, ROUTER_MACS, SERVER_MAC, SETS

PORTS = (22, 53, 80, 443, 1000, 4789, 8080, 30080)
"""The ports at which the router itself listens."""
_PROTOCOLS = (1, 4, 6, 17, 47, 132)
_PROTOCOLS_V6 = (6, 17, 58, 47)
_ETH_P_ALL, _FENCE = 3, 0x88B5
_PACKET_OUTGOING = 4
_SO_ATTACH_FILTER = 26
_IPV6_HDRINCL = 36
_SECONDS_MAX = 30.0


class NetfilterLab:
    """The router on Linux, with one flavour of iptables."""

    def __init__(self, pids: dict[str, int], flavour: str, opened: ExitStack) -> None:
        self._router = pids["router"]
        self._flavour = flavour
        self._wires: dict[str, socket.socket] = {}
        self._fences: dict[str, socket.socket] = {}
        for dev, far in FAR.items():
            self._wires[dev] = opened.enter_context(_wire(pids[far], "eth0", _ETH_P_ALL))
            self._fences[dev] = opened.enter_context(_wire(self._router, dev, _FENCE))
        with inside(self._router):
            self._taken = [opened.enter_context(it) for it in _takers()]
            self._senders = {family: opened.enter_context(it) for family, it in _senders().items()}
            for it in _listeners():
                opened.enter_context(it)
        programs.run(self._router, ("ipset", "restore"), compose([Step("add", it) for it in SETS], ()))

    def load(self, rules: RuleSet) -> None:
        """Put these rules in the place of all others of their family, and forget all connections."""
        tool = f"ip{'6' * (rules.family == 6)}tables-{self._flavour}-restore"
        programs.run(self._router, (tool,), rules.restore())
        programs.run(self._router, ("conntrack", "-F"))

    def met(self, rules: RuleSet) -> Counter[Place]:
        """Return how often each rule was met since it was loaded."""
        tool = f"ip{'6' * (rules.family == 6)}tables-{self._flavour}-save"
        return counters(programs.run(self._router, (tool, "-c")))

    def send(self, packets: Sequence[Packet]) -> list[Outcome]:
        """Send all packets, in order, and return what became of each."""
        self._drain()
        with _on_one_processor():
            before = ""
            for number, packet in enumerate(packets):
                if before and not packet.in_interface:
                    self._pass_fence()
                before = packet.in_interface
                self._put(packet, written(packet, number))
            self._pass_fence()
            seen = self._collect()
        return [_outcome(number, packet, seen) for number, packet in enumerate(packets)]

    def _put(self, packet: Packet, data: bytes) -> None:
        dev = packet.in_interface
        if dev:
            far = CLIENT_MAC if dev == "cali1" else SERVER_MAC
            kind = 0x0800 if packet.family == 4 else 0x86DD
            self._wires[dev].send(_frame(ROUTER_MACS[dev], far, kind) + data)
            return
        with suppress(PermissionError, OSError):  # What OUTPUT drops is told to its sender.
            self._senders[packet.family].sendto(data, (str(packet.destination), 0))

    def _pass_fence(self) -> None:
        """Wait until all that was sent has come to the router."""
        for dev, mac in ROUTER_MACS.items():
            self._wires[dev].send(_frame(mac, "02:00:00:00:00:ff", _FENCE) + bytes(46))
            _wait_for(self._fences[dev])

    def _collect(self) -> list[tuple[str, Seen]]:
        """Return all that was seen, and where; the router's own fence comes last."""
        found = []
        for dev, wire in self._wires.items():
            self._fences[dev].send(_frame("02:00:00:00:00:fe", ROUTER_MACS[dev], _FENCE) + bytes(46))
            while (frame := _received(wire))[12:14] != _FENCE.to_bytes(2, "big"):
                if frame[12:14] in (b"\x08\x00", b"\x86\xdd"):
                    found.append((dev, read(frame[14:])))
        for it in self._taken:
            own = it.proto if it.family == socket.AF_INET6 else None
            while (data := _taken(it)) is not None:
                found.append(("local", read(data, own)))
        return found

    def _drain(self) -> None:
        for it in (*self._wires.values(), *self._fences.values(), *self._taken):
            while _taken(it) is not None:
                pass


@contextmanager
def netfilter_lab(flavour: str) -> Iterator[NetfilterLab]:
    """Yield the router between its client and its server; it is gone afterwards."""
    with held_by_threads("router", "client", "server") as pids, ExitStack() as opened:
        asyncio.run(_build(LinuxKernel(pids)))
        yield NetfilterLab(pids, flavour, opened)


async def _build(kernel: LinuxKernel) -> None:
    try:
        await put(kernel.host("router"), *DEVICES)
        for far in FAR.values():
            await put(kernel.host(far), *FAR_END)
        await put(kernel.host("router"), *_before_up(ROUTER))
        await put(kernel.host("router"), *ROUTER)
    finally:
        kernel.close()


def _before_up(state: NetState) -> list[object]:
    return [it for it in state if not isinstance(it, LinkUp) and it.key[0] == "sysctl"]  # type: ignore[index]


def _outcome(number: int, packet: Packet, seen: Sequence[tuple[str, Seen]]) -> Outcome:
    where = ends = answer = ""
    for place, it in seen:
        if it.number != number:
            continue
        is_answer = it.is_reset or (it.icmp != (packet.icmp_type, packet.icmp_code) and it.icmp is not None)
        if is_answer:
            told = "tcp-reset" if it.is_reset else f"icmp {it.icmp[0]}/{it.icmp[1]}" if it.icmp else ""
            answer = f"{told} at {place}"
        else:
            where, ends = place, it.ends if it.source else ""
    return Outcome(where, ends, answer)


def _frame(to: str, sender: str, kind: int) -> bytes:
    return bytes.fromhex((to + sender).replace(":", "")) + kind.to_bytes(2, "big")


def _wire(pid: int, dev: str, kind: int) -> socket.socket:
    with inside(pid):
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(kind))
        opened.bind((dev, kind))
    return opened


def _takers() -> Iterator[socket.socket]:
    """Yield raw sockets, which see what INPUT lets through."""
    for family, protocols in ((socket.AF_INET, _PROTOCOLS), (socket.AF_INET6, _PROTOCOLS_V6)):
        for protocol in protocols:
            yield socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)


def _senders() -> dict[int, socket.socket]:
    found = {
        4: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
        6: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW),
    }
    found[6].setsockopt(socket.IPPROTO_IPV6, _IPV6_HDRINCL, 1)
    return found


def _listeners() -> Iterator[socket.socket]:
    """Yield sockets by which the router answers nothing: a TCP socket's filter drops what comes to it."""
    drop = struct.pack("HBBI", 6, 0, 0, 0)
    for port in PORTS:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            opened = socket.socket(socket.AF_INET6, kind)
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            opened.bind(("::", port))
            if kind == socket.SOCK_STREAM:
                with _buffer(drop) as address:
                    opened.setsockopt(
                        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HxxxxxxQ", 1, address)
                    )
                opened.listen()
            yield opened


@contextmanager
def _buffer(data: bytes) -> Iterator[int]:
    kept = ctypes.create_string_buffer(data)
    yield ctypes.addressof(kept)


def _wait_for(it: socket.socket) -> None:
    _received(it)
    while _taken(it) is not None:
        pass


def _received(it: socket.socket) -> bytes:
    """Return the next packet that came in."""
    while (data := _taken(it)) is None:
        ready, _, _ = select.select([it], [], [], _SECONDS_MAX)
        assert ready, "a frame that no rule concerns did not arrive"
    return data


def _taken(it: socket.socket) -> bytes | None:
    """Return what has come in, without what went out over the same device; None when there is no more."""
    while True:
        try:
            data, address = it.recvfrom(65536)
        except BlockingIOError:
            return None
        if it.family != socket.AF_PACKET or address[2] != _PACKET_OUTGOING:
            return data


@contextmanager
def _on_one_processor() -> Iterator[None]:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
