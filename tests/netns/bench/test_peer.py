"""Mininet in namespaces of its own: it is timed, and nothing of it outlives the measurement."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest
from support.clusters import host_state
from support.eventually import eventually

from fabric.bench import peer
from fabric.errors import FabricError


def processes_with(text: str) -> list[str]:
    """The processes whose command line has this text."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if text in (process / "cmdline").read_text(errors="replace"):
                found.append(process.name)
        except OSError:
            continue
    return found


def test_hosts_are_started_and_stopped_apart_from_the_machines_own_network():
    before = host_state()
    found = peer.mininet(3)
    assert found.hosts == 3 and found.up_seconds > 0 and found.down_seconds > 0
    assert {name: text for name, text in host_state().items() if text != before[name]} == {}


def test_a_mininet_that_is_not_done_in_time_ends_with_all_that_it_started(monkeypatch):
    mark = uuid.uuid4().hex
    script = f"import subprocess; subprocess.run(['sh', '-c', 'sleep 3600; # {mark}'])"
    monkeypatch.setattr(peer, "_SCRIPT", script)
    with pytest.raises(FabricError, match="Mininet is not done with 2 hosts after 3 s: use --no-mininet"):
        peer.mininet(2, seconds_max=3)
    asyncio.run(eventually(lambda: not processes_with(mark)))


def test_a_mininet_that_cannot_be_imported_says_why(monkeypatch):
    monkeypatch.setattr(peer, "_SCRIPT", "import mininet.nothing")
    with pytest.raises(FabricError, match=r"(?s)Mininet failed: .*No module named 'mininet.nothing'"):
        peer.mininet(2)
