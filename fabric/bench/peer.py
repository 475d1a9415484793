"""The peer of a benchmark is Mininet: as many bare hosts on one Linux bridge, timed in the same run.

Mininet works in the namespace that it is started in, so it gets one of its own, and leaves nothing behind.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass

from fabric.errors import FabricError, plural

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


def need_mininet() -> None:
    """FabricError unless Mininet, and what it needs, is installed."""
    if not all(shutil.which(tool) for tool in ("mn", "brctl")):
        remedy = "sudo apt-get install mininet bridge-utils (or use --no-mininet)"
        raise FabricError(f"Mininet, or what it needs, is not installed: {remedy}")


def mininet(hosts: int, *, seconds_max: float = 600.0) -> PeerTimes:
    """Start and stop that many hosts; FabricError when Mininet is not there, fails or is late."""
    need_mininet()
    inside = "ip link set lo up && mount -t sysfs none /sys && exec " + PYTHON + ' -c "$0" "$@"'
    # What was started in its namespaces ends with unshare.
    apart = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    argv = [*apart, "sh", "-c", inside, _SCRIPT, str(hosts)]
    try:
        run = subprocess.run(argv, capture_output=True, text=True, timeout=seconds_max, check=False)
    except subprocess.TimeoutExpired:
        what = f"Mininet is not done with {plural(hosts, 'host')} after {seconds_max:g} s"
        raise FabricError(f"{what}: use --no-mininet, or fewer pods") from None
    if run.returncode != 0:
        raise FabricError(f"Mininet failed: {(run.stderr or run.stdout).strip()[-500:]}")
    times = json.loads(run.stdout.strip().splitlines()[-1])
    return PeerTimes(hosts, round(times["up"], 3), round(times["down"], 3))
