"""Trials of kernel features: each does the thing in the calling process, and raises what Linux says.

Only to be called in a process that has entered namespaces of its own (`enter`) and ends afterwards. Devices
and queues that fabric makes are tried as it will make them; VLANs as pyroute2 makes them, which takes a
quarter of a second to import: only who asks for those waits for it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from fabric.kernel import links, programs, qdiscs, tun
from fabric.kernel.namespaces import CLONE_NEWNET
from fabric.kernel.netlink import NLM_F_CREATE, NLM_F_REPLACE, Request, Socket
from fabric.kernel.programs import ToolFailed
from fabric.netstate.marks import KUBE_MASQUERADE
from fabric.netstate.objects import Bridge, Family, Ipip, Link, Qdisc, Veth, Vxlan

_CLONE_NEWUSER = 0x10000000
_LO = 1
"""The index of `lo` in every namespace."""
_RULES = {
    4: (
        f"*nat\n:FABRIC - [0:0]\n-A FABRIC -m mark --mark {KUBE_MASQUERADE} -j RETURN\n"
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


def _built(link: Link) -> str:
    _done(links.creation(link, {"lo": _LO}.__getitem__, {"here": os.getpid()}))
    return f"link type {type(link).__name__.lower()}"


def _queued(queue: Qdisc) -> str:
    _done(qdiscs.requests(queue, _LO, "add", NLM_F_CREATE | NLM_F_REPLACE))
    _done(qdiscs.requests(queue, _LO, "delete", 0))
    return f"qdisc {queue.kind}"


def _done(requests: Sequence[Request]) -> None:
    socket = Socket()
    try:
        for error in socket.change(requests):
            if error is not None:
                raise error
    finally:
        socket.close()


@contextmanager
def _rtnetlink() -> Iterator[Any]:
    """pyroute2 in this namespace; what Linux refuses is an OSError."""
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    with IPRoute() as rtnetlink:
        try:
            yield rtnetlink
        except NetlinkError as error:
            raise OSError(error.code, os.strerror(error.code)) from error


def _device(kind: str, **options: object) -> str:
    with _rtnetlink() as rtnetlink:
        rtnetlink.link("add", ifname=f"trial-{kind}", kind=kind, **options)
    return f"link type {kind}"


def _vlan() -> str:
    """`lo` takes no VLANs: a pair does."""
    with _rtnetlink() as rtnetlink:
        rtnetlink.link("add", ifname="trial-trunk", kind="veth", peer={"ifname": "trial-far"})
        (trunk,) = rtnetlink.link_lookup(ifname="trial-trunk")
    return _device("vlan", link=trunk, vlan_id=2)


def _tun() -> str:
    tun.make("trial-tun", stays=False)
    return tun.CLONE_DEVICE


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


def _pids() -> str:
    root = _cgroup2()
    if "pids" not in Path(root, "cgroup.subtree_control").read_text().split():
        raise ToolFailed(f"the groups below {root} have no pids controller")
    return "all clusters together have a limit"


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
    "veth": lambda: _built(Veth("trial-veth", "trial-peer", "here")),
    "bridge": lambda: _built(Bridge("trial-bridge")),
    "vxlan": lambda: _built(Vxlan("trial-vxlan", 1, "lo", ip_address("127.0.0.1"))),
    "tun": _tun,
    "ipip": lambda: _built(Ipip("trial-ipip", remote=ip_address("192.0.2.1"))),
    "vlan": _vlan,
    "netem": lambda: _queued(Qdisc("lo", "netem", delay_us=1000)),
    "tbf": lambda: _queued(Qdisc("lo", "tbf", 1_000_000, 2048, 10_000)),
    "ipv6": lambda: _file("/proc/sys/net/ipv6/conf/all/disable_ipv6"),
    "iptables": lambda: _tables(4),
    "ip6tables": lambda: _tables(6),
    "ipset": _ipset,
    "bridge-nf": lambda: _file("/proc/sys/net/bridge/bridge-nf-call-iptables"),
    "cgroup2": _cgroup2,
    "pids": _pids,
}
