"""A container's process: the runtime enters the pod's namespaces, builds a root, and starts it."""

from __future__ import annotations

import os

from fabric.runtime.namespaces import roots
from fabric.runtime.processes import capabilities, linux, program
from fabric.runtime.processes.failure import Failure
from fabric.runtime.processes.files import close_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from fabric.runtime.namespaces.root_template import RootTemplate
    from fabric.runtime.namespaces.shared_root import SharedRoot
    from fabric.runtime.processes.process import Process

    Spec = dict[str, Any]

_POD = linux.CLONE_NEWNET | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC | linux.CLONE_NEWPID
_VOLUME = linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NODEV


def start(
    spec: Spec,
    pause: Process,
    template: RootTemplate,
    files: Sequence[int],
    shared_root: SharedRoot | None = None,
) -> program.Started:
    """Start it, in the shared root or in a root of its own, with `files` as descriptors 0, 1 and 2.

    Failure or OSError when it cannot be.
    """
    user = user_of(spec)
    env = program.environment(spec.get("env", {}), user.uid)
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(files)]
    first = None
    with template:
        if shared_root is not None:
            shared_root.enter()
            linux.setns(pause.fd, _POD)
        else:
            first = None if _enter(spec, pause, template) else _last_mounts
            program.enter_directory(spec.get("cwd", "/"))
        return program.start(spec["argv"], env, actions, user, first, session=shared_root is None)


def user_of(spec: Spec) -> program.User:
    """Return the user of a container and of programs beside it; Failure for a capability that is none."""
    try:
        kept = capabilities.mask(spec.get("capabilities"))
    except KeyError as error:
        raise Failure(f"capability {error.args[0]}: Linux has none of this name (capabilities(7))") from error
    return program.User(spec.get("uid", 0), spec.get("gid", 0), kept)


def _enter(spec: Spec, pause: Process, template: RootTemplate) -> bool:
    """Go into the pod's namespaces and a new root; return whether /proc could be mounted from here."""
    root = spec.get("root")
    given = linux.open_tree(root) if root else -1
    proc = _proc_of(pause)
    trees = roots.Trees(spec.get("mounts", ()), _VOLUME, pause)
    try:
        template.enter_copy()
        devices = linux.open_tree("/devices")
        if given >= 0:
            linux.move_mount(given, "/lower")
        roots.enter(template, ("/lower",) if root else ("/layer", "/host"))
        linux.setns(pause.fd, _POD)
        roots.mount_sys(read_only=True)
        roots.mount_devices(devices)
        os.close(devices)
        if proc >= 0:
            roots.mount_proc(proc)
            roots.protect_proc()
        trees.attach()
    finally:
        trees.close()
        close_all((given, proc))
    if spec.get("read_only_root", False):
        roots.make_read_only()
    return proc >= 0


def _proc_of(pause: Process) -> int:
    """Return a detached /proc of the pod's, or -1 where only the pod can make it (before Linux 6.17)."""
    namespace = os.open(f"/proc/{pause.pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return linux.proc_of(namespace)
    except OSError:
        return -1
    finally:
        os.close(namespace)


def _last_mounts() -> None:
    roots.mount_proc(-1)
    roots.protect_proc()
