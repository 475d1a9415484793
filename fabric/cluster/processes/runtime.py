"""A runtime process: the fork server, started as a small Python of its own."""

from __future__ import annotations

import os

from fabric.cluster.places import Places
from fabric.runtime.command import command


def run(places: Places, index: int) -> None:
    argv = command(places.runtime_socket(index), places.runtime_state(index))
    os.execv(argv[0], argv)
