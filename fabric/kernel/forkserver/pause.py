"""A pod's pause process: PID 1 of a PID namespace inside its node's, holding the pod's namespaces.

The runtime makes the namespaces, then forks a child into the node's PID namespace, for only from
there can one be made inside of it. That child starts the pause process, hands over its pidfd and ends;
the node's init becomes the parent.
"""

from __future__ import annotations

import os
import socket

from fabric.kernel.forkserver import linux, netns, program
from fabric.kernel.forkserver.failure import Failure
from fabric.kernel.forkserver.files import close_all
from fabric.kernel.forkserver.node_init import PAUSE
from fabric.kernel.forkserver.process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from fabric.kernel.forkserver.ground import Ground

_POD = linux.CLONE_NEWNET | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC


def start(spec: dict[str, Any], node: Process, ground: Ground, mark: int) -> Process:
    """Start a sandbox's pause process, with `mark` as its standard input; Failure or OSError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        with ground:
            if spec.get("host_network", False):
                linux.setns(node.fd, linux.CLONE_NEWNET | linux.CLONE_NEWUTS)
                linux.unshare(linux.CLONE_NEWIPC)
            else:
                linux.unshare(_POD)
                netns.prepare(spec.get("ipv6", False), spec["hostname"])
                netns.open_low_ports()
            linux.setns(node.fd, linux.CLONE_NEWNS | linux.CLONE_NEWPID)
            pid = os.fork()
            if pid == 0:
                _deliver(theirs, mark)
        theirs.close()
        text, fds, _, _ = socket.recv_fds(ours, 4096, 1, socket.MSG_CMSG_CLOEXEC)
        os.waitpid(pid, 0)
    if not fds:
        raise Failure(text.decode() or "the pause process could not be started")
    return Process.of(fds[0])


def _deliver(end: socket.socket, mark: int) -> NoReturn:
    try:
        linux.unshare(linux.CLONE_NEWPID)
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        files = [(os.POSIX_SPAWN_DUP2, mark, 0)] + [(os.POSIX_SPAWN_DUP2, null, number) for number in (1, 2)]
        pid = program.start(PAUSE, {"PATH": program.PATH}, files, program.User(confined=False))
        socket.send_fds(end, [b"."], [os.pidfd_open(pid)])
        close_all((null,))
    except (OSError, Failure) as error:
        end.send(str(error).encode()[:4096])
    finally:
        os._exit(0)
