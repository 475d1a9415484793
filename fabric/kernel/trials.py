"""One trial a feature: each does the thing in the calling process, and raises what Linux says.

Only to be called in a process that has entered namespaces of its own (`enter`) and ends afterwards.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

from fabric.kernel import links, programs
from fabric.kernel.namespaces import CLONE_NEWNET
from fabric.kernel.netlink import NLM_F_CREATE, NLM_F_EXCL, Request, Socket, attribute, text, u32
from fabric.kernel.programs import ToolFailed
from fabric.netstate.objects import Bridge, Family, Veth

_CLONE_NEWUSER = 0x10000000
_IFINFO = struct.Struct("=BxHiII")
_TCMSG = struct.Struct("=BxxxiIII")
_RTM_NEWQDISC, _TCA_KIND, _TC_H_ROOT = 36, 1, 0xFFFFFFFF
_IFLA_IFNAME, _IFLA_LINK, _IFLA_LINKINFO, _INFO_KIND, _INFO_DATA = 3, 5, 18, 1, 2
_VLAN_ID, _VXLAN_ID = 1, 1
_TUNSETIFF, _IFF_TUN_NO_PI = 0x400454CA, 0x1001
_RULES = {
    4: (
        "*nat\n:FABRIC - [0:0]\n-A FABRIC -m mark --mark 0x4000/0x4000 -j RETURN\n"
        '-A FABRIC -m comment --comment "a trial" -j MASQUERADE --random-fully\nCOMMIT\n'
        "*filter\n:FABRIC - [0:0]\n-A FABRIC -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\nCOMMIT\n"
    ),
    6: "*filter\n:FABRIC - [0:0]\n-A FABRIC -s fd00::/8 -j ACCEPT\nCOMMIT\n",
}


def enter() -> str:
    """Move the calling process into a network namespace of its own, without root into a user's too."""
    is_root = os.geteuid() == 0
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET | (0 if is_root else _CLONE_NEWUSER)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if is_root:
        return "as root"
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    return "in a user namespace"


def _change(*requests: Request) -> None:
    socket = Socket()
    try:
        for error in socket.change(requests):
            if error is not None:
                raise error
    finally:
        socket.close()


def _index_of(device: str) -> int:
    socket = Socket()
    try:
        return socket.index_of(device)
    finally:
        socket.close()


def _veth() -> str:
    pair = Veth("trial-veth", "trial-peer", "here")
    _change(*links.creation(pair, {}, {"here": os.getpid()}))
    return "pairs"


def _bridge() -> str:
    _change(*links.creation(Bridge("trial-bridge"), {}, {}))
    return "bridges"


def _kind(kind: str, data: bytes = b"", parent: str = "") -> str:
    body = _IFINFO.pack(0, 0, 0, 0, 0) + text(_IFLA_IFNAME, f"trial-{kind}")
    body += u32(_IFLA_LINK, _index_of(parent)) if parent else b""
    info = text(_INFO_KIND, kind) + (attribute(_INFO_DATA, data) if data else b"")
    _change(Request(links.RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body + attribute(_IFLA_LINKINFO, info)))
    return f"link type {kind}"


def _vlan() -> str:
    return _kind("vlan", attribute(_VLAN_ID, struct.pack("=H", 2)), "trial-veth")


def _discipline(kind: str) -> str:
    """Ask for a queueing discipline without its options: one that is known says EINVAL, not ENOENT."""
    body = _TCMSG.pack(0, _index_of("trial-veth"), 0, _TC_H_ROOT, 0) + text(_TCA_KIND, kind)
    try:
        _change(Request(_RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, body))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return f"qdisc {kind}"


def _tun() -> str:
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", b"trial-tun", _IFF_TUN_NO_PI))
    finally:
        os.close(fd)
    return "/dev/net/tun"


def _tables(family: Family) -> str:
    flavour = programs.detect_flavour(os.getpid())
    programs.run(os.getpid(), programs.restore(flavour, family), _RULES[family])
    return flavour


def _ipset() -> str:
    programs.run(os.getpid(), ("ipset", "restore"), "create trial hash:net\nadd trial 10.0.0.0/8\n")
    rule = "*filter\n:TRIAL - [0:0]\n-A TRIAL -m set --match-set trial src -j ACCEPT\nCOMMIT\n"
    flavour = programs.detect_flavour(os.getpid())
    programs.run(os.getpid(), programs.restore(flavour, 4), rule)
    return "hash:net, and rules that match it"


def _file(path: str) -> str:
    Path(path).stat()
    return path


def _cgroup2() -> str:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    points = [words[1] for words in mounts if words[2] == "cgroup2"]
    if not points:
        raise ToolFailed("no cgroup2 file system is mounted")
    group = Path(points[0], f"fabric-trial-{os.getpid()}")
    group.mkdir()
    try:
        (group / "cgroup.kill").stat()
    finally:
        group.rmdir()
    return points[0]


TRIALS: Mapping[str, Callable[[], str]] = {
    "veth": _veth,
    "bridge": _bridge,
    "vxlan": lambda: _kind("vxlan", u32(_VXLAN_ID, 1)),
    "tun": _tun,
    "ipip": lambda: _kind("ipip"),
    "vlan": _vlan,
    "netem": lambda: _discipline("netem"),
    "tbf": lambda: _discipline("tbf"),
    "ipv6": lambda: _file("/proc/sys/net/ipv6/conf/all/disable_ipv6"),
    "iptables": lambda: _tables(4),
    "ip6tables": lambda: _tables(6),
    "ipset": _ipset,
    "bridge-nf": lambda: _file("/proc/sys/net/bridge/bridge-nf-call-iptables"),
    "cgroup2": _cgroup2,
}
"""In this order: vlan and the disciplines use the pair that veth made."""
