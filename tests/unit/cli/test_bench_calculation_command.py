"""`fabric bench calculation`: its table and keys for a small cluster, and what it refuses."""

from __future__ import annotations

import json

import pytest

SIZES = ("--sizes", "2x60x50,3x60x0", "--changes", "2")


def test_each_size_is_a_row_with_the_cost_of_each_kind_of_change(fabric):
    answer = fabric("bench", "calculation", *SIZES)
    assert answer.code == 0, answer.err
    header, *rows = (line.split() for line in answer.out.splitlines())
    assert header == [
        "PLUGIN",
        "NODES",
        "PODS",
        "POLICIES",
        "ALL_MS",
        "MEMBER_MS",
        "LABEL_MS",
        "POLICY_MS",
        "POD_MS",
    ]
    assert [row[:4] for row in rows] == [["calico", "2", "60", "50"], ["calico", "3", "60", "0"]]
    assert all(float(value) > 0 for row in rows for value in row[5:])


def test_a_change_makes_new_what_it_concerns_and_no_more(fabric):
    with_policies, without = json.loads(fabric("bench", "calculation", *SIZES, "-o", "json").out)
    assert with_policies["changes"] == 2
    assert with_policies["changeMilliseconds"].keys() == with_policies["changedParts"].keys()
    # The set of the one app that a policy lets in, on the node of the pod that has this policy.
    assert with_policies["changedParts"]["member"] == 1
    # Without policies, no rule has to do with a label or with a pod of elsewhere. A policy of two pods
    # is a set, its own chain and the chains of the pod on the node of each; a pod has chains, and is led to.
    assert without["changedParts"] == {"member": 0, "label": 0, "policy": 6, "pod": 3}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--plugin", "flannel"], "--plugin: 'flannel' has no calculation of its own; choose calico"),
        (["--plugin", "weave"], "--plugin: 'weave' is not installed"),
        (["--sizes", "10x500"], "--sizes: '10x500' is no size; write NODESxPODSxPOLICIES"),
        (["--sizes", "0x1x1"], "--sizes: '0x1x1' is no size"),
        (["--sizes", ""], "--sizes: '' is no size"),
        (["--changes", "0"], "'--changes'"),
    ],
)
def test_what_cannot_be_measured_is_bad_input(fabric, words, said):
    answer = fabric("bench", "calculation", *words)
    assert (answer.code, answer.out) == (2, "") and said in answer.err
