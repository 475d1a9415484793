"""A node that leaves the file takes its disk along, whatever is killed meanwhile."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support.clusters import pod
from support.eventually import eventually

ADDRESSES = "var/lib/cni/networks/cbr0"
PODS = [pod(f"pod-{number}", "node-2") for number in (1, 2, 3)]
KILL_SECONDS, RARER = 0.15, 1.2
"""From the first kill to the second, and by how much longer each next pause is.

A program that is always killed as soon as it is seen never gets to its work on a slow machine.
"""


def runtimes(cluster) -> list[int]:
    """Pids of the cluster's runtimes, which have no name but their sockets on the command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            argv = (process / "cmdline").read_bytes()
            if b"fabric.runtime.server" in argv and f"/{cluster.name}/".encode() in argv:
                found.append(int(process.name))
    return found


@contextmanager
def killing(cluster, victims) -> Iterator[None]:
    """Kill them again and again, ever more rarely, while the body runs."""
    is_over = threading.Event()

    def kill() -> None:
        pause = KILL_SECONDS
        while not is_over.wait(pause):
            pause *= RARER
            for pid in victims(cluster):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        is_over.set()
        killer.join()


def workers(cluster) -> list[int]:
    processes = cluster.status()["processes"]
    return [each["pid"] for each in processes if each["name"].startswith("worker") and each["pid"]]


@pytest.mark.parametrize("victims", [runtimes, workers])
async def test_no_address_stays_reserved_for_a_pod_of_a_node_that_left(fresh, victims):
    fresh.write(pods=PODS)
    fresh.up()
    disk = fresh.state_folder / "nodes/node-2"
    before = {path.name for path in (disk / ADDRESSES).iterdir()}
    fresh.write(nodes=1)
    with killing(fresh, victims):
        leaving = fresh.start_up()
        await eventually(lambda: not disk.exists(), seconds_max=60)
    leaving.wait(60)
    fresh.up()
    assert not disk.exists()
    fresh.write(pods=[*PODS, pod("pod-4", "node-2")])
    report = fresh.up()
    addresses = {each["ip"] for each in report["pods"]}
    assert {path.name for path in (disk / ADDRESSES).iterdir()} == {*addresses, "lock", "last_reserved_ip.0"}
    assert len(addresses) == 4 and len(before) == 5
