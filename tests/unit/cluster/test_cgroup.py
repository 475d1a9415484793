import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fabric.cluster import cgroup, down
from fabric.cluster.cgroup import PROCESSES_SHARE, ClusterCgroup, clusters_elsewhere, start_time
from fabric.cluster.down import all_clusters
from fabric.errors import BadInput


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder in the place of cgroup v2's root."""
    monkeypatch.setattr(cgroup, "mount_point", lambda: tmp_path)
    monkeypatch.setattr(down, "mount_point", lambda: tmp_path)
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


@pytest.fixture
def members(root, monkeypatch):
    """A list of the processes that every cgroup has, in folders that keep attributes as the kernel's do."""
    pids, attributes = [], {}

    def getxattr(path, name):
        if (path, name) not in attributes:
            raise OSError(errno.ENODATA, "No data available")
        return attributes[path, name]

    monkeypatch.setattr(cgroup.os, "getxattr", getxattr)
    monkeypatch.setattr(
        cgroup.os, "setxattr", lambda path, name, value: attributes.update({(path, name): value})
    )
    monkeypatch.setattr(ClusterCgroup, "processes", lambda _: pids)
    return pids


@pytest.fixture
def in_folders(root, monkeypatch):
    """A function that makes folders of this name those of the process."""

    def change(name):
        monkeypatch.setenv("FABRIC_RUN_DIR", f"{root}/{name}/run")
        monkeypatch.setenv("FABRIC_STATE_DIR", f"{root}/{name}/state")

    return change


def test_a_living_cluster_of_other_folders_is_not_taken_for_the_own_of_that_name(members, in_folders, root):
    in_folders("theirs")
    ClusterCgroup("t").make()
    members.append(1)
    ClusterCgroup("t").make()
    in_folders("mine")
    folders = f"FABRIC_RUN_DIR={root}/theirs/run FABRIC_STATE_DIR={root}/theirs/state"
    with pytest.raises(BadInput, match=f"'t' has its files in other folders: set {folders}"):
        ClusterCgroup("t").make()
    assert list(clusters_elsewhere()) == ["t"]


@pytest.mark.parametrize("file", ["run/t.lock", "run/t/spec.json", "state/t/store.db"])
def test_a_cluster_of_other_folders_without_a_process_is_left_alone_while_it_has_files(
    members, in_folders, root, file
):
    """So it is when its `up` has made the cgroup, and no process yet."""
    in_folders("theirs")
    ClusterCgroup("t").make()
    path = root / "theirs" / file
    path.parent.mkdir(parents=True)
    path.touch()
    in_folders("mine")
    assert list(clusters_elsewhere()) == ["t"]
    assert all_clusters() == []


def test_what_a_removed_cluster_of_other_folders_left_is_nobodys(members, in_folders):
    in_folders("theirs")
    ClusterCgroup("t").make()
    in_folders("mine")
    assert clusters_elsewhere() == {}
    ClusterCgroup("t").make()
    members.append(1)
    assert clusters_elsewhere() == {}, "it is the own one now"


def test_a_cgroup_whose_up_has_not_said_yet_where_its_files_are_is_nobodys_until_it_is_old(
    members, in_folders, root
):
    (root / "fabric/t/members").mkdir(parents=True)
    in_folders("mine")
    assert (all_clusters(), clusters_elsewhere()) == ([], {})
    os.utime(root / "fabric/t", (0, 0))
    assert all_clusters() == ["t"], "a killed `up` left it"
