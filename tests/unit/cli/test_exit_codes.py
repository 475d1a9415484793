"""Exit codes: 0 done, 1 the world said no, 2 bad input, 130 interrupted; each with its sentence."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from fabric.cli import cluster_commands
from fabric.errors import BadInput, FabricError, Problem


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (FabricError("the disk is away"), 1, "error: the disk is away\n"),
        (
            BadInput(Problem("t.yaml:3", "no such key"), Problem("t.yaml:5", "no such node")),
            2,
            "error: t.yaml:3: no such key\nerror: t.yaml:5: no such node\n",
        ),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), 1, ""),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/run/x"), 1, "error: "),
    ],
)
def test_an_error_becomes_its_exit_code_and_a_sentence(fabric, monkeypatch, error, code, said):
    def fail():
        raise error

    monkeypatch.setattr(cluster_commands.downs, "all_clusters", fail)
    answer = fabric("list")
    assert (answer.code, answer.out) == (code, "")
    assert answer.err == said if said.endswith("\n") or not said else answer.err.startswith(said)


@pytest.mark.parametrize("error", [TypeError("a bug"), OSError(errno.EBADF, "a bug")])
def test_a_bug_is_no_message_but_a_traceback(fabric, monkeypatch, error):
    def fail():
        raise error

    monkeypatch.setattr(cluster_commands.downs, "all_clusters", fail)
    with pytest.raises(type(error), match="a bug"):
        fabric("list")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["list", "--frobnicate"], "No such option: --frobnicate"),
        (["list", "-o", "xml"], "'xml' is not one of 'table', 'wide', 'json', 'yaml'"),
        (["up"], "Missing argument 'file'"),
        (["routes"], "Missing argument 'node'"),
        (["down", "a", "b"], "unexpected extra argument"),
        (["link", "down", "a"], "Missing argument 'b'"),
        (["bench", "up", "--runs", "0"], "greater than or equal to 1"),
    ],
)
def test_words_that_make_no_command_are_bad_input(fabric, words, said):
    answer = fabric(*words)
    assert (answer.code, answer.out) == (2, "") and said in answer.err


def test_help_goes_to_standard_output_and_names_every_command(fabric):
    answer = fabric("--help")
    assert (answer.code, answer.err) == (0, "")
    for name in ("up", "down", "status", "calicoctl", "routes", "bgp"):
        assert f"  {name} " in answer.out
    assert fabric("down", "-h").code == 0


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("down", ["down"]),
        ("status", ["status", "lab"]),
        ("kubeconfig", ["kubeconfig", "lab"]),
        ("exec", ["exec", "pod-1", "--", "true"]),
        ("logs", ["logs", "pod-1"]),
        ("routes", ["routes", "node-1"]),
        ("bgp", ["bgp", "lab"]),
        ("link show", ["link", "show"]),
        ("policy why", ["policy", "why", "pod-1", "pod-2", "--icmp"]),
        ("policy lint", ["policy", "lint"]),
        ("link down", ["link", "down", "a", "b"]),
        ("bench up", ["bench", "up"]),
        ("bench bgp", ["bench", "bgp"]),
        ("bench loop", ["bench", "loop"]),
        ("bench probes", ["bench", "probes"]),
        ("bench policy", ["bench", "policy"]),
        ("policy matrix", ["policy", "matrix"]),
    ],
)
def test_what_needs_root_says_so_before_anything_else(fabric, monkeypatch, command, words):
    fabric.cluster()
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    answer = fabric(*words)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == f"error: fabric {command} needs root: run it with sudo\n"


def test_a_reader_that_goes_away_is_no_error_message():
    """The pipe is closed before the first line is written: 1, as for any program that cannot write."""
    command = f"{sys.executable} -P -m fabric schema; echo $? >&2"
    done = subprocess.run(
        ["sh", "-c", f"({command}) | true"], capture_output=True, text=True, check=False, timeout=120
    )
    code, *_ = done.stderr.split()[-1:]
    assert "Traceback" not in done.stderr and code in ("0", "1")


def test_a_closed_standard_output_is_told_in_one_line():
    command = f"exec {sys.executable} -P -m fabric schema >/dev/full"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize("closed", [">&-", "<&-", ">&- <&- 2>&-"])
def test_standard_files_that_the_caller_closed_are_as_if_they_were_empty(closed):
    """A file that is opened later must not be taken for standard output."""
    command = f"{sys.executable} -P -m fabric calicoctl version --client {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
