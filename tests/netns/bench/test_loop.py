"""`fabric bench loop` in its smallest form, on Linux and over a cluster at rest."""

import json

from support.clusters import fabric, left_in

CHANGES = 20


def test_changes_are_measured_on_linux_and_a_cluster_at_rest(folders):
    options = ("--parts", "1,20", "--members", "1000", "--changes", str(CHANGES))
    done = fabric(
        "bench",
        "loop",
        *options,
        "--idle",
        "flannel:1x1",
        "--seconds",
        "12",  # a node's lease is renewed every 10 s, which costs something
        "-o",
        "json",
        environment=folders,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    real = [it for it in found["changes"] if it["kernel"] == "linux"]
    assert [(it["changed"], it["among"]) for it in real] == [
        ("peer", 1),
        ("peer", 20),
        ("policy", 1),
        ("policy", 20),
        ("member", 1000),
    ]
    assert {it["steps"] for it in real} == {1}
    assert all(it["loopMilliseconds"] > 0 and it["writeMilliseconds"] > 0 for it in real)
    assert all(it["reads"] < CHANGES for it in real), "a change costs no reading; a resync may come between"
    (rest,) = found["idle"]
    assert (rest["plugin"], rest["nodes"], rest["pods"]) == ("flannel", 1, 1)
    assert 0 < rest["cpuPercent"] < 100
    assert left_in(folders) == []


def test_a_member_of_ten_thousand_costs_one_line_of_ipset_restore_and_no_reading():
    done = fabric("bench", "loop", "--parts", "", "--idle", "", "--changes", "20", "-o", "json")
    assert done.returncode == 0, done.stderr
    (real,) = [it for it in json.loads(done.stdout)["changes"] if it["kernel"] == "linux"]
    assert (real["among"], real["restoreLines"], real["reads"]) == (10000, 1, 0)
