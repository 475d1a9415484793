"""What a new network namespace is told before it gets its first device."""

from __future__ import annotations

import os

from fabric.kernel.forkserver import linux
from fabric.kernel.forkserver.files import write


def prepare(ipv6: bool, hostname: str) -> None:
    """Name the present UTS namespace, and turn IPv6 off in the present network namespace unless wanted."""
    linux.sethostname(hostname)
    if ipv6 or not os.path.exists("/proc/sys/net/ipv6"):
        return
    for scope in ("all", "default"):
        write(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6", "1")


def open_low_ports() -> None:
    """As containerd has it: ports below 1024 and ping need no privilege in a pod."""
    write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")
    write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647")
