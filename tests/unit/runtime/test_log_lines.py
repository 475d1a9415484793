"""A container's output becomes CRI's lines, whatever it writes and whatever the disk says."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.runtime.containers import logs
from fabric.runtime.containers.logs import LINE_BYTES_MAX, LogFile, Output, cut, rotated, timestamp


@given(st.binary(max_size=400).map(lambda data: data.replace(b"x", b"x" * 9000)), st.integers(1, 5000))
def test_nothing_is_lost_or_added_however_the_output_is_read(data, size):
    held, lines = b"", []
    for at in range(0, len(data), size):
        more, held = cut(held + data[at : at + size])
        lines += more
    text = b"".join(line + (b"\n" if mark == b"F" else b"") for mark, line in lines)
    assert text + held == data
    assert all(len(line) <= LINE_BYTES_MAX for _, line in lines)


def test_a_time_has_nine_digits_behind_its_seconds():
    assert timestamp(1_795_410_000_000_000_042) == "2026-11-23T05:00:00.000000042Z"


@pytest.fixture
def fifo(tmp_path: Path) -> str:
    os.mkfifo(tmp_path / "out")
    return str(tmp_path / "out")


def test_what_is_not_whole_at_the_end_is_marked_as_a_part(tmp_path: Path, fifo: str):
    log = LogFile(str(tmp_path / "0.log"))
    output = Output(fifo, "stderr", log)
    writer = os.open(fifo, os.O_WRONLY)
    os.write(writer, b"one\ntwo")
    os.close(writer)
    output.close()
    log.close()
    words = [line.split(" ")[1:] for line in (tmp_path / "0.log").read_text().splitlines()]
    assert words == [["stderr", "F", "one"], ["stderr", "P", "two"]]


def test_what_the_disk_does_not_take_is_lost_and_what_comes_later_is_written(tmp_path: Path, monkeypatch):
    log = LogFile(str(tmp_path / "0.log"))
    log.write(b"before\n")
    with monkeypatch.context() as patch:

        def refuse(fd: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr(os, "write", refuse)
        log.write(b"lost\n")
    log.write(b"after\n")
    log.close()
    assert (tmp_path / "0.log").read_bytes() == b"before\nafter\n"


def test_five_files_are_kept_the_newest_ones(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(logs, "LOG_BYTES_MAX", 10)
    path = str(tmp_path / "0.log")
    log = LogFile(path)
    for second in range(8):
        monkeypatch.setattr(logs.time, "strftime", lambda *_, second=second: f"20261123-05000{second}")
        log.write(f"start number {second}\n".encode())
    log.write(b"last\n")
    log.close()
    assert [os.path.basename(each) for each in rotated(path)] == [
        f"0.log.20261123-05000{second}" for second in (4, 5, 6, 7)
    ]
    assert Path(path).read_bytes() == b"last\n"


def test_a_log_that_is_full_twice_in_a_second_grows_on(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(logs, "LOG_BYTES_MAX", 10)
    monkeypatch.setattr(logs.time, "strftime", lambda *_: "20261123-050000")
    path = str(tmp_path / "0.log")
    log = LogFile(path)
    for number in (1, 2, 3):
        log.write(f"line number {number}\n".encode())
    log.close()
    assert [Path(each).read_bytes() for each in rotated(path)] == [b"line number 1\n"]
    assert Path(path).read_bytes() == b"line number 2\nline number 3\n"


def test_a_container_of_the_same_beginning_keeps_its_own_files(tmp_path: Path):
    for name in ("1.log", "1.log.20261123-050000", "11.log.20261123-050000", "1.logs"):
        (tmp_path / name).touch()
    assert rotated(str(tmp_path / "1.log")) == [str(tmp_path / "1.log.20261123-050000")]
