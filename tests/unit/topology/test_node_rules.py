from pathlib import Path

import pytest

from fabric.errors import BadInput
from fabric.topology.load import loads

HEAD = """\
apiVersion: fabric.dev/v1
kind: Topology
metadata: {name: t}
spec:
  network: {plugin: flannel}
  nodes:
    - name: node-1
"""


def refused(*lines: str) -> list[str]:
    """The problems of a file with these lines below its node; the first of them is line 8."""
    try:
        loads(HEAD + "".join(f"      {line}\n" for line in lines), Path("t.yaml"))
    except BadInput as error:
        return [str(problem) for problem in error.problems]
    return []


def test_labels_taints_and_capacity_that_kubernetes_takes_are_taken():
    assert not refused(
        "labels: {a: '', example.com/Zone_1: b.C-d, x: '1'}",
        "taints:",
        "  - {key: example.com/x, effect: NoSchedule}",
        "  - {key: example.com/x, effect: NoExecute, value: 'true'}",
        "capacity: {cpu: 500m, memory: 1Gi, pods: 10, ephemeral-storage: 1Gi, example.com/gpu: 2}",
    )


@pytest.mark.parametrize(
    ("line", "value", "rule"),
    [
        (f"zone: {'a' * 64}", ".zone is", "must be no more than 63 bytes"),
        ("zone: 'b c'", '.zone is "b c"', "a valid label must be an empty string or consist of"),
        ("a/b/c: x", 'has the key "a/b/c"', "with an optional DNS subdomain prefix and '/'"),
        ("/b: x", 'has the key "/b"', "prefix part must be non-empty"),
        ("Example.com/b: x", 'has the key "Example.com/b"', "prefix part a lowercase RFC 1123 subdomain"),
        (f"{'k' * 64}: x", "has the key", "name part must be no more than 63 bytes"),
        ("zone: yes", ".zone is true", "put it into quotes"),
        ("zone: 1", ".zone is 1", "put it into quotes"),
        ("zone:", ".zone is null", "put it into quotes"),
    ],
)
def test_a_label_is_refused_by_the_rule_that_it_breaks_at_its_line(line, value, rule):
    (problem,) = refused("labels:", f"  {line}")
    assert problem.startswith("t.yaml:9: spec.nodes[0].labels")
    assert value in problem
    assert rule in problem


@pytest.mark.parametrize(
    ("taint", "path", "rule"),
    [
        ("{key: a/b/c, effect: NoSchedule}", "taints[0].key is", "optional DNS subdomain prefix"),
        ("{key: a, value: b c, effect: NoSchedule}", "taints[0].value is", "a valid label"),
        ("{key: a, value: 1, effect: NoSchedule}", "taints[0].value is 1", "put it into quotes"),
        ("{key: a, effect: Never}", "taints[0].effect is", "NoSchedule, PreferNoSchedule, NoExecute"),
    ],
)
def test_a_taint_is_refused_by_the_rule_that_it_breaks(taint, path, rule):
    (problem,) = refused("taints:", f"  - {taint}")
    assert problem.startswith("t.yaml:9: ")
    assert path in problem
    assert rule in problem


def test_two_taints_of_one_key_and_effect_are_refused():
    one = "{key: a, value: b, effect: NoSchedule}"
    (problem,) = refused("taints:", f"  - {one}", f"  - {one}")
    assert problem.startswith("t.yaml:10: ")
    assert "unique by key and effect" in problem


@pytest.mark.parametrize(
    ("capacity", "rule"),
    [
        ("cpus: 1", "cpu, memory, pods, ephemeral-storage"),
        ("pods: 1.5", "must be an integer"),
        ("example.com/gpu: 500m", "must be an integer"),
        ("example.com/gpu/x: 1", "optional DNS subdomain prefix"),
    ],
)
def test_a_resource_is_one_that_kubernetes_knows(capacity, rule):
    problems = refused("capacity:", f"  {capacity}")
    assert problems
    assert all(problem.startswith("t.yaml:9: ") for problem in problems)
    assert rule in problems[0]
