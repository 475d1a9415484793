"""Capabilities: their numbers by name, and the set that a container has unless it says otherwise.

Names are those of capabilities(7) without CAP_, as in a pod's securityContext.
"""

from __future__ import annotations

_NAMES = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT
SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP
MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
_DEFAULT = """
CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT
AUDIT_WRITE SETFCAP
"""
NUMBERS = {name: number for number, name in enumerate(_NAMES.split())}
DEFAULT_NAMES = tuple(_DEFAULT.split())
"""As in containerd; MKNOD is not among them, for no device controller guards the disks."""


def mask(names: list[str] | None) -> int:
    """Return the set as bits; None is the default set. KeyError names what is no capability."""
    return DEFAULT if names is None else sum({1 << NUMBERS[name] for name in names})


DEFAULT = mask(list(DEFAULT_NAMES))
