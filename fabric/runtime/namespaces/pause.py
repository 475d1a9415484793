"""A pod's pause process is PID 1 of a PID namespace inside its node's, and holds the pod's namespaces.

A node on which pods are started has a zygote for as long as they come; it dies with its node.
"""

from __future__ import annotations

import json
import os
import socket

from fabric.runtime.namespaces import zygote
from fabric.runtime.processes import linux
from fabric.runtime.processes.failure import Failure
from fabric.runtime.processes.process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fabric.runtime.namespaces.root_template import RootTemplate
    from fabric.runtime.polling import Poll

ZYGOTES_MAX = 16
_IDLE_SECONDS_MAX = 1.0
_ANSWER_SECONDS_MAX = 20.0
_FIELDS = ("hostname", "host_network", "ipv6")


class Gone(Failure):
    """The zygote had ended before it could be asked."""


class Zygote:
    """The runtime's end of a zygote."""

    def __init__(self, process: Process, end: socket.socket) -> None:
        self.process = process
        self.end = end
        self.asked = 0
        """How many pause processes it was asked for."""

    def start(self, spec: dict[str, Any]) -> Process:
        """Return the pause process of a new sandbox; Failure when there is none, Gone when none was asked."""
        self.asked += 1
        try:
            self.end.send(json.dumps({key: spec[key] for key in _FIELDS if key in spec}).encode())
            text, fds, _, _ = socket.recv_fds(self.end, 4096, 1, socket.MSG_CMSG_CLOEXEC)
        except BrokenPipeError:
            raise Gone("the node's helper ends again and again") from None
        except OSError as error:
            raise Failure(f"the node's helper does not start a pause process: {error}") from error
        if not fds:
            raise Failure(text.decode() or "the node ended while a pause process was started")
        return Process.of(fds[0])


class Pauses:
    """Starts pause processes; keeps a zygote on each of the nodes that were last asked for.

    One that fails is not asked again. One that was killed a moment ago, which the runtime has not seen yet,
    is not missed: another is asked.
    """

    def __init__(self, template: RootTemplate, poll: Poll, mark: int) -> None:
        self._template = template
        self._poll = poll
        self._mark = mark
        self._zygotes: dict[int, Zygote] = {}

    def start(self, spec: dict[str, Any], node: Process) -> Process:
        """Start a sandbox's pause process with the mark as its standard input; Failure or OSError."""
        known = self._zygotes.pop(node.pid, None)
        try:
            return self._ask(known or self._call(node), spec, node)
        except Gone:
            return self._ask(self._call(node), spec, node)

    def _ask(self, zygote: Zygote, spec: dict[str, Any], node: Process) -> Process:
        self._zygotes[node.pid] = zygote
        try:
            return zygote.start(spec)
        except Failure:
            zygote.process.signal(9)
            self._dismiss(node.pid, zygote)
            raise

    def _call(self, node: Process) -> Zygote:
        if len(self._zygotes) >= ZYGOTES_MAX:
            oldest = next(iter(self._zygotes))
            self._dismiss(oldest, self._zygotes[oldest])
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(_ANSWER_SECONDS_MAX)
        with theirs:
            try:
                with self._template:
                    linux.setns(node.fd, linux.CLONE_NEWPID)
                    pid = os.fork()
                    if pid == 0:
                        zygote.live(theirs, node.fd, self._mark)
            except BaseException:
                ours.close()
                raise
        called = Zygote(Process.born(pid), ours)
        self._poll.watch(called.process.fd, lambda _: self._gone(node.pid, called))
        self._look_later(node.pid, called)
        return called

    def _look_later(self, node: int, zygote: Zygote) -> None:
        """Send it away when nobody has asked it for a while."""
        asked = zygote.asked

        def look() -> None:
            if zygote.process.fd < 0:
                return
            if zygote.asked == asked:
                self._dismiss(node, zygote)
            else:
                self._look_later(node, zygote)

        self._poll.later(_IDLE_SECONDS_MAX, look)

    def _dismiss(self, node: int, zygote: Zygote) -> None:
        """Close its channel: it ends, and is reaped when it has."""
        if self._zygotes.get(node) is zygote:
            del self._zygotes[node]
        zygote.end.close()

    def _gone(self, node: int, zygote: Zygote) -> None:
        self._poll.forget(zygote.process.fd)
        zygote.process.end()
        self._dismiss(node, zygote)
