"""Which cluster a command means."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabric.cli import choice
from fabric.cli.choice import choose, choose_by_option
from fabric.cluster.paths import ClusterPaths, Folders
from fabric.errors import BadInput, FabricError


@pytest.fixture
def there(monkeypatch, tmp_path):
    """Make clusters of these names, and let those of `running` run."""
    monkeypatch.setenv("FABRIC_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("FABRIC_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("FABRIC_CLUSTER", raising=False)

    def make(*names, running=()):
        monkeypatch.setattr(choice, "all_clusters", lambda: list(names))
        monkeypatch.setattr(choice, "clusters_with_cgroup", list)
        monkeypatch.setattr(choice, "clusters_elsewhere", dict)
        for name in names:
            ClusterPaths(name).make()
            ClusterPaths(name).store_socket.unlink(missing_ok=True)
        for name in running:
            ClusterPaths(name).store_socket.touch()

    return make


def test_the_name_comes_first_then_the_variable_then_the_only_one(there, monkeypatch):
    there("one")
    assert choose(None).cluster == "one"
    there("one", "two", "three", running=["three"])
    assert choose(None).cluster == "three"
    monkeypatch.setenv("FABRIC_CLUSTER", "two")
    assert choose(None).cluster == choose(None, running=False).cluster == "two"
    assert choose("one").cluster == "one"


@pytest.mark.parametrize("running", [(), ("one", "two")])
def test_of_several_one_must_be_named(there, running):
    there("one", "two", running=running)
    with pytest.raises(BadInput, match="name one of: one, two; or set FABRIC_CLUSTER"):
        choose(None)


def test_what_removes_a_cluster_does_not_guess_it_by_what_runs(there):
    there("one", "two", running=["one"])
    with pytest.raises(BadInput, match="NAME: several clusters are here"):
        choose(None, running=False)


def test_a_name_that_fits_none_is_refused_with_where_it_stood(there, monkeypatch):
    there("one")
    with pytest.raises(BadInput, match="NAME: no cluster 'two' on this machine; there: one"):
        choose("two")
    with pytest.raises(BadInput, match="--cluster: no cluster 'two' on this machine; there: one"):
        choose_by_option("two")
    monkeypatch.setenv("FABRIC_CLUSTER", "three")
    with pytest.raises(BadInput, match="FABRIC_CLUSTER: no cluster 'three'"):
        choose(None)
    monkeypatch.delenv("FABRIC_CLUSTER")
    there()
    with pytest.raises(FabricError, match="start one: sudo fabric up"):
        choose(None)


def test_a_cluster_of_other_folders_is_never_the_only_one_and_by_its_name_one_is_told_where_it_is(
    there, monkeypatch
):
    there()
    folders = Folders(Path("/theirs/run"), Path("/theirs/state"))
    monkeypatch.setattr(choice, "clusters_elsewhere", lambda: {"theirs": folders})
    told = "FABRIC_RUN_DIR=/theirs/run FABRIC_STATE_DIR=/theirs/state"
    with pytest.raises(FabricError, match=f"no cluster in these folders; in others: theirs .{told}"):
        choose(None, running=False)
    with pytest.raises(BadInput, match=f"NAME: cluster 'theirs' has its files in other folders: set {told}"):
        choose("theirs")
