"""A cluster at rest: which process took how much of a processor, and that nothing else is counted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.bench import idle, up
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.validation import check_network
from fabric.errors import FabricError
from fabric.store.memory import MemoryStore
from fabric.store.port import Put
from fabric.topology.load import load

spent = st.dictionaries(
    st.tuples(st.sampled_from(["api", "worker", "bird"]), st.integers(1, 5)), st.floats(0, 100), max_size=9
)


@pytest.mark.parametrize("plugin", ["flannel", "calico", "canal"])
def test_a_cluster_at_rest_is_a_topology_that_up_takes(tmp_path, plugin):
    file = tmp_path / "topology.yaml"
    file.write_text(json.dumps(up.topology("a", 3, 7, {"plugin": plugin})))
    topology = load(file)
    check_network(topology)
    assert (len(topology.nodes), len(topology.manifests)) == (3, 7)


def test_shares_are_told_by_name_the_heaviest_first_and_nothing_where_nothing_was_spent():
    before = {("api", 1): 1.0, ("worker", 2): 5.0, ("worker", 3): 7.0, ("bird", 4): 2.0}
    after = {("api", 1): 1.5, ("worker", 2): 6.0, ("worker", 3): 7.5, ("bird", 4): 2.0}
    assert idle._differ(before, after, 10.0) == {"worker": 15.0, "api": 5.0}
    assert list(idle._differ(before, after, 10.0)) == ["worker", "api"]


def test_a_process_that_came_or_went_meanwhile_does_not_count():
    """What it spent before it was first seen is not known; a pid that was used again has less than before."""
    assert idle._differ({("api", 1): 9.0}, {("worker", 2): 5.0}, 10.0) == {}
    assert idle._differ({("api", 1): 9.0}, {("api", 1): 0.5}, 10.0) == {}


@given(spent, spent, st.floats(1, 1000))
def test_all_shares_together_are_the_time_of_those_that_lived(before, more, seconds):
    after = {process: before.get(process, 0) + took for process, took in more.items()}
    found = idle._differ(before, after, seconds)
    whole = sum(took for process, took in more.items() if process in before)
    assert sum(found.values()) == pytest.approx(100 * whole / seconds, abs=0.02)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert all(found.values())


class Group:
    """A cluster's cgroup, whose processor time grows by half a second at each reading."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.readings = 0

    def cpu_seconds(self) -> float:
        self.readings += 1
        return 10.0 + self.readings / 2

    def processes(self) -> list[int]:
        return [2**22 + 1]  # beyond kernel.pid_max: it is gone


def test_a_cluster_is_up_while_it_is_measured_and_what_is_measured_is_the_time_between(monkeypatch):
    happened: list[str] = []
    now = [100.0]

    @contextmanager
    def running(value, *options: str, say) -> Iterator[dict[str, object]]:
        happened.append(f"up {value['spec']['network']['plugin']} {' '.join(options)}")
        yield {}
        happened.append("down")

    def sleep(seconds: float) -> None:
        happened.append(f"sleep {seconds:g}")
        now[0] += seconds

    async def at_rest(paths) -> None:
        happened.append(f"rest of {paths.cluster[:6]}")

    monkeypatch.setattr(idle.clusters, "running", running)
    monkeypatch.setattr(idle, "_at_rest", at_rest)
    monkeypatch.setattr(idle, "ClusterCgroup", Group)
    monkeypatch.setattr(idle.time, "sleep", sleep)
    monkeypatch.setattr(idle.time, "monotonic", lambda: now[0])
    found = idle.measure("calico", 1, 2, 25.0, happened.append)
    assert happened == [
        "calico, 1 node, 2 pods: up",
        "up calico --no-check --tune --timeout 600",
        "rest of bench-",
        "calico, 1 node, 2 pods: at rest for 25 s",
        "sleep 25",
        "down",
    ]
    assert (found.seconds, found.cpu_percent, found.by_process) == (25.0, 2.0, {})
    assert found.as_json()["cpu_percent"] == 2.0


@pytest.mark.parametrize("events, seconds", [(0, 10), (4, 50), (1000, 600)])
async def test_a_cluster_is_at_rest_when_no_event_was_written_for_ten_seconds(monkeypatch, events, seconds):
    store, loop = MemoryStore(), asyncio.get_running_loop()
    monkeypatch.setattr(idle, "RemoteStore", lambda path: store)

    async def write() -> None:
        for number in range(events):
            await asyncio.sleep(8)
            await store.txn([], [Put(f"/registry/events/default/pod-1.{number}", b"{}")])

    writing, began = asyncio.create_task(write()), loop.time()
    if seconds < idle.REST_SECONDS_MAX:
        await idle._at_rest(ClusterPaths("a"))
    else:
        with pytest.raises(FabricError, match="still written 600 s after up"):
            await idle._at_rest(ClusterPaths("a"))
    assert loop.time() - began == seconds
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


def test_processes_are_read_by_name_and_pid():
    class Mine:
        def processes(self) -> list[int]:
            return [1, 2**22 + 1]

    (found,) = idle._by_process(Mine()).items()
    assert found[0] == (Path("/proc/1/comm").read_text().strip(), 1) and found[1] >= 0
