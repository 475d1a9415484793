"""Whether a device has its link, asked by one ioctl of a socket in the device's namespace."""

from __future__ import annotations

import fcntl
import socket
import struct

_SIOCGIFFLAGS = 0x8913
_IFREQ = struct.Struct("16sH22x")
_IFF_RUNNING = 0x40
"""Up, with a carrier, and told as such: then a bridge takes packets from the port at the other end."""


def is_running(opened: socket.socket, device: str) -> bool:
    """Return whether the device can carry packets now; OSError when there is no such device."""
    answer = fcntl.ioctl(opened.fileno(), _SIOCGIFFLAGS, _IFREQ.pack(device.encode(), 0))
    flags: int = _IFREQ.unpack(answer)[1]
    return bool(flags & _IFF_RUNNING)
