"""A new network namespace gets its sysctls before its first device.

`all` of disable_ipv6 stands for `default` too (net/ipv6/addrconf.c, addrconf_disable_ipv6). The kernel
keeps the names below /proc/sys/net of all namespaces in one chain for each /proc, so that looking one up
takes longer with every pod: each zygote has a /proc of its own, and looks once for each family.
"""

from __future__ import annotations

import os

from fabric.runtime.processes import linux
from fabric.runtime.processes.files import write

_DISABLE_IPV6 = "sys/net/ipv6/conf/all/disable_ipv6"


def prepare_node(ipv6: bool, hostname: str) -> None:
    """Name the present UTS namespace, and turn IPv6 off in the present network namespace unless wanted."""
    linux.sethostname(hostname)
    if not ipv6:
        _turn_off_ipv6(None)


def prepare_pod(ipv6: bool, proc: int) -> None:
    """Do for a pod's network namespace what containerd does: open low ports and ping to all.

    `proc` is a directory where some PID namespace's /proc is.
    """
    if not ipv6:
        _turn_off_ipv6(proc)
    ipv4 = os.open("sys/net/ipv4", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=proc)
    try:
        write("ip_unprivileged_port_start", "0", ipv4)
        write("ping_group_range", "0 2147483647", ipv4)
    finally:
        os.close(ipv4)


def _turn_off_ipv6(proc: int | None) -> None:
    path = _DISABLE_IPV6 if proc is not None else f"/proc/{_DISABLE_IPV6}"
    try:
        write(path, "1", proc)
    except FileNotFoundError:
        return
