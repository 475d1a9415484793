"""The peer of a benchmark is Mininet: as many bare hosts on one Linux bridge, timed in the same run.

Mininet works in the namespace that it is started in, so it gets one of its own, and leaves nothing behind.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass

from fabric.errors import FabricError

PYTHON = "/usr/bin/python3"
"""Debian's mininet belongs to Debian's Python."""

_SCRIPT = """
import json, sys, time
from mininet.net import Mininet
from mininet.topo import SingleSwitchTopo
from mininet.nodelib import LinuxBridge
began = time.monotonic()
net = Mininet(topo=SingleSwitchTopo(int(sys.argv[1])), switch=LinuxBridge, controller=None)
net.start()
up = time.monotonic() - began
began = time.monotonic()
net.stop()
print(json.dumps({"up": up, "down": time.monotonic() - began}))
"""


@dataclass(frozen=True, slots=True)
class PeerTimes:
    """Seconds that Mininet takes for bare hosts."""

    hosts: int
    up_seconds: float
    down_seconds: float


def mininet(hosts: int, *, seconds_max: float = 600.0) -> PeerTimes:
    """Start and stop that many hosts; FabricError when Mininet is not installed or fails."""
    if not all(shutil.which(tool) for tool in ("mn", "brctl")):
        remedy = "sudo apt-get install mininet bridge-utils (or use --no-mininet)"
        raise FabricError(f"Mininet, or what it needs, is not installed: {remedy}")
    inside = "ip link set lo up && mount -t sysfs none /sys && exec " + PYTHON + ' -c "$0" "$@"'
    run = subprocess.run(
        [
            "unshare",
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--mount-proc",
            "sh",
            "-c",
            inside,
            _SCRIPT,
            str(hosts),
        ],
        capture_output=True,
        text=True,
        timeout=seconds_max,
        check=False,
    )
    if run.returncode != 0:
        raise FabricError(f"Mininet failed: {(run.stderr or run.stdout).strip()[-500:]}")
    times = json.loads(run.stdout.strip().splitlines()[-1])
    return PeerTimes(hosts, round(times["up"], 3), round(times["down"], 3))
