"""A ping that runs beside a test, and counts what was lost while things were broken."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from support import backlog
from support.shipped import Shipped

INTERVAL = "0.005"
SECONDS_MAX = 60.0


@contextmanager
def pinging(cluster: Shipped, source: str, target: str) -> Iterator[list[int]]:
    """Ping every 5 ms from pod to pod; the list gets the number of lost packets when the body ends.

    Those that the machine itself dropped meanwhile, of everybody's, are taken off.
    """
    lost: list[int] = []
    dropped_before = backlog.dropped()
    command = ("ping", "-n", "-q", "-i", INTERVAL, cluster.address(target))
    with cluster.start(source, *command) as ping:
        deadline = time.monotonic() + SECONDS_MAX
        while cluster.exec(source, "pgrep", "-x", "ping").returncode != 0:
            assert time.monotonic() < deadline and ping.poll() is None, "ping does not run"
        yield lost
        cluster.exec(source, "pkill", "-INT", "-x", "ping")
        said = ping.communicate(timeout=180)[0]
    found = re.search(r"(\d+) packets transmitted, (\d+) received", said)
    assert found, said
    missing = int(found[1]) - int(found[2])
    lost.append(max(missing - (backlog.dropped() - dropped_before), 0))
