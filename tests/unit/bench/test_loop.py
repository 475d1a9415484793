"""`bench loop` on the fake kernel: a change is one step and no reading, and clusters at rest are valid."""

from __future__ import annotations

import json

import pytest

from fabric.bench import idle, loop
from fabric.cli import bench_loop_command
from fabric.cluster.validation import check_network
from fabric.errors import BadInput
from fabric.topology.load import load


@pytest.fixture(scope="module")
def found():
    return loop.measure("fake", [2, 5], [3, 2000], 4, lambda text: None)


def test_every_kind_of_part_and_each_size_of_set_is_measured(found):
    assert [(it.changed, it.among) for it in found] == [
        ("peer", 2),
        ("peer", 5),
        ("policy", 2),
        ("policy", 5),
        ("member", 3),
        ("member", 2000),
    ]
    assert {it.changes for it in found} == {4}


def test_a_change_of_one_part_is_one_step_and_no_reading(found):
    assert {(it.steps, it.reads) for it in found} == {(1, 0)}


def test_a_member_more_is_one_line_of_ipset_restore_whatever_the_set(found):
    assert {it.restore_lines for it in found if it.changed == "member"} == {1}
    assert {it.restore_lines for it in found if it.changed != "member"} == {None}


def test_only_the_real_kernel_has_a_cost_of_writing(found):
    assert {it.write_milliseconds for it in found} == {None}
    assert all(it.loop_milliseconds > 0 for it in found)


@pytest.mark.parametrize("plugin", ["flannel", "calico", "canal"])
def test_a_cluster_at_rest_is_a_topology_that_up_takes(tmp_path, plugin):
    file = tmp_path / "topology.yaml"
    file.write_text(json.dumps(idle.topology("a", plugin, 3, 7)))
    topology = load(file)
    check_network(topology)
    assert (len(topology.nodes), len(topology.manifests)) == (3, 7)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"parts": "ten"}, "'ten' is no number from 1 on"),
        ({"members": "0"}, "'0' is no number from 1 on"),
        ({"idle": "flannel"}, "write PLUGIN:NODESxPODS, such as flannel:2x10"),
        ({"idle": "flannel:0x1"}, "write PLUGIN:NODESxPODS, such as flannel:2x10"),
        ({"idle": "weave:2x1"}, "plugin 'weave' is not installed (installed: calico, canal, flannel)"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_runs(given, what):
    with pytest.raises(BadInput) as refused:
        bench_loop_command.loop(**{"parts": "", "members": "", "idle": "", **given})
    assert what in str(refused.value)
