"""A command started by a program that ignores SIGCHLD learns all the same how its children ended."""

import subprocess
import sys

from support.clusters import TOP

RING = """\
apiVersion: fabric.dev/v1
kind: Topology
metadata: {name: ring}
spec:
  nodes: 2
  underlay: {kind: graph, generator: ring, arguments: {n: 3}}
  network: {plugin: flannel}
"""
IGNORING = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, "-P", "-m", "fabric", *sys.argv[1:]])
"""


def test_a_generator_that_runs_in_a_child_is_read(tmp_path):
    file = tmp_path / "ring.yaml"
    file.write_text(RING)
    argv = [sys.executable, "-c", IGNORING, "graph", str(file)]
    done = subprocess.run(argv, cwd=TOP, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "r3 router" in done.stdout
