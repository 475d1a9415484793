"""The echo server: it says who it is, at which address, and whom it sees.

TCP (9000) greets with a JSON line and sends each line back; UDP (9000) answers each datagram with a
JSON line; HTTP (8080) answers any request with JSON, `/hostname` and `/clientip` with plain text. Other TCP
ports (`--tcp 80,81`) answer HTTP with HTTP and send anything else back. It listens on IPv4 and IPv6;
`listeners` has its arguments and variables. It writes a line when it listens, and one for each request,
connection or datagram, but none for a probe of fabric's, of which there may be thousands; a line that nobody
takes is left out, so that no answer waits for the log. One thread; a pod's copy is a fork of the runtime.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import socket
import sys

from fabric.runtime.builtin import listeners
from fabric.runtime.builtin.listeners import Listener

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

PROGRAM = "fabric-echo"
PROBE = b"fabric probe\n"
"""A datagram that is sent back as it is, and not logged."""
_ACCEPTED_AT_ONCE = 64
_METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ")
_CONNECTIONS_MAX = 1024
_WAITING_MAX = 4096
"""Connections that the kernel keeps for us until we accept them: probes come in hundreds at once."""
_LINE_BYTES_MAX = 64 * 1024
_IPV6_PKTINFO_BYTES = 20
_LOG_LINE_CHARACTERS_MAX = 500
"""Less than PIPE_BUF when each is escaped: such a line is written whole, or not at all."""


def main(argv: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """Serve until SIGTERM or SIGINT, then exit 0; 1 when a port is taken, 2 when one is not a number."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    try:
        server = _Server(listeners.listeners(argv, env))
    except ValueError as error:
        _leave(2, f"{PROGRAM}: {error}")
    except OSError as error:
        _leave(1, f"{PROGRAM}: {error.strerror}")
    tell("listens on " + (", ".join(map(str, server.opened)) or "nothing"))
    while True:
        server.run_once()


def tell(what: str) -> None:
    """Write a line of the log, if it can be written at once."""
    line = ascii(f"{PROGRAM}: {what}"[:_LOG_LINE_CHARACTERS_MAX])[1:-1].encode() + b"\n"
    with contextlib.suppress(OSError):
        if select.select([], [1], [], 0)[1]:
            os.write(1, line)


def describe(local: tuple[str, int], peer: tuple[str, int], **more: str) -> bytes:
    """Return one JSON line: host name, own address, and the peer as it is seen here."""
    answer = {
        "hostname": socket.gethostname(),
        "local": {"address": plain(local[0]), "port": local[1]},
        "peer": {"address": plain(peer[0]), "port": peer[1]},
        **more,
    }
    return json.dumps(answer).encode() + b"\n"


def _named(peer: tuple[str, int]) -> str:
    address = plain(peer[0])
    return f"[{address}]:{peer[1]}" if ":" in address else f"{address}:{peer[1]}"


def plain(address: str) -> str:
    """Return an IPv4 address that came in over an IPv6 socket as IPv4, and no zone."""
    return address.removeprefix("::ffff:").partition("%")[0]


def respond(request: bytes, local: tuple[str, int], peer: tuple[str, int], text: str = "") -> bytes:
    """Return the HTTP answer to a request's head: `text`, if there is one."""
    method, _, rest = request.partition(b" ")
    path = rest.split(b" ", 1)[0].decode("latin-1")
    kind = "text/plain"
    if text:
        body = _written(text)
    elif path.lower() == "/hostname":
        body = socket.gethostname().encode()
    elif path == "/clientip":
        body = _named(peer).encode()
    else:
        kind, body = "application/json", describe(local, peer, method=method.decode("latin-1"), path=path)
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if method == b"HEAD" else body)


def _written(text: str) -> bytes:
    return socket.gethostname().encode() if text == listeners.HOSTNAME else text.encode()


class _Server:
    def __init__(self, wanted: Sequence[Listener]) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[], None]] = {}
        self._open = 0
        self.opened: list[Listener] = []
        for listener in wanted:
            try:
                end = _socket(listener)
            except OSError as error:
                if not _may_be_left_out(listener, error):
                    raise OSError(error.errno, f"{listener}: {error.strerror}") from error
                tell(f"leaves out {listener}: {error.strerror}")
                continue
            self.opened.append(listener)
            self._serve_datagrams(end, listener) if listener.protocol == "udp" else self._listen(
                end, listener
            )

    def run_once(self) -> None:
        for fd, _ in self._epoll.poll():
            call = self._calls.get(fd)
            if call is not None:
                call()

    def _watch(self, fd: int, call: Callable[[], None]) -> None:
        self._calls[fd] = call
        self._epoll.register(fd, select.EPOLLIN)

    def _listen(self, waiting: socket.socket, listener: Listener) -> None:
        def accept() -> None:
            for _ in range(_ACCEPTED_AT_ONCE):
                try:
                    end, _ = waiting.accept()
                except OSError:
                    return
                end.settimeout(1.0)
                if self._open >= _CONNECTIONS_MAX:
                    end.close()
                    continue
                self._open += 1
                try:
                    self._serve(end, listener)
                except OSError:
                    self._close(end)

        self._watch(waiting.fileno(), accept)

    def _close(self, end: socket.socket) -> None:
        self._calls.pop(end.fileno(), None)
        self._open -= 1
        end.close()

    def _serve(self, end: socket.socket, listener: Listener) -> None:
        """Serve a connection; OSError when its client has left already."""
        peer = end.getpeername()[:2]
        if listener.speaks == listeners.HOSTNAME:
            end.sendall(_written(listeners.HOSTNAME))
            tell(f"tcp connection from {_named(peer)}")
            self._close(end)
            return
        if listener.speaks == listeners.GREETING:
            end.sendall(describe(end.getsockname()[:2], peer))
            tell(f"tcp connection from {_named(peer)}")
        head = bytearray() if listener.speaks != listeners.GREETING else None

        def ready() -> None:
            nonlocal head
            try:
                data = end.recv(_LINE_BYTES_MAX)
                if data and head is not None and not head and not _is_http(listener, data):
                    tell(f"{listener.protocol} connection from {_named(peer)}")
                    head = None
                if head is None:
                    end.sendall(data)
                else:
                    head.extend(data)
                    data = data if _wait_for_more(end, head, peer, listener) else b""
            except OSError:
                data = b""
            if not data:
                self._close(end)

        self._watch(end.fileno(), ready)

    def _serve_datagrams(self, end: socket.socket, listener: Listener) -> None:
        six = end.family == socket.AF_INET6
        if six:
            end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        port = end.getsockname()[1]

        def ready() -> None:
            try:
                data, ancillary, _, peer = end.recvmsg(
                    _LINE_BYTES_MAX, socket.CMSG_SPACE(_IPV6_PKTINFO_BYTES)
                )
                if data == PROBE:
                    end.sendmsg([data], ancillary, 0, peer)
                    return
                here = "0.0.0.0"
                if ancillary:
                    here = socket.inet_ntop(socket.AF_INET6, ancillary[0][2][:16])
                said = describe((here, port), peer[:2])
                if listener.speaks == listeners.HOSTNAME:
                    said = _written(listeners.HOSTNAME)
                end.sendmsg([said], ancillary, 0, peer)
                tell(f"udp datagram of {len(data)} bytes from {_named(peer[:2])}")
            except OSError:
                return

        self._watch(end.fileno(), ready)


def _is_http(listener: Listener, data: bytes) -> bool:
    return listener.speaks == listeners.HTTP or data.startswith(_METHODS)


def _wait_for_more(end: socket.socket, head: bytearray, peer: tuple[str, int], listener: Listener) -> bool:
    """Answer a whole request; True while it is not whole."""
    if b"\r\n\r\n" in head:
        end.sendall(respond(bytes(head), end.getsockname()[:2], peer, listener.text))
        line = bytes(head).partition(b"\r\n")[0].decode("latin-1")
        tell(f"http request from {_named(peer)}: {line}")
        return False
    return len(head) <= _LINE_BYTES_MAX


def _socket(listener: Listener) -> socket.socket:
    """Return a bound (and listening) socket for both families, or for IPv4 where there is no IPv6."""
    kind = socket.SOCK_DGRAM if listener.protocol == "udp" else socket.SOCK_STREAM
    number = socket.IPPROTO_SCTP if listener.protocol == "sctp" else 0
    try:
        end = socket.socket(socket.AF_INET6, kind, number)
        end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        host = "::"
    except OSError:
        end = socket.socket(socket.AF_INET, kind, number)
        host = "0.0.0.0"
    if kind == socket.SOCK_STREAM:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    end.bind((host, listener.port))
    end.setblocking(False)
    if kind == socket.SOCK_STREAM:
        end.listen(_WAITING_MAX)
    return end


def _may_be_left_out(listener: Listener, error: OSError) -> bool:
    """Tell whether nobody asked for it, or the kernel does not know its protocol."""
    return (listener.is_default and error.errno == errno.EADDRINUSE) or (
        listener.protocol == "sctp" and error.errno == errno.EPROTONOSUPPORT
    )


def _leave(code: int, message: str) -> NoReturn:
    os.write(2, message.encode() + b"\n")
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
