"""A cluster's folders are removed whole, by several threads, and nothing beside them."""

from __future__ import annotations

import os

import pytest
from support.nesting import nest

from fabric.cluster.removal import THREADS, remove


def test_a_folder_goes_with_all_that_is_in_it_and_nothing_else(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    folder = tmp_path / "cluster"
    for number in range(3 * THREADS + 1):
        deep = folder / f"node-{number}" / "var" / "lib" / f"pod-{number}"
        deep.mkdir(parents=True)
        (deep / "etc-hosts").write_text("x")
        (deep.parent / "note").write_text("x")
    os.symlink(kept, folder / "a link to a folder")
    os.symlink(tmp_path / "nowhere", folder / "a broken link")
    os.mkfifo(folder / "a fifo")
    remove(folder)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "kept"]


def test_a_folder_goes_however_deep_it_is(tmp_path):
    nest(tmp_path / "cluster" / "node-1", "d", 5_000)
    nest(tmp_path / "cluster" / "node-2", "ü" * 120, 60)
    remove(tmp_path / "cluster")
    assert os.listdir(tmp_path) == []


def test_no_folder_is_nothing_to_do(tmp_path):
    remove(tmp_path / "none")


def test_what_cannot_be_removed_is_told(tmp_path, monkeypatch):
    (tmp_path / "cluster" / "node-1").mkdir(parents=True)

    def refuse(path):
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr(os, "rmdir", refuse)
    with pytest.raises(PermissionError):
        remove(tmp_path / "cluster")
