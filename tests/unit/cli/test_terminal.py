"""A user's terminal is joined to a program's: keys, window sizes, ends, and what nobody reads."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap

import pytest
from support.clusters import TOP
from support.terminal import Terminal

JOIN = """
import asyncio, fcntl, os, pty, struct, subprocess, sys, termios
from fabric.cli import terminal


class Session:
    def __init__(self, argv):
        self.terminal, slave = pty.openpty()
        self._program = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)

    async def wait(self):
        while (code := self._program.poll()) is None:
            await asyncio.sleep(0.01)
        return code

    async def resize(self, rows, columns):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


print("joined", flush=True)
sys.exit(asyncio.run(terminal.join(Session(sys.argv[1:]))))
"""
"""A program of this machine, joined to the terminal as `fabric exec -it` joins one in a pod."""


def joined(*argv: str) -> list[str]:
    return [sys.executable, "-P", "-c", textwrap.dedent(JOIN), *argv]


@pytest.fixture
def run():
    """A user who runs this program at a terminal."""
    opened: list[Terminal] = []

    def start(*argv: str) -> Terminal:
        opened.append(Terminal(*joined(*argv)))
        opened[-1].sees("joined")
        return opened[-1]

    yield start
    for each in opened:
        with contextlib.suppress(OSError):
            os.kill(each.pid, signal.SIGKILL)
            each.end()


def test_keys_reach_the_program_and_its_exit_code_the_user(run):
    user = run("sh", "-c", "echo rea''dy; read x; echo got $x.; exit 7")
    user.sees("ready")
    user.types("seven\r")
    user.sees("got seven.")
    assert user.end() == 7


def test_ctrl_c_is_the_programs(run):
    user = run("sh", "-c", "trap 'echo caught; exit 3' INT; echo rea''dy; while :; do sleep 0.1; done")
    user.sees("ready")
    user.types("\x03")
    user.sees("caught")
    assert user.end() == 3


def test_a_program_has_the_windows_size_and_is_told_of_another(run, monkeypatch):
    """Whatever the environment says, which a resize does not change."""
    monkeypatch.setenv("LINES", "7")
    monkeypatch.setenv("COLUMNS", "70")
    waits = "until stty size | grep -q 101; do sleep 0.1; done"
    user = run("sh", "-c", f"trap 'stty size' WINCH; stty size; echo rea''dy; {waits}")
    user.sees("ready")
    user.resizes(33, 101)
    user.sees("33 101")
    assert user.end() == 0


def test_all_that_was_said_before_the_end_is_shown(run):
    user = run("sh", "-c", "seq 1 20000; echo the e''nd")
    user.sees("20000")
    user.sees("the end")
    assert user.end() == 0


def paste(user):
    """Type 14,000 characters, as a terminal passes a paste on."""
    for _ in range(20):
        user.types("pasted\n" * 100)


def test_a_paste_that_the_program_does_not_read_holds_nothing_else(run):
    """It says what it has to say and ends, although nobody took the keys."""
    user = run("sh", "-c", "stty -echo; echo rea''dy; sleep 1; seq 1 50000; echo the e''nd; exit 5")
    user.sees("ready")
    paste(user)
    user.sees("the end")
    assert user.end() == 5


def test_a_long_paste_reaches_a_slow_reader_whole(run):
    user = run("sh", "-c", "stty -echo raw; echo rea''dy; sleep 0.5; head -c 14000 | wc -c")
    user.sees("ready")
    paste(user)
    user.sees("14000")
    assert user.end() == 0


def test_the_terminal_is_as_before_when_the_program_has_ended(run):
    user = Terminal(
        "/bin/sh", "-c", '"$0" "$@"; echo ba""ck; read x', *joined("sh", "-c", "echo rea''dy; read x")
    )
    user.sees("ready")
    assert user.takes_each_key()
    user.types("\r")
    user.sees("back")
    assert not user.takes_each_key()
    user.types("\n")
    assert user.end() == 0


def test_an_output_that_nobody_reads_ends_it_without_a_traceback():
    """`fabric exec -it pod-1 -- yes | head -1`: the keys are a terminal's, the output is a pipe."""
    master, slave = os.openpty()
    try:
        with subprocess.Popen(
            joined("yes"), cwd=TOP, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as started:
            assert [started.stdout.readline() for _ in range(2)] == ["joined\n", "y\n"]
            started.stdout.close()
            said = started.communicate(timeout=180)[1]
        assert started.returncode == 1
        assert said.strip().splitlines()[-1] == "BrokenPipeError" and "Exception in callback" not in said
    finally:
        os.close(master)
        os.close(slave)
