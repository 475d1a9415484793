"""Folders are made, listed, resolved and removed here however deep they lie.

What Python has for it (os.makedirs, shutil.rmtree, os.walk, os.path.realpath) calls itself for each folder
or link, a thousand at most, and Linux takes no path of more than 4,096 bytes. A container may nest more
than both.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RELATIVE_BYTES_MAX = 2048
"""A folder whose path below the one to be removed is longer is moved up first: half of what Linux takes."""

Level = list[tuple[str, list[str]]]
"""Folders of one depth, each with the names in it that are no folders."""


def make(path: str, mode: int = 0o777) -> None:
    """Make a folder and those above it that are missing; it may be there. OSError if Linux refuses."""
    missing = []
    above = path
    while above and not _made(above, mode):
        missing.append(above)
        above = os.path.dirname(above.rstrip("/"))
    for each in reversed(missing):
        if not _made(each, mode):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), each)


def _made(path: str, mode: int) -> bool:
    """Make one folder; False when the one above it is missing."""
    try:
        os.mkdir(path, mode)
    except FileNotFoundError:
        return False
    except FileExistsError:
        if not os.path.isdir(path):
            raise
    return True


def real_path(path: str) -> str:
    """The path without links. OSError, as Linux says it, where links lead to links for ever, or nearly so."""
    try:
        return os.path.realpath(path)
    except RecursionError:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path) from None


def files_in(folder: str) -> set[str]:
    """The paths below a folder of all that is no folder."""
    start = len(folder.rstrip("/")) + 1
    found = set()
    folders = [folder]
    while folders:
        path = folders.pop()
        found |= {f"{path}/{name}"[start:] for name in _listed(path, folders)}
    return found


def remove(folder: str) -> None:
    """Remove a folder with all that is in it; nothing happens when there is none. Nobody may write there."""
    for level in reversed(levels(folder)):
        remove_each(level)


def levels(folder: str) -> list[Level]:
    """The folders by depth, to be removed from the last on; one that is too deep is moved up into `folder`.

    Links are not followed.
    """
    found: list[Level] = []
    below = [folder]
    while below:
        level = [_within_reach(path, folder) for path in below]
        below = []
        found.append([(path, _listed(path, below)) for path in level])
    return found


def _within_reach(path: str, folder: str) -> str:
    if len(os.fsencode(path)) - len(os.fsencode(folder)) <= RELATIVE_BYTES_MAX:
        return path
    higher = f"{folder}/..{os.urandom(8).hex()}"
    os.rename(path, higher)
    return higher


def _listed(path: str, folders: list[str]) -> list[str]:
    """The names in a folder that are no folders; the paths of those that are go to `folders`."""
    names: list[str] = []
    try:
        entries = os.scandir(path)
    except FileNotFoundError:
        return names
    with entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            else:
                names.append(entry.name)
    return names


def remove_each(level: Sequence[tuple[str, list[str]]]) -> None:
    """Remove folders of `levels` that hold no other folders any more."""
    for path, names in level:
        for name in names:
            _unless_gone(os.unlink, f"{path}/{name}")
        _unless_gone(os.rmdir, path)


def _unless_gone(remove: Callable[[str], None], path: str) -> None:
    try:
        remove(path)
    except FileNotFoundError:
        pass
