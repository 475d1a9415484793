"""A TUN device is carried by a program that did not make it, and stays when that program ends."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct

_CLONE_DEVICE = "/dev/net/tun"
_IFF_TUN, _IFF_NO_PI, _IFF_PERSIST = 0x0001, 0x1000, 0x0800
_TUNSETIFF, _TUNGETIFF = 0x400454CA, 0x800454D2
_REQUEST = struct.Struct("16sH22x")


def attach(name: str) -> tuple[int, int]:
    """Return a descriptor that carries the device, without waiting in reads, and the device's index.

    OSError: ENODEV while there is no such device, EBUSY while another carries it, EINVAL when it is no TUN;
    ENOENT when this machine has no TUN driver.
    """
    _index(name)
    fd = os.open(_CLONE_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, _TUNSETIFF, _REQUEST.pack(name.encode(), _IFF_TUN | _IFF_NO_PI))
        if not _flags(fd) & _IFF_PERSIST:
            # It went meanwhile, and the driver has made another, which goes with the descriptor.
            raise _none(name)
        return fd, _index(name)
    except BaseException:
        os.close(fd)
        raise


def is_attached(fd: int) -> bool:
    """False when the device is gone."""
    try:
        return bool(_flags(fd) & _IFF_TUN)
    except OSError:
        return False


def _index(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise _none(name) from error


def _none(name: str) -> OSError:
    return OSError(errno.ENODEV, os.strerror(errno.ENODEV), name)


def _flags(fd: int) -> int:
    flags: int = _REQUEST.unpack(fcntl.ioctl(fd, _TUNGETIFF, bytes(_REQUEST.size)))[1]
    return flags
