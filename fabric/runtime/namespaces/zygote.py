"""The zygote is a helper inside a node's PID namespace, which starts the pause processes of its pods.

Only from within a PID namespace can one be made below it. The first pod of a burst costs the fork of a
zygote, the next ones a message each; it ends itself when its channel closes, as when the runtime is killed.
It holds none of the runtime's descriptors. The pause processes are its children until it ends, and then
those of the node's init; the parent reaps them and nobody asks how they ended.
"""

from __future__ import annotations

import json
import os
import signal
import socket

from fabric.runtime.namespaces import netns
from fabric.runtime.namespaces.node_init import PAUSE
from fabric.runtime.namespaces.own_namespaces import OwnNamespaces
from fabric.runtime.processes import linux, program
from fabric.runtime.processes.failure import Failure
from fabric.runtime.processes.files import set_title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_END, _NODE, _MARK = 3, 4, 5
_REQUEST_BYTES_MAX = 64 * 1024
_MESSAGE_BYTES_MAX = 4096
_TITLE = "fabric-zygote"
STARTED = b"."
"""The answer that comes with the pidfd of a pause process; any other says why there is none."""
_POD = linux.CLONE_NEWNET | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC | linux.CLONE_NEWPID


def live(end: socket.socket, node: int, mark: int) -> NoReturn:
    """Serve the channel until it closes; `node` is the pidfd of the node's init."""
    channel = end
    try:
        _keep_only((0, 1, 2, end.fileno(), node, mark))
        channel = socket.socket(fileno=_END)
        program.default_signals()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        os.setsid()
        set_title(_TITLE)
        _serve(channel)
    except BaseException as bug:
        channel.send(f"bug in the zygote: {bug!r}".encode()[:_MESSAGE_BYTES_MAX])
    finally:
        os._exit(0)


def _keep_only(fds: tuple[int, ...]) -> None:
    """Give these descriptors the numbers 0, 1, 2 … and close all others."""
    above = max(fds) + 1 + len(fds)
    for number, fd in enumerate(fds):
        os.dup2(fd, above + number, inheritable=False)
    for number in range(len(fds)):
        os.dup2(above + number, number, inheritable=number <= 2)
    os.closerange(len(fds), os.sysconf("SC_OPEN_MAX"))


def _serve(end: socket.socket) -> None:
    home = OwnNamespaces()
    proc = linux.proc_here()
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    while text := end.recv(_REQUEST_BYTES_MAX):
        try:
            with home:
                pid = _start(json.loads(text), proc, null)
            pause = _pidfd(pid)
        except (OSError, Failure) as error:
            end.send(str(error).encode()[:_MESSAGE_BYTES_MAX])
        else:
            socket.send_fds(end, [STARTED], [pause])
            os.close(pause)


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except OSError:
        os.kill(pid, signal.SIGKILL)
        raise


def _start(spec: dict[str, Any], proc: int, null: int) -> int:
    if spec.get("host_network", False):
        linux.unshare(linux.CLONE_NEWIPC | linux.CLONE_NEWPID)
        linux.setns(_NODE, linux.CLONE_NEWNET | linux.CLONE_NEWUTS)
    else:
        linux.unshare(_POD)
        linux.sethostname(spec["hostname"])
        netns.prepare_pod(spec.get("ipv6", False), proc)
    linux.setns(_NODE, linux.CLONE_NEWNS)
    files = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate((_MARK, null, null))]
    argv = [*PAUSE, spec["sandbox_id"]] if "sandbox_id" in spec else PAUSE
    return program.start(argv, {"PATH": program.PATH}, files, program.User(), session=False).pid
