"""`bench up`: medians over the runs, processor time by component, and limits that are put back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fabric.bench import cpu, memory, peer, up
from fabric.bench.peer import PeerTimes
from fabric.bench.up import Run, summary
from fabric.cluster.validation import check_network
from fabric.errors import FabricError
from fabric.topology.load import load


def run_of(seconds: float, **changes: object) -> Run:
    figures = {
        "up_seconds": seconds,
        "down_seconds": seconds / 10,
        "stages": {"nodes Ready": seconds / 2},
        "pairs": 12,
        "slab_mib": seconds * 2,
        "pss_mib": {f"process-{number}": seconds for number in range(8)},
        "cpu_user_seconds": seconds * 3,
        "cpu_system_seconds": seconds * 4,
        "cpu_seconds": {"api": seconds, "worker": seconds * 2},
    }
    return Run(**(figures | changes))


def test_figures_are_medians_over_the_runs_and_slab_is_the_largest():
    found = summary(2, 4, [run_of(1), run_of(9), run_of(2)], PeerTimes(4, 3.0, 4.0))
    assert (found.nodes, found.pods, found.runs, found.pairs) == (2, 4, 3, 12)
    assert (found.up_seconds, found.down_seconds, found.stages) == (2, 0.2, {"nodes Ready": 1})
    assert (found.pss_mib, found.slab_mib) == (16, 18)
    assert (found.cpu_user_seconds, found.cpu_system_seconds) == (6, 8)
    assert found.cpu_seconds == {"api": 2, "worker": 4}
    assert list(found.heaviest) == [f"process-{number}" for number in range(up.HEAVIEST)]
    assert found.as_json()["peer"] == {"hosts": 4, "up_seconds": 3.0, "down_seconds": 4.0}


def test_a_component_that_only_some_runs_had_counts_as_nothing_in_the_others():
    found = summary(2, 4, [run_of(1, cpu_seconds={}), run_of(3, cpu_seconds={}), run_of(2)])
    assert found.cpu_seconds == {"api": 0, "worker": 0}


@pytest.mark.parametrize(("nodes", "pods"), [(1, 1), (2, 4), (10, 1000)])
def test_every_size_is_a_topology_that_up_takes_with_room_for_its_pods(tmp_path, nodes, pods):
    file = tmp_path / "topology.json"
    value = up.topology("a", nodes, pods)
    file.write_text(json.dumps(value))
    check_network(load(file))
    rooms = [int(node["capacity"]["pods"]) for node in value["spec"]["nodes"]]
    assert len(rooms) == nodes and sum(rooms) >= 2 * pods
    assert len(value["spec"]["manifests"]) == pods


def test_processor_time_goes_to_its_component_and_the_rest_to_hosts_and_pods():
    burn = "x = sum(range(3_000_000)); input()"
    started = [
        subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        for _ in range(3)
    ]
    pids = [process.pid for process in started]
    try:
        deadline = time.monotonic() + 30
        while min(map(cpu.seconds, pids)) < 0.03 and time.monotonic() < deadline:
            time.sleep(0.01)
        found = cpu.by_component(pids, {"worker-0": pids[0], "worker-1": pids[1], "api": 0})
    finally:
        for process in started:
            process.communicate(b"\n")
    assert list(found) == ["worker", cpu.HOSTS_AND_PODS]
    assert found["worker"] >= 0.06 and found[cpu.HOSTS_AND_PODS] >= 0.03


def test_processor_time_is_that_of_all_threads():
    work = "lambda: (sum(range(4_000_000)), input())"
    burn = f"import threading\nit = threading.Thread(target={work})\nit.start(); it.join()"
    with subprocess.Popen(
        [sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as it:
        deadline = time.monotonic() + 30
        while (found := cpu.seconds(it.pid)) < 0.05 and time.monotonic() < deadline:
            time.sleep(0.01)
        main_thread = int(Path(f"/proc/{it.pid}/schedstat").read_text().split()[0]) / 1e9
        it.communicate(b"\n")
    assert found >= 0.05 and found > main_thread


def test_a_component_has_the_time_of_the_children_that_it_waited_for():
    before = cpu.seconds_of_children(os.getpid())
    subprocess.run([sys.executable, "-c", "sum(range(4_000_000))"], check=True)
    assert cpu.seconds_of_children(os.getpid()) > before


def test_a_process_that_is_gone_weighs_nothing():
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert (cpu.seconds(gone.pid), cpu.seconds_of_children(gone.pid), memory.pss_kib(gone.pid)) == (0, 0, 0)


def test_memory_is_summed_by_command_the_heaviest_first():
    mine = os.getpid()
    found = memory.by_command([mine, mine, os.getppid()])
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert max(found.values()) >= 2 * memory.pss_kib(mine) * 0.9 > 0
    assert memory.slab_kib() > 0


def test_limits_are_raised_for_the_body_and_put_back_whatever_it_does(tmp_path, monkeypatch):
    before = {"gc_thresh1": "128\n", "gc_thresh2": "512\n", "gc_thresh3": "900000\n"}
    for name, text in before.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(up, "_NEIGHBORS", tmp_path)
    with pytest.raises(ZeroDivisionError), up.raised_neighbor_limits(4000):
        now = {name: int((tmp_path / name).read_text()) for name in before}
        assert now == {"gc_thresh1": 4000, "gc_thresh2": 4000, "gc_thresh3": 900000}
        raise ZeroDivisionError
    assert {name: (tmp_path / name).read_text() for name in before} == before


def test_a_peer_that_is_not_installed_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr(peer.shutil, "which", lambda tool: None if tool == "mn" else f"/usr/bin/{tool}")
    with pytest.raises(FabricError, match="apt-get install mininet"):
        peer.mininet(4)


def test_a_peer_that_fails_says_why(monkeypatch):
    monkeypatch.setattr(peer.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    refused = subprocess.CompletedProcess([], 1, "", "no bridge\n")
    monkeypatch.setattr(peer.subprocess, "run", lambda *arguments, **options: refused)
    with pytest.raises(FabricError, match="Mininet failed: no bridge"):
        peer.mininet(4)
