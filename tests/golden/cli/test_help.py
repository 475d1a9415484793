"""What `--help` says, word for word; every command shows an example of its use."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

_PRINT_ALL = """
import json, sys
import typer
from fabric.cli import commands
from fabric.cli.main import app

def context_of(command, name, parent=None):
    return command.make_context(name, [], parent, resilient_parsing=True)

def walk(command, context, name):
    found[name] = command.get_help(context)
    for each in getattr(command, "commands", {}):
        below = command.commands[each]
        walk(below, context_of(below, each, context), f"{name} {each}")

found = {}
commands.register(app, [])
root = typer.main.get_command(app)
walk(root, context_of(root, "fabric"), "fabric")
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """The help text of every command, by its words."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", _PRINT_ALL],
        env=os.environ | {"COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_the_help_of_every_command_reads_as_recorded(helps, golden):
    for name, text in helps.items():
        golden(name.replace(" ", "-"), f"{text}\n")


def test_every_command_that_does_something_shows_an_example(helps):
    doing = {name for name in helps if not any(other.startswith(f"{name} ") for other in helps)}
    assert len(doing) >= 12
    assert not [
        name
        for name in sorted(doing)
        if f"Example: sudo {name} " not in helps[name] and f"Example: {name}" not in helps[name]
    ]


def test_every_command_says_in_a_sentence_what_it_does(helps):
    for name, text in helps.items():
        sentence = text.split("\n\n")[1].strip()
        assert sentence.endswith((".", "kubectl.")), name


def test_no_line_of_a_list_of_commands_is_cut(helps):
    cut = [line for text in helps.values() for line in text.splitlines() if line.endswith("...")]
    assert [line for line in cut if not line.startswith("Usage:")] == []
