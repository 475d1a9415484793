"""A pod's pause process: PID 1 of a PID namespace inside its node's, holding the pod's namespaces.

Each node that pods are started on has a midwife for as long as they come; a node's death is its own too.
"""

from __future__ import annotations

import json
import os
import socket

from fabric.runtime.namespaces import zygote as midwife
from fabric.runtime.processes import linux
from fabric.runtime.processes.failure import Failure
from fabric.runtime.processes.process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fabric.runtime.namespaces.root_template import Ground
    from fabric.runtime.polling import Poll

MIDWIVES_MAX = 16
_IDLE_SECONDS_MAX = 1.0
_ANSWER_SECONDS_MAX = 20.0
_FIELDS = ("hostname", "host_network", "ipv6")


class Gone(Failure):
    """A midwife had ended before it could be asked."""


class Midwife:
    """The runtime's end of one: asked, it answers before anything else is done."""

    def __init__(self, process: Process, end: socket.socket) -> None:
        self.process = process
        self.end = end
        self.asked = 0
        """How often; whoever looks twice and sees the same may send it away."""

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
    """Starts pause processes; keeps a midwife on each of the nodes that were last asked for.

    One that fails is not asked again. One that was killed a moment ago, which the runtime has not seen yet,
    is not missed: another is asked.
    """

    def __init__(self, ground: Ground, poll: Poll, mark: int) -> None:
        self._ground = ground
        self._poll = poll
        self._mark = mark
        self._midwives: dict[int, Midwife] = {}

    def start(self, spec: dict[str, Any], node: Process) -> Process:
        """Start a sandbox's pause process with the mark as its standard input; Failure or OSError."""
        known = self._midwives.pop(node.pid, None)
        try:
            return self._ask(known or self._call(node), spec, node)
        except Gone:
            return self._ask(self._call(node), spec, node)

    def _ask(self, midwife: Midwife, spec: dict[str, Any], node: Process) -> Process:
        self._midwives[node.pid] = midwife
        try:
            return midwife.start(spec)
        except Failure:
            midwife.process.signal(9)
            self._dismiss(node.pid, midwife)
            raise

    def _call(self, node: Process) -> Midwife:
        if len(self._midwives) >= MIDWIVES_MAX:
            oldest = next(iter(self._midwives))
            self._dismiss(oldest, self._midwives[oldest])
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(_ANSWER_SECONDS_MAX)
        with theirs:
            try:
                with self._ground:
                    linux.setns(node.fd, linux.CLONE_NEWPID)
                    pid = os.fork()
                    if pid == 0:
                        midwife.live(theirs, node.fd, self._mark)
            except BaseException:
                ours.close()
                raise
        called = Midwife(Process.born(pid), ours)
        self._poll.watch(called.process.fd, lambda _: self._gone(node.pid, called))
        self._look_later(node.pid, called)
        return called

    def _look_later(self, node: int, midwife: Midwife) -> None:
        """Send it away when nobody has asked it for a while."""
        asked = midwife.asked

        def look() -> None:
            if midwife.process.fd < 0:
                return
            if midwife.asked == asked:
                self._dismiss(node, midwife)
            else:
                self._look_later(node, midwife)

        self._poll.later(_IDLE_SECONDS_MAX, look)

    def _dismiss(self, node: int, midwife: Midwife) -> None:
        """Close its channel: it ends, and is reaped when it has."""
        if self._midwives.get(node) is midwife:
            del self._midwives[node]
        midwife.end.close()

    def _gone(self, node: int, midwife: Midwife) -> None:
        self._poll.forget(midwife.process.fd)
        midwife.process.end()
        self._dismiss(node, midwife)
