"""A runtime process: the fork server, started as a small Python of its own."""

from __future__ import annotations

import os

from fabric.cluster.paths import ClusterPaths
from fabric.runtime.command import command


def run(paths: ClusterPaths, index: int) -> None:
    argv = command(paths.runtime_socket(index), paths.runtime_state(index))
    os.execv(argv[0], argv)
