"""`fabric bench policy` in its smallest form: every change is seen by packets on every node."""

import json

from support.clusters import fabric, left_in


def test_every_kind_of_change_is_measured_and_the_cluster_is_gone_afterwards(folders):
    size = ("--nodes", "2", "--pods", "6", "--policies", "3")
    words = (*size, "--churn", "1", "--seconds", "2", "-o", "json")
    done = fabric("bench", "policy", *words, environment=folders)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {it["change"]: it["changes"] for it in found} == {
        "policy create": 1,
        "policy update": 2,
        "pod label": 2,
        "namespace label": 2,
        "policy delete": 1,
    }
    for it in found:
        assert 0 < it["p50Milliseconds"] <= it["p99Milliseconds"] <= it["maxMilliseconds"]
        assert it["cpuMilliseconds"]["worker"] > 0
    assert left_in(folders) == []
