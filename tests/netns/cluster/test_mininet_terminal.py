"""Mininet's command line, and a pod's shell, at a terminal: keys, Ctrl-C, Ctrl-D, ends, a closed output."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from support.clusters import TOP, fabric
from support.terminal import Terminal

ARGV = [sys.executable, "-P", "-m", "fabric", "cli"]
CTRL_C, CTRL_D = "\x03", "\x04"


@pytest.fixture
def terminal(vxlan) -> Iterator[Terminal]:
    opened = Terminal(*ARGV, vxlan.name)
    opened.sees("fabric> ")
    yield opened
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(opened.pid, signal.SIGKILL)
        opened.end()


def test_keys_reach_the_program_and_ctrl_d_is_its_end_of_file(terminal):
    terminal.types("pod-1 echo rea''dy; read x; echo got $x.\n")
    terminal.sees("ready")
    terminal.types("seven\n")
    terminal.sees("got seven.")
    terminal.sees("fabric> ")
    terminal.types("pod-1 echo rea''dy; wc -c\n")
    terminal.sees("ready")
    terminal.types(f"1234\n{CTRL_D}")
    terminal.sees("5")
    terminal.sees("fabric> ")
    terminal.types(CTRL_D)
    assert terminal.end() == 0


def test_ctrl_c_ends_the_command_and_the_third_a_shell_that_does_not_mind(terminal):
    terminal.types("pod-1 sh -c \"echo rea''dy; exec sleep 1000\"\n")
    terminal.sees("ready")
    terminal.types(CTRL_C)
    terminal.sees("fabric> ")
    terminal.types("pod-1 bash -c 'trap \"echo no''tyet\" INT; echo rea''dy; while true; do sleep 1; done'\n")
    terminal.sees("ready")
    for _ in range(2):
        terminal.types(CTRL_C)
        terminal.sees("notyet")
    terminal.types(CTRL_C)
    terminal.sees("pod-1: its shell was ended; the next command starts another")
    terminal.sees("fabric> ")
    terminal.types("pod-1 exit\n")
    terminal.sees("fabric> ")
    terminal.types("pod-1 echo $((20 + 3))\n")
    terminal.sees("\n23")
    terminal.sees("fabric> ")  # what is typed before it goes to the program
    terminal.types("exit\n")
    assert terminal.end() == 0


def test_a_shell_in_a_pod_has_the_users_terminal(vxlan):
    argv = [*ARGV[:-1], "exec", "-it", "--cluster", vxlan.name, "pod-1", "--", "sh"]
    user = Terminal(*argv)
    user.types("tty; stty size; echo rea''dy\n")
    user.sees("/dev/pts/")
    user.sees("ready")
    user.resizes(33, 101)
    user.types(
        "until stty size | grep 33; do sleep 0.1; done\n"
    )  # A key may overtake the signal of the size.
    user.sees("33 101")
    user.types("sh -c \"echo asle''ep; exec sleep 1000\"\n")  # dash itself may miss a Ctrl-C
    user.sees("asleep")
    user.types(f"{CTRL_C}echo $?; exit 7\n")
    user.sees("130")
    assert user.end() == 7


def test_a_reader_that_goes_away_ends_a_program_at_a_pods_terminal(vxlan):
    """`fabric exec -it pod-1 -- yes | head -1`: the program is not left running."""
    words = f"{' '.join(ARGV[:-1])} exec -it --cluster {vxlan.name} pod-1 -- yes | head -1"
    user = Terminal("/bin/sh", "-c", words)
    user.sees("y")
    assert user.end() == 0
    deadline = time.monotonic() + 60
    while vxlan.exec("pod-1", "pgrep", "-x", "yes").returncode == 0:
        assert time.monotonic() < deadline, "it runs on"


def test_an_interrupt_ends_lines_that_nobody_types(vxlan):
    terminal = Terminal(*ARGV, vxlan.name, "-c", "pod-1 sh -c 'echo ready; exec sleep 1000'", "-c", "nodes")
    terminal.sees("ready")
    terminal.types(CTRL_C)
    assert terminal.end() == 130


def test_a_closed_output_ends_it_without_a_word(vxlan):
    argv = [*ARGV, vxlan.name, "-c", "pod-1 yes"]
    with subprocess.Popen(
        argv, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout.readline() == "y\n"
        started.stdout.close()
        assert started.stderr.read() == ""
        assert started.wait(60) == 1


def test_a_pod_that_ends_under_a_command_is_told_and_answers_again_when_it_is_back(vxlan):
    lines = ["-c", "pod-3 kill 1; sleep 5", "-c", "pod-1 sleep 4", "-c", "pod-3 echo back again"]
    done = fabric("cli", vxlan.name, *lines)
    assert "pod-3: its shell has ended with" in done.stdout, done.stdout + done.stderr
    assert "back again" in done.stdout, done.stdout + done.stderr
