"""One `up` or `down` at a time: who may have the lock, and until when."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from fabric.cluster import lock
from fabric.errors import FabricError

HOLDER = """
import os, sys, time
from pathlib import Path
from fabric.cluster import lock

with lock.held(Path(sys.argv[1])):
    if os.fork() > 0:
        print(os.getpid(), flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock and has forked another, as `up` forks the supervisor."""
    argv = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdout=pipe, text=True, start_new_session=True) as process:
        try:
            assert int(process.stdout.readline()) == process.pid
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_second_holder_is_told_after_its_patience(holder, tmp_path):
    with (
        pytest.raises(FabricError, match="another fabric up or down"),
        lock.held(tmp_path / "lock", seconds_max=0.2),
    ):
        pass


def test_the_lock_dies_with_its_process_though_what_it_forked_lives(holder, tmp_path):
    holder.kill()
    holder.wait()
    os.killpg(holder.pid, 0)
    with lock.held(tmp_path / "lock", seconds_max=5):
        assert (tmp_path / "lock").exists()
    assert not (tmp_path / "lock").exists()
