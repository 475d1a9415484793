"""The peer of a benchmark: what is missing of Mininet, and what it said when it failed, is told."""

from __future__ import annotations

import json
import subprocess

import pytest

from fabric.bench import peer
from fabric.bench.peer import PeerTimes
from fabric.errors import FabricError


@pytest.fixture
def mininet(monkeypatch):
    """Mininet, which is installed, and ends as it is told to."""

    def install(code: int = 0, out: str = "", err: str = "") -> None:
        ended = subprocess.CompletedProcess([], code, out, err)
        monkeypatch.setattr(peer.shutil, "which", lambda tool: f"/usr/bin/{tool}")
        monkeypatch.setattr(peer.subprocess, "run", lambda *arguments, **options: ended)

    return install


@pytest.mark.parametrize("missing", ["mn", "brctl"])
def test_a_peer_that_is_not_installed_is_named_with_the_remedy(monkeypatch, missing):
    monkeypatch.setattr(peer.shutil, "which", lambda tool: None if tool == missing else f"/usr/bin/{tool}")
    with pytest.raises(FabricError, match="apt-get install mininet bridge-utils"):
        peer.mininet(4)


@pytest.mark.parametrize(("out", "err"), [("", "no bridge\n"), ("no bridge\n", "")])
def test_a_peer_that_fails_says_why(mininet, out, err):
    mininet(1, out, err)
    with pytest.raises(FabricError, match="Mininet failed: no bridge"):
        peer.mininet(4)


def test_of_a_long_complaint_the_end_is_told_where_the_reason_stands(mininet):
    mininet(1, err="x" * 5000 + "no bridge")
    with pytest.raises(FabricError) as refused:
        peer.mininet(4)
    assert len(str(refused.value)) < 600 and str(refused.value).endswith("no bridge")


def test_times_are_its_last_line_whatever_it_says_before(mininet):
    mininet(out="*** Creating network\n" + json.dumps({"up": 1.23456, "down": 0.5}) + "\n")
    assert peer.mininet(4) == PeerTimes(4, 1.235, 0.5)
