"""`bench up`: medians over the runs, processor time by component, and limits that are put back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.bench import cpu, memory, up
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
    found = summary(2, 4, [run_of(1), run_of(3, cpu_seconds={"api": 3}), run_of(2, stages={})])
    assert found.cpu_seconds == {"api": 2, "worker": 2} and found.stages == {"nodes Ready": 0.5}


@pytest.mark.parametrize(("nodes", "pods"), [(1, 1), (2, 4), (10, 1000)])
def test_every_size_is_a_topology_that_up_takes_with_room_for_its_pods(tmp_path, nodes, pods):
    file = tmp_path / "topology.json"
    value = up.topology("a", nodes, pods)
    file.write_text(json.dumps(value))
    check_network(load(file))
    rooms = [int(node["capacity"]["pods"]) for node in value["spec"]["nodes"]]
    assert len(rooms) == nodes and sum(rooms) >= 2 * pods
    assert len(value["spec"]["manifests"]) == pods


@given(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=9))
def test_medians_are_figures_that_were_measured_or_between_two_and_their_order_does_not_matter(seconds):
    found = summary(1, 1, [run_of(each) for each in seconds])
    assert found.up_seconds == summary(1, 1, [run_of(each) for each in sorted(seconds)]).up_seconds
    assert min(seconds) - 0.001 <= found.up_seconds <= max(seconds) + 0.001
    below = sum(each <= found.up_seconds + 0.001 for each in seconds)
    above = sum(each >= found.up_seconds - 0.001 for each in seconds)
    assert 2 * below >= len(seconds) <= 2 * above


def test_a_mininet_that_is_not_there_is_said_before_any_cluster_is_started(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(up, "_run", lambda *_: pytest.fail("a cluster is started"))
    with pytest.raises(FabricError, match="apt-get install mininet bridge-utils"):
        up.measure(2, 4, runs=1, with_mininet=True, tune=False, say=print)


def test_each_run_is_told_and_only_the_limit_that_was_asked_for_is_raised(monkeypatch):
    asked, told = [], []

    def run(nodes, pods, options, say):
        asked.append((nodes, pods, *options))
        return run_of(len(asked))

    monkeypatch.setattr(up, "_run", run)
    monkeypatch.setattr(up, "need_mininet", lambda: None)
    monkeypatch.setattr(up, "mininet", lambda hosts: PeerTimes(hosts, 1.0, 2.0))
    monkeypatch.setenv("FABRIC_RUN_DIR", "/proc/nothing/run")
    found = up.measure(1, 4, runs=3, with_mininet=True, tune=True, say=told.append)
    assert (found.file_systems["run"].type, found.file_systems["run"].folder) == ("proc", "/proc/nothing/run")
    assert found.as_json()["file_systems"].keys() == {"run", "state"}
    assert asked == [(1, 4, "--tune")] * 3 and (found.up_seconds, found.peer.hosts) == (2, 4)
    assert told == [*(f"4 pods on 1 node, run {number}/3" for number in (1, 2, 3)), "Mininet with 4 hosts"]
    assert up.measure(2, 1, runs=1, with_mininet=False, tune=False, say=told.append).peer is None
    assert asked[3:] == [(2, 1)]


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
    assert found.keys() == {"worker", cpu.HOSTS_AND_PODS}
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert found["worker"] >= 0.06 and found[cpu.HOSTS_AND_PODS] >= 0.03


def test_processor_time_is_that_of_all_threads():
    work = "lambda: (sum(range(4_000_000)), input())"
    burn = f"import threading\nit = threading.Thread(target={work})\nit.start(); it.join()"
    with subprocess.Popen(
        [sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as it:

        def main_thread() -> float:
            return int(Path(f"/proc/{it.pid}/schedstat").read_text().split()[0]) / 1e9

        deadline = time.monotonic() + 30
        while (found := cpu.seconds(it.pid)) < main_thread() + 0.05 and time.monotonic() < deadline:
            time.sleep(0.01)
        is_more = found >= main_thread() + 0.05
        it.communicate(b"\n")
    assert is_more


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
