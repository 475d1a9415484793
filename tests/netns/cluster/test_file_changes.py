"""A file that is replaced is heard of at once, and a file that stays is left alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fabric.cluster import filechanges
from fabric.cluster.filechanges import following


def replaced(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


async def test_whoever_follows_a_file_hears_of_each_replacement(tmp_path, monkeypatch):
    monkeypatch.setattr(filechanges, "SLOW_SECONDS", 60.0)
    path = tmp_path / "spec.json"
    with following(path) as file:
        for text in ("one", "two"):
            replaced(path, text)
            await asyncio.wait_for(file.wait(), 60)
            assert path.read_text() == text


async def test_other_files_of_the_folder_are_no_reason_to_look(tmp_path, monkeypatch):
    monkeypatch.setattr(filechanges, "SLOW_SECONDS", 60.0)
    with following(tmp_path / "spec.json") as file:
        waiting = asyncio.create_task(file.wait())
        (tmp_path / "other.json").write_text("")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting, 0.3)


async def test_without_inotify_the_file_is_looked_at_now_and_then(tmp_path, monkeypatch):
    monkeypatch.setattr(filechanges, "_inotify", lambda folder: -1)
    with following(tmp_path / "spec.json") as file:
        await asyncio.wait_for(file.wait(), 60)
