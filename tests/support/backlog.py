"""The packets that the machine itself drops: a CPU's queue of received packets, which all namespaces share.

When another program's burst fills it (`net.core.netdev_max_backlog`), packets of everybody are lost, and no
rule, route or daemon under test has anything to do with it.
"""

from __future__ import annotations

from pathlib import Path

_DROPPED = 1
"""The column of /proc/net/softnet_stat; a line a CPU, in hexadecimal."""


def dropped() -> int:
    """Return how many packets the machine has dropped since it runs."""
    lines = Path("/proc/net/softnet_stat").read_text().splitlines()
    return sum(int(line.split()[_DROPPED], 16) for line in lines)
