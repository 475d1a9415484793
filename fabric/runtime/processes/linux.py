"""System calls that Python 3.11 lacks, by libc's `syscall`, for a process with one thread.

Numbers are those of x86-64; the calls above 423 have the same number on every architecture. Each
raises OSError with errno as the kernel gave it and what was tried as its file name.
"""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_MOVE = 0x2000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 2

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 4

_PR_CAPBSET_DROP = 24
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT, _AMBIENT_RAISE, _AMBIENT_CLEAR = 47, 2, 4
_SECBIT_NOROOT = 1

_X86 = os.uname().machine == "x86_64"
_CLONE = 56 if _X86 else 220
_SETNS = 308 if _X86 else 268
_PIVOT_ROOT = 155 if _X86 else 41
_CAPSET = 126 if _X86 else 91
_CAPABILITY_HEADER = (0x20080522).to_bytes(4, "little") + bytes(4)
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_FSCONFIG_SET_FD, _FSCONFIG_CMD_CREATE = 5, 6

_libc = ctypes.PyDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long


def _call(what: str, number: int, *args: int | bytes | None) -> int:
    words = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in args]
    return _checked(int(_syscall(ctypes.c_long(number), *words)), what)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def clone(flags: int) -> int:
    """Fork with namespaces of its own; return the child's pid as the caller sees it, 0 in the child.

    The interpreter is told of the fork, so the child may go on in Python.
    """
    pid = _call("clone", _CLONE, flags | 17, 0, 0, 0, 0)
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    return pid


def setns(fd: int, kinds: int) -> None:
    """Enter namespaces of the process of a pidfd, or the one of a namespace's descriptor."""
    _call("setns", _SETNS, fd, kinds)


def unshare(kinds: int) -> None:
    _checked(_libc.unshare(kinds), "unshare")


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    what = f"mount {kind} on {target}"
    result = _libc.mount(
        source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode() or None
    )
    _checked(result, what)


def umount(target: str) -> None:
    """Detach a mount and all below it."""
    _checked(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def open_tree(path: str, *, recursive: bool = False) -> int:
    """Return a detached copy of what is at `path`: a bind mount that is nowhere yet."""
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (AT_RECURSIVE if recursive else 0)
    return _call(f"open_tree {path}", _OPEN_TREE, AT_FDCWD, os.fsencode(path), flags)


def restrict(tree: int, attributes: int) -> None:
    """Set `MOUNT_ATTR_…` bits on every mount of a detached tree."""
    words = attributes.to_bytes(8, "little") + bytes(24)
    _call("mount_setattr", _MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH | AT_RECURSIVE, words, 32)


def proc_of(pid_namespace: int) -> int:
    """Return a detached /proc of another PID namespace; EINVAL before Linux 6.17."""
    context = _call("fsopen proc", _FSOPEN, b"proc", 1)
    try:
        _call("fsconfig pidns", _FSCONFIG, context, _FSCONFIG_SET_FD, b"pidns", None, pid_namespace)
        _call("fsconfig create", _FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0)
        return _call("fsmount", _FSMOUNT, context, 1, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | 0x8)
    finally:
        os.close(context)


def proc_here() -> int:
    """Return a detached /proc of the caller's PID namespace, which nobody else sees."""
    context = _call("fsopen proc", _FSOPEN, b"proc", 1)
    try:
        _call("fsconfig create", _FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0)
        return _call("fsmount", _FSMOUNT, context, 1, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | 0x8)
    finally:
        os.close(context)


def move_mount(tree: int, target: str) -> None:
    """Attach a detached tree at `target`."""
    path = os.fsencode(target)
    _call(f"mount on {target}", _MOVE_MOUNT, tree, b"", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH)


def pivot_root(new_root: str) -> None:
    """Make the mount at `new_root` the root of this mount namespace and let go of the old one."""
    os.chdir(new_root)
    _call("pivot_root", _PIVOT_ROOT, b".", b".")
    umount(".")
    os.chdir("/")


def cover_root(new_root: str) -> None:
    """Mount what is at `new_root` over the root: quicker than `pivot_root`, which waits for RCU."""
    os.chdir(new_root)
    mount(".", "/", "", MS_MOVE)
    os.chroot(".")
    os.chdir("/")


def sethostname(name: str) -> None:
    _checked(_libc.sethostname(name.encode(), len(name.encode())), "sethostname")


def confine(kept: int) -> None:
    """Give programs that are executed from here the capabilities `kept`, as root too, and no others.

    They are made ambient, and being root adds none; the caller keeps all of its own.
    """
    mine = _permitted()
    _set_capabilities(mine, mine, kept & mine)
    for number in range(kept.bit_length()):
        if kept & mine & 1 << number:
            _checked(_libc.prctl(PR_CAP_AMBIENT, _AMBIENT_RAISE, number, 0, 0), "raise a capability")
    _checked(_libc.prctl(PR_SET_SECUREBITS, _SECBIT_NOROOT, 0, 0, 0), "set securebits")


def bound(kept: int) -> None:
    """Drop all capabilities but `kept` from every set of this process, for good.

    As under runc: bounding, permitted and effective are `kept`, inheritable and ambient are empty. An exec as
    root has `kept`, one as another user none.
    """
    mine = _permitted()
    for number in range(mine.bit_length()):
        if not kept & 1 << number:
            _checked(_libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0), "drop a capability")
    # What setuid and setgid need is let go of at exec, where the bounding set counts.
    _set_capabilities(mine, mine, 0)


def release() -> None:
    """End `confine`: a program that is executed by root has all capabilities again."""
    _checked(_libc.prctl(PR_SET_SECUREBITS, 0, 0, 0, 0), "set securebits")
    _checked(_libc.prctl(PR_CAP_AMBIENT, _AMBIENT_CLEAR, 0, 0, 0), "clear capabilities")


def _permitted() -> int:
    data = ctypes.create_string_buffer(24)
    _call("capget", _CAPSET - 1, _CAPABILITY_HEADER, ctypes.addressof(data))
    words = [int.from_bytes(data.raw[i : i + 4], "little") for i in (4, 16)]
    return words[0] | words[1] << 32


def _set_capabilities(effective: int, permitted: int, inheritable: int) -> None:
    sets = (effective, permitted, inheritable)
    words = [s & 0xFFFFFFFF for s in sets] + [s >> 32 for s in sets]
    _call("capset", _CAPSET, _CAPABILITY_HEADER, b"".join(w.to_bytes(4, "little") for w in words))
