"""`fabric bench up` on the smallest cluster: the figures are there, and nothing is left behind."""

import json

from support.clusters import fabric, left_in


def test_a_cluster_is_timed_weighed_and_taken_down(folders):
    options = ("--sizes", "2x4", "--runs", "1", "--no-mininet", "--no-tune")
    done = fabric("bench", "up", *options, "-o", "json", environment=folders)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert (found["nodes"], found["pods"], found["pairs"], found["peer"]) == (2, 4, 12, None)
    assert 0 < sum(found["stages"].values()) < found["upSeconds"]
    spent = found["cpuSeconds"]
    assert {"up", "supervisor", "api", "control", "underlay", "worker", "runtime"} < set(spent)
    everything = found["cpuUserSeconds"] + found["cpuSystemSeconds"]
    assert 0.5 * everything < sum(spent.values()) < 1.2 * everything
    assert found["pssMib"] > 10
    assert left_in(folders) == []
