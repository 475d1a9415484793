"""The real daemon reads what the vocabulary prints."""

from __future__ import annotations

import subprocess
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from support.bird_configs import CONFIGS

from fabric.bird.config import Config, Text
from fabric.bird.daemon import Daemon


def read(folder: Path, config: Config) -> subprocess.CompletedProcess[str]:
    """`bird -p` only parses: it opens no socket, and touches no route."""
    daemon = Daemon(folder)
    daemon.write(config)
    return subprocess.run(daemon.check_argv, capture_output=True, text=True, timeout=10)


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_bird_reads_every_word_of_the_vocabulary(name: str, tmp_path: Path):
    checked = read(tmp_path, CONFIGS[name])
    assert (checked.returncode, checked.stderr) == (0, "")


def test_bird_names_the_line_that_it_cannot_read(tmp_path: Path):
    checked = read(tmp_path, Config(IPv4Address("192.168.0.1"), (Text("protocol nonsense;"),)))
    assert checked.returncode != 0
    assert "bird.conf:6:" in checked.stderr
