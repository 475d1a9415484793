"""Making a TUN device: a descriptor of /dev/net/tun names it, and asks for it to outlive the descriptor."""

from __future__ import annotations

import errno
import fcntl
import os
import struct

CLONE_DEVICE = "/dev/net/tun"
TUN, TAP = 0x1, 0x2
_NAME_BYTES = 16
_NO_PI = 0x1000
"""Packets come and go without the four bytes of packet information."""
_TUNSETIFF, _TUNSETPERSIST = 0x400454CA, 0x400454CB


def make(name: str, stays: bool = True) -> None:
    """Make a TUN device in the calling thread's namespace; one that does not stay is gone on return.

    OSError says why not: ERANGE for a name of more than 15 bytes, EBUSY while a
    program carries a device of that name, EINVAL when that device is no TUN.
    """
    if len(name.encode()) >= _NAME_BYTES:
        raise OSError(errno.ERANGE, os.strerror(errno.ERANGE))
    fd = os.open(CLONE_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), TUN | _NO_PI))
        fcntl.ioctl(fd, _TUNSETPERSIST, int(stays))
    finally:
        os.close(fd)
