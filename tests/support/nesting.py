"""Folders in folders, as a container makes them that changes into each."""

from __future__ import annotations

import os
from pathlib import Path


def nest(folder: Path, name: str, depth: int) -> None:
    """Make `depth` folders of that name, each in the one before, and a file in the last."""
    folder.mkdir(parents=True)
    at = os.open(folder, os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)
