"""A client's connection brings requests and takes answers and events, all without waiting."""

from __future__ import annotations

import os
import socket

from fabric.runtime.polling import READ, WRITE
from fabric.runtime.wire import Frames, pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from fabric.runtime.polling import Poll
    from fabric.runtime.wire import Message

    Request = Callable[["Connection", Message], None]

_READ_BYTES_MAX = 64 * 1024
_WAITING_BYTES_MAX = 32 << 20
"""Of answers that a client does not read; beyond, it is cut off and has to come again."""
FDS_MAX = 3


class Connection:
    """A client's connection: a message is passed to `request`, and the end is told to `on_close`."""

    def __init__(self, end: socket.socket, poll: Poll, request: Request) -> None:
        self.fds: list[int] = []
        """Descriptors that came with the requests and that nobody has taken yet."""
        self.on_close: list[Callable[[], None]] = []
        self._end = end
        self._poll = poll
        self._request = request
        self._frames = Frames()
        self._waiting = bytearray()
        self.is_open = True
        end.setblocking(False)
        poll.watch(end.fileno(), self._ready)

    def send(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        """Send, or keep for later; descriptors go along only when nothing waits."""
        if not self.is_open:
            return
        data = pack(message)
        if fds and not self._waiting:
            sent = socket.send_fds(self._end, [data], list(fds))
            data = data[sent:]
        self._waiting += data
        self._flush()
        if len(self._waiting) > _WAITING_BYTES_MAX:
            self.close()

    def take_fds(self) -> list[int]:
        """Return what came along; they are the caller's to close."""
        fds, self.fds = self.fds, []
        return fds

    def close(self) -> None:
        if not self.is_open:
            return
        self.is_open = False
        self._poll.forget(self._end.fileno())
        self._end.close()
        for fd in self.take_fds():
            os.close(fd)
        for call in self.on_close:
            call()

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if self.is_open and events & ~WRITE:
            self._read()

    def _read(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._end, _READ_BYTES_MAX, FDS_MAX, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        self.fds += fds
        try:
            messages = self._frames.feed(data)
        except ValueError:
            data, messages = b"", []
        for message in messages:
            if self.is_open:
                self._request(self, message)
        if not data or len(self.fds) > FDS_MAX:
            self.close()

    def _flush(self) -> None:
        try:
            while self._waiting:
                del self._waiting[: self._end.send(self._waiting)]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        self._poll.change(self._end.fileno(), READ | WRITE if self._waiting else READ)
