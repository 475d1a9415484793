"""`fabric bench policy`: what it measures for which words, its table, its keys, and what it refuses."""

from __future__ import annotations

import json

import pytest

from fabric.bench.policy import Enforced, summary
from fabric.cli import bench_policy_command, measurements


@pytest.fixture
def bench(fabric, monkeypatch):
    """`fabric bench policy`, which takes no time; what was asked for is in `fabric.asked`."""
    fabric.asked = []

    def measure(*asked):
        fabric.asked.append(asked[:-1])
        taken = [Enforced(float(it), {"worker": 0.002, "api": 0.001}) for it in range(1, 101)]
        return [summary(asked[:4], "policy create", taken, 0.5)]

    monkeypatch.setattr(measurements.signal, "signal", lambda *_: None)
    monkeypatch.setattr(bench_policy_command.measured, "measure", measure)
    return lambda *words: fabric("bench", "policy", *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--plugin", "flannel"], "--plugin: 'flannel' enforces no policies; choose calico or canal"),
        (["--nodes", "3", "--pods", "3"], "--pods: 3 is too few: a target for each of 3 nodes"),
        (["--churn", "0"], "'--churn'"),
    ],
)
def test_what_cannot_be_measured_is_bad_input_before_anything_runs(bench, fabric, words, said):
    answer = bench(*words)
    assert fabric.asked == []
    assert (answer.code, answer.out) == (2, "") and said in answer.err


def test_percentiles_and_the_cost_of_a_change_are_told(bench, fabric):
    words = ("--nodes", "3", "--pods", "30", "--policies", "7", "--churn", "4", "--seconds", "2")
    answer = bench(*words)
    assert fabric.asked == [("calico", 3, 30, 7, 4, 2.0)]
    row = answer.out.splitlines()[1]
    assert " ".join(row.split()) == "calico 3 30 7 policy create 100 50.5 99.0 100.0 3.0 0.50"
    (found,) = json.loads(bench(*words, "-o", "json").out)
    assert found["cpuMilliseconds"] == {"worker": 2.0, "api": 1.0}
    assert (found["changes"], found["p99Milliseconds"]) == (100, 99.0)
