"""The prober asks jobs from inside their sources' namespaces, thousands a second by one thread.

It starts no program: every try opens a socket, or sends an echo request, and one epoll waits for them all. A
try that is not answered at once makes room for others after `LATE_SECONDS`, but stays open until its job has
ended, for its answer still counts.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fabric.kernel.namespaces import travelling
from fabric.verify import echo, icmp_errors
from fabric.verify.probes import PATIENCE, Answer, Job, Outcome, Patience
from fabric.verify.source import Source

FRESH_MAX = 256
LATE_SECONDS = 0.05
SPARE_FILES = 512
_TCPI_RTT = struct.Struct("=68xI")
_SO_TIMESTAMPNS = 35

Answered = Callable[[Job, Answer], None]


class _Asked:
    """A job that is being asked."""

    __slots__ = ("answered", "hint", "is_done", "is_fresh", "job", "tries", "waits_for")

    def __init__(self, job: Job, answered: Answered) -> None:
        self.job = job
        self.answered = answered
        self.waits_for: list[_Try] = []
        self.tries = 0
        self.hint = ""
        self.is_done = False
        self.is_fresh = True


class _Try:
    """A socket, or an echo request's identifier, that an answer is awaited by."""

    __slots__ = ("asked", "key", "opened", "sent_ns")

    def __init__(self, asked: _Asked, sent_ns: int, opened: socket.socket | None, key: _RequestKey | None):
        self.asked = asked
        self.sent_ns = sent_ns
        self.opened = opened
        self.key = key


_RequestKey = tuple[int, int]
"""The raw socket's descriptor, and the identifier."""


class Prober:
    """The prober of one thread; made by `prober`."""

    def __init__(self, pids: Mapping[str, int], patience: Patience, enter: Callable[[int], None]) -> None:
        self._pids, self._enter = pids, enter
        self._patience = patience
        self._epoll = select.epoll()
        self._sources: dict[str, Source] = {}
        self._tries: dict[int, _Try] = {}
        self._raw: dict[int, tuple[socket.socket, int, int]] = {}
        """By descriptor: the socket, its family, and the sequence number of its requests."""
        self._requests: dict[_RequestKey, _Try] = {}
        self._due: deque[tuple[float, _Asked]] = deque()
        self._fresh: deque[tuple[float, _Asked]] = deque()
        self._fresh_count = 0
        self._open_max = _files_max() // patience.tries
        self.pending = 0
        """Jobs that have no answer yet."""

    @property
    def has_room(self) -> bool:
        return self._fresh_count < FRESH_MAX and self.pending < self._open_max

    def ask(self, job: Job, answered: Answered) -> None:
        """Begin with a job; `answered` is called once, from here or from `look`."""
        asked = _Asked(job, answered)
        self.pending += 1
        self._fresh_count += 1
        self._try(asked)
        if not asked.is_done:
            now = time.monotonic()
            self._fresh.append((now, asked))
            self._due.append((now + self._patience.interval_seconds, asked))

    def look(self, seconds: float = 0.0) -> None:
        """Take the answers that are there, or come within that time; try again what waits, or give it up."""
        for descriptor, events in self._epoll.poll(seconds):
            if descriptor in self._raw:
                self._hear(descriptor)
            elif (found := self._tries.get(descriptor)) is not None:
                self._settle(found, events)
        now = time.monotonic()
        while self._fresh and (self._fresh[0][1].is_done or self._fresh[0][0] + LATE_SECONDS < now):
            self._make_room(self._fresh.popleft()[1])
        while self._due and (self._due[0][1].is_done or self._due[0][0] <= now):
            asked = self._due.popleft()[1]
            if asked.is_done:
                continue
            if asked.tries < self._patience.tries:
                self._try(asked)
                self._due.append((now + self._patience.interval_seconds, asked))
            else:
                self._answer(asked, Answer(Outcome.timeout, asked.hint, tries=asked.tries))

    def close(self) -> None:
        self._epoll.close()
        for found in self._tries.values():
            assert found.opened is not None
            found.opened.close()
        for source in self._sources.values():
            source.close()

    def _source(self, name: str) -> Source:
        if name not in self._sources:
            if name not in self._pids:
                raise OSError(errno.ESRCH, f"{name} has no network namespace")
            self._sources[name] = Source(self._pids[name], self._enter)
        return self._sources[name]

    def _try(self, asked: _Asked) -> None:
        asked.tries += 1
        sent_ns = time.time_ns()
        try:
            source = self._source(asked.job.source)
            if asked.job.protocol == "icmp":
                self._send_request(source, asked, sent_ns)
                return
            opened, asked.hint = source.begin(asked.job)
        except OSError as error:
            words = error.strerror or str(error)
            self._answer(asked, _refusal(error.errno or 0, words, 0, asked.tries))
            return
        found = _Try(asked, sent_ns, opened, None)
        self._tries[opened.fileno()] = found
        asked.waits_for.append(found)
        wanted = select.EPOLLIN if asked.job.protocol == "udp" else select.EPOLLOUT
        self._epoll.register(opened.fileno(), wanted)

    def _send_request(self, source: Source, asked: _Asked, sent_ns: int) -> None:
        opened, is_new = source.raw(asked.job)
        if is_new:
            self._raw[opened.fileno()] = (opened, asked.job.version, source.sequence)
            self._epoll.register(opened.fileno(), select.EPOLLIN)
        identifier, asked.hint = source.request(opened, asked.job)
        key = (opened.fileno(), identifier)
        found = _Try(asked, sent_ns, None, key)
        self._requests[key] = found
        asked.waits_for.append(found)

    def _settle(self, found: _Try, events: int) -> None:
        """Answer a job by its socket's event."""
        opened, asked = found.opened, found.asked
        assert opened is not None
        if events & select.EPOLLERR:
            told = icmp_errors.take(opened)
            elapsed = (time.time_ns() - found.sent_ns) // 1000
            if told is not None:
                self._answer(asked, told.answer(elapsed, asked.tries))
                return
            number = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                self._answer(asked, _refusal(number, os.strerror(number), elapsed, asked.tries))
            return
        if asked.job.protocol == "udp":
            try:
                _, ancillary, _, _ = opened.recvmsg(64, 64)
            except OSError:
                return
            elapsed = (_received_ns(ancillary) - found.sent_ns) // 1000
        elif asked.job.protocol == "tcp":
            told_of = opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCPI_RTT.size)
            (elapsed,) = _TCPI_RTT.unpack(told_of)
        else:
            elapsed = (time.time_ns() - found.sent_ns) // 1000
        self._answer(asked, Answer(Outcome.delivered, "", max(elapsed, 1), asked.tries))

    def _hear(self, descriptor: int) -> None:
        """Read the replies, and the errors, of a socket of echo requests."""
        opened, version, sequence = self._raw[descriptor]
        while True:
            try:
                packet, ancillary, _, sender = opened.recvmsg(2048, 64)
            except BlockingIOError:
                break
            except OSError:
                continue  # the error of a request, which is in the queue too
            identifier, its = echo.reply(version, packet)
            found = self._requests.get((descriptor, identifier))
            if found is not None and its == sequence and sender[0] == found.asked.job.address:
                elapsed = (_received_ns(ancillary) - found.sent_ns) // 1000
                self._answer(found.asked, Answer(Outcome.delivered, "", max(elapsed, 1), found.asked.tries))
        while (told := icmp_errors.take(opened)) is not None:
            identifier, its = struct.unpack_from("!HH", told.about, 4) if len(told.about) >= 8 else (-1, -1)
            found = self._requests.get((descriptor, identifier))
            if found is not None and its == sequence:
                elapsed = (time.time_ns() - found.sent_ns) // 1000
                self._answer(found.asked, told.answer(elapsed, found.asked.tries))

    def _answer(self, asked: _Asked, answer: Answer) -> None:
        asked.is_done = True
        self.pending -= 1
        self._make_room(asked)
        for found in asked.waits_for:
            if found.opened is not None:
                del self._tries[found.opened.fileno()]
                found.opened.close()
            elif found.key is not None:
                del self._requests[found.key]
        asked.waits_for.clear()
        asked.answered(asked.job, answer)

    def _make_room(self, asked: _Asked) -> None:
        if asked.is_fresh:
            asked.is_fresh = False
            self._fresh_count -= 1


@contextmanager
def prober(pids: Mapping[str, int], patience: Patience = PATIENCE) -> Iterator[Prober]:
    """Give a prober for this thread; at the end every socket and namespace is closed, and the thread at home.

    `pids`: a process in the namespace of each source. Raises the process' limit of open files.
    """
    with ExitStack() as stack:
        made = Prober(pids, patience, stack.enter_context(travelling()))
        stack.callback(made.close)
        yield made


def _refusal(number: int, words: str, elapsed: int, tries: int) -> Answer:
    if number in (errno.ECONNREFUSED, errno.ECONNRESET):
        return Answer(Outcome.refused, "TCP RST", elapsed, tries)
    return Answer(Outcome.error, words, 0, tries)


def _received_ns(ancillary: Sequence[tuple[int, int, bytes]]) -> int:
    """Return when the kernel had the packet; now, where it does not say."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(data) >= 16:
            seconds, nanoseconds = struct.unpack_from("qq", data)
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return time.time_ns()


def _files_max() -> int:
    """Return how many sockets may be open, once the limit is raised as far as it goes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    used = sum(1 for _ in Path("/proc/self/fd").iterdir())
    return max(most - used - SPARE_FILES, SPARE_FILES)
