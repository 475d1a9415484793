"""What holds for all commands alike: examples that parse, formats, and which cluster is meant."""

from __future__ import annotations

import json
import re
import shlex

import pytest
import typer
import yaml

from fabric.cli import commands
from fabric.errors import WORD_CHARACTERS_MAX

CLUSTER_COMMANDS = {
    "down": ["down"],
    "status": ["status"],
    "kubeconfig": ["kubeconfig"],
    "bgp": ["bgp"],
    "cli": ["cli"],
    "exec": ["exec", "pod-1", "--", "true"],
    "logs": ["logs", "pod-1"],
    "routes": ["routes", "node-1"],
    "link show": ["link", "show"],
    "link down": ["link", "down", "a", "b"],
    "link up": ["link", "up", "a", "b"],
    "link set": ["link", "set", "a", "b", "delay=1ms"],
    "link reset": ["link", "reset", "a", "b"],
    "policy why": ["policy", "why", "pod-1", "pod-2", "--tcp", "80"],
    "policy lint": ["policy", "lint"],
    "policy diff": ["policy", "diff", "policies.yaml"],
    "policy matrix": ["policy", "matrix", "--predicted"],
    "calicoctl": ["calicoctl", "get", "nodes"],
}
"""A command line of each command that works on a cluster, and names none."""
PLACED = {"down", "status", "kubeconfig", "bgp", "cli"}
"""Those that take the cluster as an argument, not by --cluster."""


def command_tree():
    """Every command by its words."""
    app = typer.Typer()
    app.callback()(lambda: None)
    commands.register(app, [])
    found = {}

    def walk(command, words):
        found[words] = command
        for name, below in getattr(command, "commands", {}).items():
            walk(below, (*words, name))

    walk(typer.main.get_command(app), ())
    return {words: each for words, each in found.items() if not hasattr(each, "commands")}


@pytest.fixture(scope="module")
def tree():
    return command_tree()


def test_every_example_of_the_help_is_a_command_line_that_is_taken(tree):
    examples = 0
    for words, command in tree.items():
        for text in re.findall(r"Example: (?:sudo )?(fabric [^\n]+)", command.help):
            name, *typed = shlex.split(text.partition(" > ")[0])
            assert (name, *typed[: len(words)]) == ("fabric", *words), text
            command.make_context(" ".join(words), typed[len(words) :])
            examples += 1
    assert examples >= len(tree)


def test_every_option_and_argument_says_what_it_is(tree):
    hidden = {"help"}
    silent = [
        f"{' '.join(words)} {each.name}"
        for words, command in tree.items()
        for each in command.params
        if each.name not in hidden and not getattr(each, "help", None)
    ]
    assert silent == []


def test_whoever_prints_objects_takes_and_names_the_same_four_formats(tree):
    taking = {words[0] for words, it in tree.items() if any("--output" in each.opts for each in it.params)}
    assert {"up", "status", "list", "bgp", "routes", "link", "doctor", "images", "bench"} <= taking
    for words, command in tree.items():
        for each in command.params:
            if "-o" in each.opts and words not in (("graph",), ("policy", "matrix")):
                assert each.help == "table, wide, json or yaml.", words


@pytest.mark.parametrize("name", CLUSTER_COMMANDS)
def test_a_cluster_must_be_there_and_meant(fabric, monkeypatch, name):
    words = CLUSTER_COMMANDS[name]
    answer = fabric(*words)
    assert (answer.code, answer.out) == (1, "")
    assert "no cluster on this machine; start one: sudo fabric up topologies/two-nodes.yaml\n" in answer.err
    fabric.cluster("one")
    monkeypatch.setenv("FABRIC_CLUSTER", "none")
    answer = fabric(*words)
    assert (answer.code, answer.out) == (2, "")
    assert "FABRIC_CLUSTER: no cluster 'none' on this machine; there: one\n" in answer.err
    monkeypatch.delenv("FABRIC_CLUSTER")
    fabric.cluster("two")
    answer = fabric(*words)
    assert (answer.code, answer.out) == (2, "")
    assert "several clusters are here, name one of: one, two; or set FABRIC_CLUSTER" in answer.err


@pytest.mark.parametrize("name", sorted(set(CLUSTER_COMMANDS) - {"calicoctl"}))
@pytest.mark.parametrize("given", ["none", "", "../one", "a" * 300, "one/two", "*"])
def test_a_name_that_fits_no_cluster_is_bad_input(fabric, name, given):
    fabric.cluster("one")
    words = CLUSTER_COMMANDS[name]
    first = len(name.split())
    placed = [*words, given] if name in PLACED else [*words[:first], "--cluster", given, *words[first:]]
    answer = fabric(*placed)
    assert (answer.code, answer.out) == (2, "")
    shown = f"{given!r}" if len(given) < WORD_CHARACTERS_MAX else f"'{given[: WORD_CHARACTERS_MAX - 2]}…"
    assert f"no cluster {shown} on this machine; there: one" in answer.err


@pytest.mark.parametrize("form", ["json", "JSON", "yaml", "table", "wide"])
def test_an_empty_list_is_a_list_in_every_format(fabric, form):
    answer = fabric("list", "-o", form)
    assert (answer.code, answer.err) == (0, "")
    if form.lower() in ("json", "yaml"):
        assert (json.loads if form != "yaml" else yaml.safe_load)(answer.out) == []
    else:
        assert answer.out.split() == ["NAME", "STATUS", "NODES", "PLUGIN", "PROCESSES", "FILE"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["exec"], "COMMAND: missing; write: fabric exec POD -- COMMAND"),
        (["exec", "pod-1"], "COMMAND: missing; write: fabric exec pod-1 -- COMMAND"),
        (["exec", "--node", "node-1"], "COMMAND: missing; write: fabric exec --node node-1 -- COMMAND"),
        (["exec", "-it", "pod-1", "--", "sh"], "--tty: standard input is not a terminal; leave out -t"),
    ],
)
def test_exec_says_what_is_to_be_written(fabric, monkeypatch, words, said):
    fabric.cluster("one")
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    answer = fabric(*words)
    assert (answer.code, answer.out) == (2, "") and said in answer.err
