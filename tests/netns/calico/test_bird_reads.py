"""The real daemon reads every configuration of tests/golden/calico."""

import subprocess
from pathlib import Path

import pytest
from support.calico_bgp import FILES, PASSWORDS

from calico.bgp.config import bird_config

pytestmark = pytest.mark.netns


@pytest.mark.parametrize("name", sorted(FILES))
def test_bird_reads_it(name: str, tmp_path: Path):
    cluster, node = FILES[name]
    path = tmp_path / "bird.conf"
    path.write_text(str(bird_config(cluster(), node, PASSWORDS)))
    done = subprocess.run(["bird", "-p", "-c", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
