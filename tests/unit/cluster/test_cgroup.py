import os
import subprocess
import sys
from pathlib import Path

import pytest

from fabric.cluster import cgroup
from fabric.cluster.cgroup import PROCESSES_SHARE, ClusterCgroup, start_time


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder in the place of cgroup v2's root."""
    monkeypatch.setattr(cgroup, "mount_point", lambda: tmp_path)
    return tmp_path


def test_all_clusters_together_leave_the_machine_some_processes(root):
    limit = root / "fabric/pids.max"
    limit.parent.mkdir()
    limit.write_text("max\n")
    ClusterCgroup("t").make()
    most = min(int(Path("/proc/sys/kernel", it).read_text()) for it in ("pid_max", "threads-max"))
    assert int(limit.read_text()) == int(most * PROCESSES_SHARE)


def test_without_the_pids_controller_there_is_no_limit_and_a_cluster_all_the_same(root):
    ClusterCgroup("t").make()
    assert [it.name for it in (root / "fabric").iterdir()] == ["t"]


def test_a_living_process_began_at_some_time_and_keeps_it():
    assert start_time(os.getpid()) == start_time(os.getpid()) > 0


def test_a_process_that_is_dead_and_not_reaped_is_gone():
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert start_time(child.pid) == 0
    child.wait()
    assert start_time(child.pid) == 0
