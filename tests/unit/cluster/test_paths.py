"""A cluster's folders are root's, their roots show names to everybody, and what cannot be read is told."""

from pathlib import Path

import pytest

from fabric.cluster import paths
from fabric.cluster.lock import held
from fabric.cluster.paths import ClusterPaths
from fabric.errors import BadInput, FabricError


@pytest.fixture
def roots(tmp_path, monkeypatch):
    monkeypatch.setenv("FABRIC_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("FABRIC_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def mode(path):
    return path.stat().st_mode & 0o777


def test_names_of_clusters_are_everybodys_and_their_files_roots(roots):
    made = ClusterPaths("two-nodes")
    with held(made.lock):
        made.make()
    assert [mode(roots / name) for name in ("run", "state")] == [0o755, 0o755]
    assert [mode(folder) for folder in (made.run, made.state, made.logs, made.pids)] == [0o700] * 4
    assert paths.known_clusters() == ["two-nodes"]


def test_a_root_that_is_no_folder_is_told_in_one_line(roots):
    (roots / "run").write_text("")
    with pytest.raises(FabricError, match="/run: Not a directory; is it fabric's folder"):
        paths.known_clusters()


def test_a_folder_in_which_linux_takes_no_socket_is_refused_and_a_byte_less_is_taken(tmp_path, monkeypatch):
    longest = Path("/r" + "x" * (107 - len("/r") - len("/two-nodes") - len("/.components.sock.4194304")))
    monkeypatch.setenv("FABRIC_RUN_DIR", str(longest))
    ClusterPaths("two-nodes").refuse_long()
    monkeypatch.setenv("FABRIC_RUN_DIR", f"{longest}x")
    with pytest.raises(
        BadInput, match=r"FABRIC_RUN_DIR: /rx+ is too long by 1 byte: .*choose a shorter folder"
    ):
        ClusterPaths("two-nodes").refuse_long()
