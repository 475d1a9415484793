"""`fabric bench bgp` on the smallest clusters it takes: the figures are there, and nothing is left behind."""

import json

import pytest
from support.clusters import fabric, left_in


@pytest.mark.parametrize(("shape", "sessions"), [("mesh", 6), ("reflectors", 5)])
def test_a_cluster_is_timed_and_taken_down(folders, shape, sessions):
    other = "--no-reflectors" if shape == "mesh" else "--no-mesh"
    options = ("--nodes", "4", other, "--runs", "1", "--silent", "--keepalive", "1")
    done = fabric("bench", "bgp", *options, "-o", "json", environment=folders)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert (found["nodes"], found["shape"], found["sessions"]) == (4, shape, sessions)
    assert 0.5 < found["convergedSeconds"] < 60
    assert found["killedSeconds"] < 1, "its sessions broke"
    assert 1 < found["silentSeconds"] < 10, "three keepalives were missed"
    assert found["cpuSeconds"] > 0 and found["pssMib"] > 1
    assert left_in(folders) == []
