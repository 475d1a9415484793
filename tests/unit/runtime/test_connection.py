"""A connection never waits: requests come when they are whole, answers are kept for a slow client."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from fabric.runtime import connection as connections
from fabric.runtime.connection import Connection
from fabric.runtime.polling import Poll
from fabric.runtime.wire import Frames, pack


class Line:
    """Both ends of a connection, and what came to the runtime's."""

    def __init__(self) -> None:
        self.poll = Poll()
        self.client, end = socket.socketpair()
        self.client.settimeout(5)
        self.requests: list[dict[str, object]] = []
        self.closed = 0
        self.connection = Connection(end, self.poll, lambda _, message: self.requests.append(message))
        self.connection.on_close.append(self._count)

    def turn(self) -> None:
        """Let the runtime look once, and not wait for long."""
        self.poll.later(0.05, lambda: None)
        self.poll.run_once()

    def _count(self) -> None:
        self.closed += 1


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.connection.close()
    made.client.close()


def test_requests_come_in_their_order(line: Line):
    line.client.sendall(pack({"id": 1}) + pack({"id": 2})[:5])
    line.turn()
    assert line.requests == [{"id": 1}]
    line.client.sendall(pack({"id": 2})[5:])
    line.turn()
    assert line.requests == [{"id": 1}, {"id": 2}]


def test_an_answer_that_the_client_does_not_read_yet_is_kept_and_sent_later(line: Line):
    answer = {"ok": "x" * (4 << 20)}
    line.connection.send(answer)
    frames, got = Frames(), []
    while not got:
        got = frames.feed(line.client.recv(1 << 20))
        line.turn()
    assert got == [answer]
    assert line.connection.is_open


def test_a_client_that_never_reads_is_cut_off(line: Line, monkeypatch):
    monkeypatch.setattr(connections, "_WAITING_BYTES_MAX", 1 << 20)
    for _ in range(40):
        line.connection.send({"event": "x" * (64 << 10)})
    assert (line.connection.is_open, line.closed) == (False, 1)


def test_what_is_sent_after_the_end_goes_nowhere(line: Line):
    line.client.close()
    line.turn()
    line.connection.send({"event": "pod-1"})
    assert (line.connection.is_open, line.closed) == (False, 1)


def test_what_is_no_frame_ends_the_connection(line: Line):
    line.client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    line.turn()
    assert (line.requests, line.closed) == ([], 1)


def test_descriptors_that_nobody_took_are_closed_with_the_connection(line: Line):
    read, write = os.pipe()
    socket.send_fds(line.client, [pack({"op": "exec"})], [write])
    os.close(write)
    line.turn()
    assert len(line.connection.fds) == 1
    line.connection.close()
    assert os.read(read, 1) == b"", "the pipe has no writer any more"
    os.close(read)


def test_more_descriptors_than_a_program_takes_end_the_connection(line: Line):
    pipes = [os.pipe() for _ in range(3)]
    for first, second in pipes:
        socket.send_fds(line.client, [b"\0"], [first, second])
        line.turn()
        if not line.connection.is_open:
            break
    assert not line.connection.is_open
    for pipe in pipes:
        for end in pipe:
            os.close(end)
