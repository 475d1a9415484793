"""kill -9 at random moments, again and again on one file: what was acknowledged is there, whole."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import store_writer

from fabric.store.port import Store
from fabric.store.sqlite import SqliteStore

ROUNDS = 25
START_SECONDS_MAX = 60.0


@pytest.fixture
def seed() -> int:
    return random.SystemRandom().randrange(1 << 32)


async def test_no_kill_loses_an_acknowledged_write(tmp_path: Path, seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    path, acknowledged, revision, total = tmp_path / "store.db", dict[int, int](), 1, 0
    for _ in range(ROUNDS):
        lines = _write_until_killed(path, max(acknowledged.values(), default=0), chance.uniform(0, 0.15))
        total += len(lines)
        for writer, number in lines:
            acknowledged[writer] = number
        store = await SqliteStore.open(path)
        found = await _numbers(store)
        for writer, number in acknowledged.items():
            assert found[writer] >= number, f"writer {writer}: {number} acknowledged, {found[writer]} found"
        assert await store.revision() >= revision + len(lines)
        revision = await store.revision()
        acknowledged = found
        await store.close()
    assert total > ROUNDS


async def _numbers(store: Store) -> dict[int, int]:
    """The number of each writer; fails when the three sides of a transaction differ."""
    values: dict[int, list[bytes]] = {}
    for kv in (await store.range("/")).kvs:
        values.setdefault(int(kv.key.split("/")[1]), []).append(kv.value)
    for sides in values.values():
        assert len(sides) == len(store_writer.SIDES) and len(set(sides)) == 1
    return {writer: int(sides[0].split()[0]) for writer, sides in values.items()}


def _write_until_killed(path: Path, number: int, seconds: float) -> list[tuple[int, int]]:
    """Kill the writer `seconds` after its first acknowledgement; return all its whole lines."""
    command = [sys.executable, store_writer.__file__, str(path), str(number)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        try:
            ready, _, _ = select.select([child.stdout], [], [], START_SECONDS_MAX)
            assert ready, "the writer did not start"
            data = _drain(child.stdout.fileno(), time.monotonic() + seconds)
        finally:
            child.send_signal(signal.SIGKILL)
        data += child.stdout.read()
    whole = data[: data.rfind(b"\n") + 1].decode().splitlines()
    return [(int(writer), int(n)) for writer, n in map(str.split, whole)]


def _drain(fd: int, deadline: float) -> bytes:
    """Read, so that the pipe never fills, until the deadline."""
    data = b""
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([fd], [], [], left)
        if ready:
            data += os.read(fd, 1 << 16)
    return data
