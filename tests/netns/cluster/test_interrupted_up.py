"""`fabric up` is interrupted, or the cluster under it: it ends at once, and says what to do."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.clusters import TOP, UNDER_DEFAULT_SIGNALS, Cluster, fabric
from support.eventually import eventually

from fabric.cluster import lock
from fabric.cluster.paths import ClusterPaths


@contextmanager
def coming_up(folder: Path) -> Iterator[tuple[Cluster, subprocess.Popen[str]]]:
    """A cluster of six nodes and the `fabric up` that has just been started for it."""
    cluster = Cluster(folder, nodes=6)
    argv = [*UNDER_DEFAULT_SIGNALS, sys.executable, "-P", "-m", "fabric", "up", str(cluster.file)]
    up = subprocess.Popen(argv, cwd=TOP, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        yield cluster, up
    finally:
        up.kill()
        up.communicate()
        cluster.close()


def test_an_interrupted_up_says_that_the_cluster_goes_on_coming_up(tmp_path):
    with coming_up(tmp_path) as (cluster, up):
        asyncio.run(eventually((cluster.run_folder / "api.sock").exists))
        up.send_signal(signal.SIGINT)
        _, told = up.communicate(timeout=180)
        assert up.returncode == 130
        assert "Traceback" not in told
        assert f"fabric down {cluster.name} ends it" in told
        assert cluster.up()["nodes"], "it went on, and another `up` finds it"
        assert fabric("down", cluster.name).returncode == 0


def test_up_does_not_wait_for_a_supervisor_that_has_ended(tmp_path):
    with coming_up(tmp_path) as (cluster, up):
        record = cluster.run_folder / "pids/supervisor"
        asyncio.run(eventually(record.exists))
        up.send_signal(signal.SIGSTOP)
        os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)
        up.send_signal(signal.SIGCONT)
        _, told = up.communicate(timeout=180)
        assert up.returncode == 1
        assert "the cluster's supervisor has ended; run fabric up again" in told
        assert len(cluster.up()["nodes"]) == 6
        assert fabric("down", cluster.name).returncode == 0


def test_up_does_not_wait_for_a_cluster_that_was_taken_down(tmp_path):
    with coming_up(tmp_path) as (cluster, up):
        pids, lock = cluster.run_folder / "pids/supervisor", cluster.run_folder.with_suffix(".lock")
        asyncio.run(eventually(lambda: pids.exists() and not lock.exists()))
        up.send_signal(signal.SIGSTOP)
        assert fabric("down", cluster.name).returncode == 0
        up.send_signal(signal.SIGCONT)
        _, told = up.communicate(timeout=180)
        assert up.returncode == 1
        assert f"cluster {cluster.name} was taken down meanwhile" in told


def test_up_says_that_a_cluster_was_taken_down_also_while_down_is_at_work(tmp_path):
    with coming_up(tmp_path) as (cluster, up):
        record, place = cluster.run_folder / "pids/supervisor", cluster.run_folder.with_suffix(".lock")
        asyncio.run(eventually(lambda: record.exists() and not place.exists()))
        up.send_signal(signal.SIGSTOP)
        with lock.held(place):  # as `down` does: first all processes end, then the files go
            os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)
            up.send_signal(signal.SIGCONT)
            with pytest.raises(subprocess.TimeoutExpired):
                up.wait(timeout=3)
            ClusterPaths(cluster.name).spec.unlink()
        _, told = up.communicate(timeout=180)
        assert up.returncode == 1
        assert f"cluster {cluster.name} was taken down meanwhile" in told
