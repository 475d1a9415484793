"""The first process of a guest: a root of its own, a run of pytest in it, and power off.

The host's files are the lower layer of an overlay, whose upper one is memory: the guest reads them, and what
it writes is gone with it. The one exception is the exchange, a directory of the host's in which the task lies
and where results go. Started by the guest's kernel as `python guest_init.py EXCHANGE`; prints to the console.
"""

from __future__ import annotations

import ctypes
import json
import os
import stat
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MS_BIND, _MNT_DETACH, _SYS_PIVOT_ROOT = 0x1000, 2, 155
_LINUX_REBOOT_CMD_POWER_OFF = 0x4321FEDC
_DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
    "console": (5, 1),
    "net/tun": (10, 200),
}
_MODULES = "/usr/lib/uml/modules"
_libc = ctypes.CDLL(None, use_errno=True)


def main(exchange: str) -> None:
    """Carry out the task of the exchange and leave `exit` there; the guest is off afterwards."""
    try:
        task = json.loads(Path(exchange, "task.json").read_text())
        make_root(Path("/run"), exchange, task["directory"])
        code = run_task(task)
        Path("/exchange/exit").write_text(str(code))
    except BaseException:
        traceback.print_exc()
    finally:
        os.sync()
        _libc.reboot(_LINUX_REBOOT_CMD_POWER_OFF)


def make_root(base: Path, exchange: str, checkout: str) -> None:
    """Become the owner of a root that is writable and forgets, with the exchange at /exchange.

    The checkout is where the host has it, also when that is below /tmp, which is empty besides.
    """
    mount("tmpfs", base, "tmpfs")
    upper, work, root, kept = base / "upper", base / "work", base / "root", base / "kept"
    for directory in (upper, work, root, kept):
        directory.mkdir()
    overlay = f"{_MODULES}/{os.uname().release}/kernel/fs/overlayfs/overlay.ko"
    subprocess.run(["/usr/sbin/insmod", overlay], check=True)
    mount("overlay", root, "overlay", f"lowerdir=/,upperdir={upper},workdir={work}")
    (root / "exchange").mkdir()
    mount("none", root / "exchange", "hostfs", exchange)
    seen = root / checkout.lstrip("/")
    mount(str(seen), kept, flags=_MS_BIND)
    for name in ("run", "tmp", "dev"):
        mount("tmpfs", root / name, "tmpfs", "mode=1777" if name == "tmp" else "mode=755")
    seen.mkdir(parents=True, exist_ok=True)
    mount(str(kept), seen, flags=_MS_BIND)
    mount("proc", root / "proc", "proc")
    mount("sysfs", root / "sys", "sysfs")
    mount("cgroup2", root / "sys/fs/cgroup", "cgroup2")
    (root / "sys/fs/cgroup/cgroup.subtree_control").write_text("+pids")
    become_root(root)
    make_devices(Path("/dev"))
    Path("/lib/modules").mkdir(exist_ok=True)
    release = os.uname().release
    Path("/lib/modules", release).symlink_to(Path(_MODULES, release))


def become_root(root: Path) -> None:
    """Make a mount the root of all that begins here; the old one is out of sight, and lives on below it."""
    os.chdir(root)
    old = b"mnt"
    if _libc.syscall(_SYS_PIVOT_ROOT, b".", old) != 0 or _libc.umount2(old, _MNT_DETACH) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"pivot_root: {os.strerror(number)}", str(root))
    os.chdir("/")


def make_devices(dev: Path) -> None:
    for name in ("net", "pts", "shm"):
        (dev / name).mkdir()
    mount("devpts", dev / "pts", "devpts", "ptmxmode=666")
    mount("tmpfs", dev / "shm", "tmpfs")
    (dev / "ptmx").symlink_to("pts/ptmx")
    (dev / "fd").symlink_to("/proc/self/fd")
    for name, number in _DEVICES.items():
        os.mknod(dev / name, stat.S_IFCHR | 0o666, os.makedev(*number))


def run_task(task: Mapping[str, Any]) -> int:
    """Load the modules of the task and run its command; return the command's exit code."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    environment = {"PATH": path, "HOME": "/root", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    if task["modules"]:
        subprocess.run(["modprobe", "-a", *task["modules"]], check=True, env=environment)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, env=environment)
    return subprocess.run(task["command"], cwd=task["directory"], env=environment, check=False).returncode


def mount(source: str, target: Path, kind: str = "", options: str = "", flags: int = 0) -> None:
    """Mount a file system; OSError names the target."""
    arguments = [text.encode() for text in (source, str(target), kind)]
    if _libc.mount(*arguments, flags, options.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {kind or source}: {os.strerror(number)}", str(target))


if __name__ == "__main__":
    main(sys.argv[1])
