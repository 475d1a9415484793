"""The removal of a folder with all that is in it, by several threads.

Taking an inode away waits for the journal of the file system, above all where other programs write to it;
several threads wait at once. 8,000 files and folders of 1,000 pods went in 0.5 s instead of 3 to 6 s.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

THREADS = 8


def remove(folder: Path) -> None:
    """Remove a folder; nothing happens when there is none. Nobody may write there any more."""
    with ThreadPoolExecutor(THREADS) as pool:
        for level in reversed(_levels(folder)):
            shares = [level[number::THREADS] for number in range(THREADS)]
            for _ in pool.map(_remove_each, shares):
                pass


def _levels(folder: Path) -> list[list[tuple[str, list[str]]]]:
    """The folders by depth, each with the names in it that are no folders; links are not followed."""
    levels: list[list[tuple[str, list[str]]]] = []
    below = [str(folder)]
    while below:
        level, below = below, []
        levels.append([(path, _listed(path, below)) for path in level])
    return levels


def _listed(path: str, folders: list[str]) -> list[str]:
    """The names in a folder that are no folders; the paths of those that are go to `folders`."""
    names = []
    with contextlib.suppress(FileNotFoundError), os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            else:
                names.append(entry.name)
    return names


def _remove_each(share: Sequence[tuple[str, list[str]]]) -> None:
    for path, names in share:
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                Path(path, name).unlink()
        with contextlib.suppress(FileNotFoundError):
            Path(path).rmdir()
