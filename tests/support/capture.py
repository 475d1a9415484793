"""Frames as they pass through namespaces, taken by packet sockets and taken apart by scapy.

A packet socket gets its copy of a frame in the very call that sends it on, so that once a ping has its
answer every frame of it is there: nothing waits, and `frames` only empties the sockets. A socket holds
BUFFER_BYTES at most; frames beyond that are counted by Linux, and make `frames` fail.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any

from scapy.layers import vxlan as vxlan  # tells UDP ports 4789 and 8472
from scapy.layers.l2 import Ether

from fabric.kernel.namespaces import inside

BUFFER_BYTES = 4 << 20
FRAMES_MAX = 20_000
_ETH_P_ALL, _SOL_PACKET, _PACKET_STATISTICS, _SO_RCVBUFFORCE = 0x0003, 263, 6, 33
_ETHERNET = 1
_SO_ATTACH_FILTER = 26
_ETHERNET_ONLY = struct.pack(
    "=" + "HBBI" * 4,
    *(0x20, 0, 0, 0xFFFFF000 + 28),  # load the device's type (SKF_AD_OFF + SKF_AD_HATYPE)
    *(0x15, 0, 1, _ETHERNET),  # anything else than Ethernet, above all a busy loopback,
    *(0x06, 0, 0, 0xFFFFFFFF),
    *(0x06, 0, 0, 0),  # takes no room
)


@dataclass(frozen=True)
class Frame:
    """One frame on one device."""

    place: str
    """The namespace, as the capture was told its name."""
    device: str
    data: bytes

    @cached_property
    def packet(self) -> Any:
        """The frame in scapy's layers."""
        return Ether(self.data)


class Frames(tuple[Frame, ...]):
    """Frames in the order in which each place saw them."""

    def of(self, place: str = "", device: str = "", *, holding: bytes = b"") -> Frames:
        """Return those of a place, or of a device there, and of them those that hold the bytes."""
        return Frames(
            frame
            for frame in self
            if place in ("", frame.place) and device in ("", frame.device) and holding in frame.data
        )

    @property
    def devices(self) -> list[str]:
        """The devices that the frames passed, each once, in order."""
        return list(dict.fromkeys(frame.device for frame in self))

    @property
    def packets(self) -> list[Any]:
        """The frames in scapy's layers."""
        return [frame.packet for frame in self]


class Capture:
    """Everything that passes through some namespaces while the `with` lasts, on every Ethernet device."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._sockets: dict[str, socket.socket] = {}
        self._taken: list[Frame] = []
        try:
            for place, pid in pids.items():
                with inside(pid):
                    self._sockets[place] = _packet_socket()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self, type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for opened in self._sockets.values():
            opened.close()

    def frames(self) -> Frames:
        """Return what was seen so far, in each place in order; AssertionError when some are lost."""
        for place, opened in self._sockets.items():
            self._empty(place, opened)
        return Frames(self._taken)

    def _empty(self, place: str, opened: socket.socket) -> None:
        while True:
            try:
                data, (device, _, _, hardware, *_) = opened.recvfrom(1 << 16)
            except BlockingIOError:
                break
            assert len(self._taken) < FRAMES_MAX, f"{place}: more than {FRAMES_MAX} frames"
            if hardware == _ETHERNET:  # the socket may have got others before it had its filter
                self._taken.append(Frame(place, device, data))
        _, lost = struct.unpack("=II", opened.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        assert not lost, f"{place}: {lost} frames did not fit into {BUFFER_BYTES} bytes"


def mark() -> bytes:
    """Sixteen bytes for `ping -p`, found again in every frame of that ping and in no other."""
    return os.urandom(16)


def _packet_socket() -> socket.socket:
    """A socket that hears of every frame on every device of the namespace which the thread is in."""
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    opened = socket.socket(socket.AF_PACKET, kind, socket.htons(_ETH_P_ALL))
    opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER_BYTES)
    program = ctypes.create_string_buffer(_ETHERNET_ONLY, len(_ETHERNET_ONLY))
    head = struct.pack("@HP", len(_ETHERNET_ONLY) // 8, ctypes.addressof(program))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, head)
    return opened
