import os

from fabric.cluster.component_logs import shorten


def test_a_log_that_is_too_long_is_cut_and_its_writer_goes_on(tmp_path):
    log = tmp_path / "api.log"
    writer = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(writer, b"old\n" * 10)
    shorten(tmp_path, bytes_max=20)
    os.write(writer, b"new\n")
    os.close(writer)
    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "api.log.1").read_bytes() == b"old\n" * 10


def test_a_short_log_is_left_as_it_is(tmp_path):
    (tmp_path / "api.log").write_bytes(b"short\n")
    shorten(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["api.log"]
