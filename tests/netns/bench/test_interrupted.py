"""A measurement that is told to end takes its cluster down first, at whatever point it was."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.clusters import TOP, UNDER_DEFAULT_SIGNALS, left_in
from support.eventually import eventually

UP = ("up", "--sizes", "2x4", "--runs", "1", "--no-mininet", "--no-tune")
LOOP = ("loop", "--parts", "", "--members", "", "--idle", "flannel:1x1")
BGP = ("bgp", "--nodes", "4", "--no-reflectors", "--runs", "1", "--silent", "--no-tune")
ENDED_SECONDS_MAX = 120


@contextmanager
def measuring(folders: Mapping[str, str], *words: str) -> Iterator[subprocess.Popen[str]]:
    """Have `fabric bench` at work; what it says is read from `stderr`."""
    argv = [*UNDER_DEFAULT_SIGNALS, sys.executable, "-P", "-m", "fabric", "bench", *words]
    environment = {**os.environ, **folders}
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(
        argv, cwd=TOP, stdin=nothing, stdout=nothing, stderr=pipe, text=True, env=environment
    ) as bench:
        try:
            yield bench
        finally:
            bench.kill()


def commands(folders: Mapping[str, str]) -> list[list[str]]:
    """The words of every process that was told of these folders."""
    told = os.fsencode(f"FABRIC_RUN_DIR={folders['FABRIC_RUN_DIR']}")
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if told in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().split("\0"))
        except OSError:
            continue
    return found


def api_is_up(folders: Mapping[str, str]) -> bool:
    return any(Path(folders["FABRIC_RUN_DIR"]).glob("bench-*/api.sock"))


def goes_down(folders: Mapping[str, str]) -> bool:
    return any(words[-3:-2] == ["down"] for words in commands(folders))


@pytest.mark.parametrize(
    ("words", "when", "told", "code"),
    [
        (UP, api_is_up, signal.SIGINT, 130),
        (UP, goes_down, signal.SIGTERM, 143),
        (LOOP, api_is_up, signal.SIGHUP, 129),
    ],
    ids=["up-Ctrl-C", "down-SIGTERM", "loop-without-terminal"],
)
def test_nothing_is_left_whatever_ended_it(folders, words, when, told, code):
    with measuring(folders, *words) as bench:
        asyncio.run(eventually(lambda: when(folders), seconds_max=60))
        bench.send_signal(told)
        _, said = bench.communicate(timeout=ENDED_SECONDS_MAX)
    assert bench.returncode == code
    assert "Traceback" not in said and "still there" not in said
    assert left_in(folders) == []


def test_ctrl_c_ends_the_wait_for_a_hold_time_at_once(folders):
    with measuring(folders, *BGP) as bench:
        assert any("silence, 240 s" in line for line in bench.stderr), "it ended before"
        bench.send_signal(signal.SIGINT)
        _, said = bench.communicate(timeout=ENDED_SECONDS_MAX)
    assert (bench.returncode, "Traceback" in said) == (130, False)
    assert left_in(folders) == []
