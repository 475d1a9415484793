"""A directory of files that changes all at once, in the layout of Kubernetes' AtomicWriter.

Files live in a hidden directory; `..data` is a symbolic link to it, and every visible name is a
symbolic link through `..data`. A new version is written beside the old one, then `..data` is renamed
over: a reader sees the old files or the new ones, never a mixture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fabric import folders

DATA = "..data"
VERSIONS = "..1", "..2"
"""The hidden directories: one that is shown, and one that is being written."""


@dataclass(frozen=True, slots=True)
class File:
    content: bytes
    mode: int = 0o644


Files = Mapping[str, File]
"""Relative path -> file."""


def publish(directory: Path, files: Files) -> bool:
    """Make `directory` show exactly `files`; return False when it did already."""
    folders.make(str(directory))
    link = directory / DATA
    if link.is_symlink() and _same(link, files):
        return False
    old = link.resolve() if link.is_symlink() else None
    new = directory / VERSIONS[old is not None and old.name == VERSIONS[0]]
    _write_all(new, files)
    staged = directory / "..data_tmp"
    staged.unlink(missing_ok=True)
    staged.symlink_to(new.name)
    staged.rename(link)
    _show(directory, {name.split("/")[0] for name in files})
    if old is not None:
        folders.remove(str(old))
    return True


def _write_all(new: Path, files: Files) -> None:
    """Write all files into a new directory, or none: what a full disk took of them would fill it for good."""
    folders.remove(str(new))
    try:
        new.mkdir()
        new.chmod(0o755)
        for name, file in files.items():
            _write(new / name, file)
    except OSError:
        folders.remove(str(new))
        raise


def _write(path: Path, file: File) -> None:
    folders.make(str(path.parent))
    path.write_bytes(file.content)
    path.chmod(file.mode)


def _same(data: Path, files: Files) -> bool:
    return folders.files_in(str(data)) == set(files) and all(
        (data / name).read_bytes() == file.content and (data / name).stat().st_mode & 0o777 == file.mode
        for name, file in files.items()
    )


def _show(directory: Path, names: set[str]) -> None:
    for name in names:
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{name}")
    for path in directory.iterdir():
        if path.is_symlink() and path.name != DATA and path.name not in names:
            path.unlink()
