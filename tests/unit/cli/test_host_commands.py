"""doctor, images, graph and schema: what they print, and what they refuse."""

from __future__ import annotations

import json

import pytest
from support.command_line import FLANNEL, RACKS

from fabric.cli import host_commands
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
    assert {"program iptables-save", "program ip", "ipset", "program ipset"} <= {it["name"] for it in found}
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
