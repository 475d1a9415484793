"""`fabric bench probes` in its smallest form: every job of every kind has the outcome that it must have."""

import json

from support.clusters import fabric, left_in


def test_every_kind_of_probe_is_measured_and_the_cluster_is_gone_afterwards(folders):
    options = ("--pods", "3", "--jobs", "90", "--runs", "1", "-o", "json")
    done = fabric("bench", "probes", *options, environment=folders)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(it["protocol"], it["port"]) for it in found] == [
        ("tcp", 80),
        ("udp", 80),
        ("icmp", 0),
        ("tcp", 81),
    ]
    assert all(it["expected"] == it["jobs"] == 90 and it["perSecond"] > 0 for it in found)
    assert left_in(folders) == []
