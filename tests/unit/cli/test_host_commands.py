"""doctor, images, graph, schema and bench: what they print, and what they refuse."""

from __future__ import annotations

import json
from contextlib import nullcontext

import pytest
import yaml
from support.command_line import FLANNEL, RACKS

from fabric.bench.bgp import BgpTimes
from fabric.bench.peer import PeerTimes
from fabric.bench.up import UpTimes
from fabric.cli import bench_commands, host_commands
from fabric.cluster.preflight import Finding

FINDINGS = [
    Finding("ipip", "warning", "not in this kernel", "modprobe ipip"),
    Finding("ip", "ok", "/sbin/ip"),
]


@pytest.mark.parametrize(("more", "code"), [([], 0), ([Finding("ipset", "error", "missing", "apt")], 1)])
def test_doctor_exits_with_1_for_an_error_alone(fabric, monkeypatch, more, code):
    asked = []
    monkeypatch.setattr(
        host_commands.preflight, "examine", lambda *sizes: asked.append(sizes) or [*FINDINGS, *more]
    )
    answer = fabric("doctor", "--nodes", "100", "--pods", "2000")
    assert (answer.code, answer.err) == (code, "") and asked == [(100, 2000)]
    assert "warning   ipip" in answer.out and "modprobe ipip" in answer.out
    found = json.loads(fabric("doctor", "-o", "json").out)
    assert found[0] == {
        "name": "ipip",
        "level": "warning",
        "what": "not in this kernel",
        "remedy": "modprobe ipip",
    }
    assert asked[1] == (10, 200)


def test_doctor_looks_at_this_machine_and_changes_nothing(fabric):
    found = json.loads(fabric("doctor", "-o", "json").out)
    assert {"iptables-save", "ip"} <= {it["name"] for it in found}
    assert fabric("doctor", "--nodes", "0").code == 2


def test_images_are_the_built_in_ones_and_those_of_a_file(fabric):
    built_in = json.loads(fabric("images", "-o", "json").out)
    assert all(it["builtIn"] for it in built_in) and any("echo" in it["names"] for it in built_in)
    file = fabric.file(f"{FLANNEL}, images: {{greeter: {{command: [sh, -c, 'echo hello']}}}}")
    (own,) = (it for it in json.loads(fabric("images", str(file), "-o", "json").out) if not it["builtIn"])
    assert (own["names"], own["argv"]) == (["greeter"], ["sh", "-c", "echo hello"])
    table = fabric("images", str(file)).out
    assert table.splitlines()[0].split() == ["IMAGE", "RUNS", "FROM", "AVAILABLE"]
    assert "greeter" in table and "topology" in table


def test_images_of_a_cluster_are_those_that_it_was_asked_for_with(fabric):
    fabric.cluster("one", f"{FLANNEL}, images: {{greeter: {{command: [sh]}}}}")
    assert "greeter" in fabric("images", "one").out and "greeter" in fabric("images").out
    missing = fabric("images", "two")
    assert missing.code == 2 and "no cluster 'two' on this machine; there: one" in missing.err


def test_the_schema_is_json_and_the_one_in_the_docs(fabric):
    schema = json.loads(fabric("schema").out)
    assert schema["$schema"].startswith("http") and "spec" in schema["properties"]


@pytest.mark.parametrize("form", ["tree", "dot", "svg", "json", "png"])
def test_a_graph_is_drawn_in_every_form_to_a_file(fabric, form):
    file, target = fabric.file(RACKS), fabric.folder / f"out.{form}"
    answer = fabric("graph", str(file), "-o", form, "--output", str(target))
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    drawn = target.read_bytes()
    assert drawn and (b"leaf-1" in drawn) is (form != "png")


def test_a_picture_that_cannot_be_shown_or_written_says_so(fabric, monkeypatch):
    file = fabric.file(RACKS)
    answer = fabric("graph", str(file), "--output", str(fabric.folder / "none" / "a.svg"), "-o", "svg")
    assert answer.code == 1 and "cannot write" in answer.err and "No such file" in answer.err
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    answer = fabric("graph", str(file), "-o", "png")
    assert answer.code == 2 and "a PNG is no text; name a file: --output fabric.png" in answer.err


@pytest.fixture
def bench(fabric, monkeypatch):
    """`fabric bench`, whose measurements take no time; what was asked for is in `fabric.asked`."""
    fabric.asked, fabric.limits = [], []

    def limits(least):
        fabric.limits.append(least)
        return nullcontext()

    def up(nodes, pods, *, runs, with_mininet, say):
        fabric.asked.append((nodes, pods, runs, with_mininet))
        peer = PeerTimes(pods, 8.0, 5.0) if with_mininet else None
        memory, spent = (100.0, 50.0, {}), (3.0, 1.5, {"api": 1.0})
        return UpTimes(nodes, pods, runs, 2.0, 0.5, {"nodes": 1.0}, 12, *memory, *spent, peer)

    def bgp(count, shape, *, runs, silent, keepalive_seconds, say):
        fabric.asked.append((count, shape, runs, silent, keepalive_seconds))
        return BgpTimes(count, shape, runs, 3, 1.5, 0.25, 64.0, 0.125, 6.0 if silent else None, 240)

    monkeypatch.setattr(bench_commands.signal, "signal", lambda *_: None)
    monkeypatch.setattr(bench_commands, "raised_neighbor_limits", limits)
    monkeypatch.setattr(bench_commands, "measure", up)
    monkeypatch.setattr(bench_commands.bgps, "measure", bgp)
    return lambda *words: fabric("bench", *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["up", "--sizes", "2x"], "--sizes: '2x' is no size; write NODESxPODS, such as 4x100"),
        (["up", "--sizes", "2x4,0x1"], "--sizes: '0x1' is no size"),
        (["up", "--sizes", ""], "--sizes: '' is no size"),
        (["bgp", "--nodes", "3"], "--nodes: '3' is no number of nodes from 4 on"),
        (["bgp", "--nodes", "ten"], "--nodes: 'ten' is no number of nodes"),
    ],
)
def test_a_measurement_of_no_size_is_bad_input(bench, fabric, words, said):
    answer = bench(*words)
    assert fabric.asked == []
    assert (answer.code, answer.out) == (2, "") and said in answer.err


def test_bench_up_measures_each_size_beside_mininet(bench, fabric):
    answer = bench("up", "--sizes", "2x4, 4x100", "--runs", "5")
    assert fabric.asked == [(2, 4, 5, True), (4, 100, 5, True)]
    heading, first, _ = answer.out.splitlines()
    assert heading.split()[-2:] == ["MN/UP", "MN/DOWN"]
    assert " ".join(first.split()) == "2 4 2.00 0.50 3.00 1.50 100 50 8.00 5.00 4.00 10.00"
    assert len(fabric.limits) == 1
    bench("up", "--no-tune", "--no-mininet", "--sizes", "2x4")
    assert len(fabric.limits) == 1 and fabric.asked[-1] == (2, 4, 3, False)


def test_bench_bgp_measures_every_shape_and_number(bench, fabric):
    out = bench("bgp", "--nodes", "4,10", "--silent", "--keepalive", "2", "--runs", "1").out
    assert fabric.asked == [
        (4, "mesh", 1, True, 2),
        (10, "mesh", 1, True, 2),
        (4, "reflectors", 1, True, 2),
        (10, "reflectors", 1, True, 2),
    ]
    assert out.splitlines()[1].split() == ["4", "mesh", "3", "1.50", "0.25", "64", "0.125", "6.00", "240"]
    only = yaml.safe_load(bench("bgp", "--nodes", "4", "--no-reflectors", "-o", "yaml").out)
    assert [it["shape"] for it in only] == ["mesh"] and only[0]["silentSeconds"] is None
    assert not [key for key in only[0] if "_" in key]
