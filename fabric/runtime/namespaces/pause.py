"""A pod's pause process is PID 1 of a PID namespace inside its node's, and holds the pod's namespaces.

A node on which pods are started has a zygote for as long as they come; it dies with its node. Requests wait
in its channel, and it answers them in their order, while the runtime serves others.
"""

from __future__ import annotations

import errno
import json
import os
import socket

from fabric.runtime.namespaces import zygote
from fabric.runtime.processes import linux, orphans
from fabric.runtime.processes.failure import Failure
from fabric.runtime.processes.process import Process
from fabric.runtime.tasks import Promise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fabric.runtime.polling import Poll, Timer
    from fabric.runtime.processes.context import Context

ZYGOTES_MAX = 16
_IDLE_SECONDS_MAX = 1.0
_ANSWER_SECONDS_MAX = 5.0
_ASKED_MAX = 64
"""Requests that wait in a channel."""
_FIELDS = ("hostname", "host_network", "ipv6", "sandbox_id")


class Gone(Failure):
    """The zygote ended, or was stopped, before it answered."""


class Zygote:
    """The runtime's end of a zygote; `on_end` is called once, when its process is dead."""

    def __init__(self, process: Process, end: socket.socket, poll: Poll, on_end: Callable[[], None]) -> None:
        self._process = process
        self._end = end
        self._poll = poll
        self._on_end = on_end
        self._unsent: list[tuple[bytes, Promise]] = []
        self._asked: list[Promise] = []
        self._timer: Timer | None = None
        self.is_open = True
        """False when it takes no more requests."""
        self.lost_count = 0
        """How many pause processes it may have started without telling of them."""
        poll.watch(process.fd, self._died)
        poll.watch(end.fileno(), self._answered)
        self._wait(_IDLE_SECONDS_MAX)

    async def start(self, spec: dict[str, Any]) -> Process:
        """Return a new sandbox's pause process; Failure when there is none, Gone when the zygote ended."""
        answer = Promise()
        request = json.dumps({key: spec[key] for key in _FIELDS if key in spec}).encode()
        self._unsent.append((request, answer))
        if not self._asked:
            self._wait(_ANSWER_SECONDS_MAX)
        self._send()
        process: Process = await answer
        return process

    @property
    def is_busy(self) -> bool:
        return bool(self._asked or self._unsent)

    def dismiss(self) -> None:
        """Close its channel: it ends."""
        if self.is_open:
            self.is_open = False
            self._poll.forget(self._end.fileno())
            self._end.close()

    def _kill(self) -> None:
        self.is_open = False
        self._process.signal(9)

    def _send(self) -> None:
        while self._unsent and len(self._asked) < _ASKED_MAX:
            request, answer = self._unsent[0]
            try:
                self._end.send(request)
            except BlockingIOError:
                return
            except OSError:
                self._kill()
                return
            del self._unsent[0]
            self._asked.append(answer)

    def _wait(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._poll.later(seconds, self._waited)

    def _waited(self) -> None:
        """Kill it when it does not answer, and send it away when nobody asks it."""
        if self.is_busy:
            self._kill()
        else:
            self.dismiss()

    def _answered(self, _: int) -> None:
        if not self._receive():
            self._poll.forget(self._end.fileno())
            self._kill()
            return
        self._wait(_ANSWER_SECONDS_MAX if self.is_busy else _IDLE_SECONDS_MAX)
        self._send()

    def _receive(self) -> bool:
        """Take an answer; False when there is none."""
        try:
            text, fds, _, _ = socket.recv_fds(self._end, 4096, 1, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            return False
        if not text:
            return False
        answer = self._asked.pop(0)
        try:
            if text != zygote.STARTED:
                raise Failure(text.decode())
            if not fds:
                self.lost_count += 1
                self._kill()
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            answer.resolve(Process.of(fds[0]))
        except (Failure, OSError) as error:
            answer.fail(error)
        return True

    def _died(self, _: int) -> None:
        while self._end.fileno() >= 0 and self._receive():
            continue
        self._poll.forget(self._process.fd)
        self._process.end()
        self.lost_count += len(self._asked)
        self.is_open = True
        self.dismiss()
        if self._timer is not None:
            self._timer.cancel()
        self._on_end()
        failed = self._asked + [answer for _, answer in self._unsent]
        self._asked, self._unsent = [], []
        for answer in failed:
            answer.fail(Gone("the node's zygote ended, or did not answer, again and again"))


class Pauses:
    """The starter of pause processes keeps a zygote on each of the nodes that were last asked for.

    A zygote that is killed, or stopped for 5 s, is replaced, and the new one is asked once.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._zygotes: dict[int, Zygote] = {}

    async def start(self, spec: dict[str, Any], node: Process) -> Process:
        """Start a sandbox's pause process with the mark as its standard input; Failure or OSError."""
        try:
            return await self._zygote(node).start(spec)
        except Gone:
            return await self._zygote(node).start(spec)

    def _zygote(self, node: Process) -> Zygote:
        known = self._zygotes.pop(node.pid, None)
        if known is None or not known.is_open:
            known = self._fork(node)
        self._zygotes[node.pid] = known
        return known

    def _fork(self, node: Process) -> Zygote:
        self._make_room()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            ours.setblocking(False)
            with theirs, self._context.template:
                linux.setns(node.fd, linux.CLONE_NEWPID)
                pid = os.fork()
                if pid == 0:
                    zygote.live(theirs, node.fd, self._context.mark)
            process = Process.of_child(pid)
        except BaseException:
            ours.close()
            raise
        pid_of_node = node.pid
        forked = Zygote(process, ours, self._context.poll, lambda: self._ended(pid_of_node, forked))
        return forked

    def _make_room(self) -> None:
        idle = [(pid, known) for pid, known in self._zygotes.items() if not known.is_busy]
        if len(self._zygotes) >= ZYGOTES_MAX and idle:
            pid, oldest = idle[0]
            del self._zygotes[pid]
            oldest.dismiss()

    def _ended(self, node: int, ended: Zygote) -> None:
        """Forget a zygote; a pause process that it had started and could not tell of is ended."""
        if self._zygotes.get(node) is ended:
            del self._zygotes[node]
        if ended.lost_count:
            orphans.end_unnamed_pauses(self._context.records, node)
