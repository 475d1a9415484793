"""A daemon writes its log itself; the runtime only keeps it short."""

from __future__ import annotations

import os
from pathlib import Path

from fabric.runtime.containers.logs import LOG_BYTES_MAX, open_to_append, shorten


def test_a_log_that_is_too_long_is_cut_under_its_writer(tmp_path: Path):
    log = tmp_path / "daemons" / "bird.log"
    writer = open_to_append(str(log))
    os.write(writer, b"old\n" * (LOG_BYTES_MAX // 4))
    shorten(str(log))
    os.write(writer, b"new\n")
    os.close(writer)
    assert log.read_bytes() == b"new\n"
    assert log.with_suffix(".log.1").stat().st_size == LOG_BYTES_MAX


def test_a_short_log_is_left_alone_and_one_that_is_not_there_is_no_error(tmp_path: Path):
    log = tmp_path / "bird.log"
    os.close(open_to_append(str(log)))
    for path in ("", str(log), str(tmp_path / "none.log")):
        shorten(path)
    assert os.listdir(tmp_path) == ["bird.log"]
