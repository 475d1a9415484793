"""The runtime's records outlive any death of it, and a disk that is full leaves the one before."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from fabric.runtime.processes.failure import Failure
from fabric.runtime.processes.records import Records


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(str(tmp_path))


def test_a_record_is_read_as_it_was_written_and_replaced_whole(records: Records):
    records.write("nodes", "node-1", {"name": "node-1", "pid": 1, "start": "7"})
    records.write("nodes", "node-1", {"name": "node-1", "pid": 2, "start": "9"})
    assert records.read("nodes") == [{"name": "node-1", "pid": 2, "start": "9"}]
    assert records.named() == {(2, "9")}


def test_records_are_read_in_the_order_of_their_last_writing(records: Records, tmp_path: Path):
    for age, key in enumerate(("c", "a", "b")):
        records.write("sandboxes", key, {"id": key, "pid": 1, "start": ""})
        os.utime(tmp_path / "sandboxes" / f"{key}.json", (age, age))
    assert [record["id"] for record in records.read("sandboxes")] == ["c", "a", "b"]


@pytest.mark.parametrize("torn", [b"", b'{"id": "a', b"\xff\xfe", b"\0" * 40])
def test_a_record_that_is_not_whole_is_none_and_is_removed(records: Records, tmp_path: Path, torn):
    path = tmp_path / "containers" / "torn.json"
    path.write_bytes(torn)
    records.write("containers", "whole", {"id": "whole", "pid": 1, "start": ""})
    assert [record["id"] for record in records.read("containers")] == ["whole"]
    assert not path.exists()


@pytest.mark.parametrize("fault", ["refused", "short"])
def test_a_full_disk_leaves_the_record_before_and_nothing_half_written(
    records: Records, tmp_path: Path, monkeypatch, fault
):
    records.write("nodes", "node-1", {"pid": 1})
    write = os.write

    def full(fd: int, data: bytes) -> int:
        if fault == "short":
            return write(fd, data[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError) as refused:
            records.write("nodes", "node-1", {"pid": 2})
    assert refused.value.errno == errno.ENOSPC
    assert [path.name for path in (tmp_path / "nodes").iterdir()] == ["node-1.json"]
    assert json.loads((tmp_path / "nodes/node-1.json").read_text()) == {"pid": 1}


@pytest.mark.parametrize("key", ["", "..", ".hidden", "a/b", "../../etc/passwd"])
def test_what_could_lead_out_of_the_folder_is_no_name(records: Records, key):
    with pytest.raises(Failure, match="cannot be a name"):
        records.check(key)


def test_fifos_without_a_record_are_found(records: Records, tmp_path: Path):
    for key in ("kept", "lost"):
        records.make_fifos(key)
    records.write("containers", "kept", {"pid": 1, "start": ""})
    assert sorted(records.unnamed()) == [str(tmp_path / f"containers/lost.{end}") for end in ("err", "out")]
    records.remove_fifos("lost")
    records.remove_fifos("lost")
    assert records.unnamed() == []


def test_removing_twice_is_no_error(records: Records):
    records.write("nodes", "node-1", {"pid": 1})
    records.remove("nodes", "node-1")
    records.remove("nodes", "node-1")
    assert records.read("nodes") == []
