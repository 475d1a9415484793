"""The echo server: it says who it is, at which address, and whom it sees.

TCP (9000) greets with a JSON line and sends each line back; UDP (9000) answers each datagram with a
JSON line; HTTP (8080) answers any request with JSON, `/hostname` and `/clientip` with plain text. It
listens on IPv4 and IPv6. Ports come from `--http-port=`, `--tcp-port=`, `--udp-port=`, or from
HTTP_PORT, TCP_PORT, UDP_PORT; 0 leaves one out. It writes a line when it listens, and one for each
request, connection or datagram; a line that nobody takes is left out, so that no answer waits for the
log. One thread; a pod's copy of it is a fork of the runtime.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

PROGRAM = "fabric-echo"
_PORTS = {"http": 8080, "tcp": 9000, "udp": 9000}
_CONNECTIONS_MAX = 1024
_LINE_BYTES_MAX = 64 * 1024
_IPV6_PKTINFO_BYTES = 20
_LOG_LINE_CHARACTERS_MAX = 500
"""Less than PIPE_BUF when each is escaped: such a line is written whole, or not at all."""


def main(argv: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """Serve until SIGTERM or SIGINT, then exit 0; 1 when a port is taken, 2 when one is not a number."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    try:
        server = _Server(ports(argv, env))
    except ValueError as error:
        _leave(2, str(error))
    except OSError as error:
        _leave(1, f"{PROGRAM}: {error}")
    tell("listens on " + ", ".join(f"{kind} {port}" for kind, port in ports(argv, env).items() if port))
    while True:
        server.run_once()


def ports(argv: Sequence[str], env: Mapping[str, str]) -> dict[str, int]:
    """Return the port of http, tcp and udp; ValueError names what is no port."""
    chosen = dict(_PORTS)
    for kind in chosen:
        given = [(f"{kind.upper()}_PORT", env.get(f"{kind.upper()}_PORT"))]
        given += [
            (flag, value) for flag, _, value in (a.partition("=") for a in argv) if flag == f"--{kind}-port"
        ]
        for name, value in given:
            if value is None:
                continue
            if not value.isdigit() or int(value) > 65535:
                raise ValueError(f"{PROGRAM}: {name}={value}: a port is a number from 0 to 65535")
            chosen[kind] = int(value)
    return chosen


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


def respond(request: bytes, local: tuple[str, int], peer: tuple[str, int]) -> bytes:
    """Return the HTTP answer to a request's head."""
    method, _, rest = request.partition(b" ")
    path = rest.split(b" ", 1)[0].decode("latin-1")
    kind = "text/plain"
    if path == "/hostname":
        body = socket.gethostname().encode()
    elif path == "/clientip":
        body = _named(peer).encode()
    else:
        kind, body = "application/json", describe(local, peer, method=method.decode("latin-1"), path=path)
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if method == b"HEAD" else body)


class _Server:
    def __init__(self, chosen: Mapping[str, int]) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[], None]] = {}
        self._open = 0
        if chosen["http"]:
            self._listen(chosen["http"], self._serve_http)
        if chosen["tcp"]:
            self._listen(chosen["tcp"], self._serve_tcp)
        if chosen["udp"]:
            self._serve_udp(_socket(socket.SOCK_DGRAM, chosen["udp"]))

    def run_once(self) -> None:
        for fd, _ in self._epoll.poll():
            call = self._calls.get(fd)
            if call is not None:
                call()

    def _watch(self, fd: int, call: Callable[[], None]) -> None:
        self._calls[fd] = call
        self._epoll.register(fd, select.EPOLLIN)

    def _listen(self, port: int, serve: Callable[[socket.socket], None]) -> None:
        listener = _socket(socket.SOCK_STREAM, port)

        def accept() -> None:
            try:
                end, _ = listener.accept()
            except OSError:
                return
            end.settimeout(1.0)
            if self._open >= _CONNECTIONS_MAX:
                end.close()
                return
            self._open += 1
            try:
                serve(end)
            except OSError:
                self._close(end)

        self._watch(listener.fileno(), accept)

    def _close(self, end: socket.socket) -> None:
        self._calls.pop(end.fileno(), None)
        self._open -= 1
        end.close()

    def _serve_tcp(self, end: socket.socket) -> None:
        peer = end.getpeername()[:2]
        end.sendall(describe(end.getsockname()[:2], peer))
        tell(f"tcp connection from {_named(peer)}")

        def ready() -> None:
            try:
                data = end.recv(_LINE_BYTES_MAX)
                end.sendall(data)
            except OSError:
                data = b""
            if not data:
                self._close(end)

        self._watch(end.fileno(), ready)

    def _serve_http(self, end: socket.socket) -> None:
        request = bytearray()

        def ready() -> None:
            try:
                data = end.recv(_LINE_BYTES_MAX)
                request.extend(data)
                whole = b"\r\n\r\n" in request
                if whole:
                    peer = end.getpeername()[:2]
                    end.sendall(respond(bytes(request), end.getsockname()[:2], peer))
                    line = bytes(request).partition(b"\r\n")[0].decode("latin-1")
                    tell(f"http request from {_named(peer)}: {line}")
            except OSError:
                data, whole = b"", False
            if not data or whole or len(request) > _LINE_BYTES_MAX:
                self._close(end)

        self._watch(end.fileno(), ready)

    def _serve_udp(self, end: socket.socket) -> None:
        six = end.family == socket.AF_INET6
        if six:
            end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        port = end.getsockname()[1]

        def ready() -> None:
            try:
                data, ancillary, _, peer = end.recvmsg(
                    _LINE_BYTES_MAX, socket.CMSG_SPACE(_IPV6_PKTINFO_BYTES)
                )
                here = "0.0.0.0"
                if ancillary:
                    here = socket.inet_ntop(socket.AF_INET6, ancillary[0][2][:16])
                end.sendmsg([describe((here, port), peer[:2])], ancillary, 0, peer)
                tell(f"udp datagram of {len(data)} bytes from {_named(peer[:2])}")
            except OSError:
                return

        self._watch(end.fileno(), ready)


def _socket(kind: int, port: int) -> socket.socket:
    """Return a bound (and listening) socket for both families, or for IPv4 where there is no IPv6."""
    try:
        end = socket.socket(socket.AF_INET6, kind)
        end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        host = "::"
    except OSError:
        end = socket.socket(socket.AF_INET, kind)
        host = "0.0.0.0"
    end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    end.bind((host, port))
    end.setblocking(False)
    if kind == socket.SOCK_STREAM:
        end.listen(128)
    return end


def _leave(code: int, message: str) -> NoReturn:
    os.write(2, message.encode() + b"\n")
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
