import os

import pytest

from fabric.cluster import component_logs
from fabric.cluster.component_logs import LEVEL, shorten
from fabric.errors import BadInput


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


@pytest.mark.parametrize(("asked", "level"), [("", "INFO"), ("debug", "DEBUG"), ("Warning", "WARNING")])
def test_the_environment_says_how_much_is_logged(monkeypatch, asked, level):
    monkeypatch.setenv(LEVEL, asked)
    assert component_logs.level() == level


def test_a_level_that_there_is_not_is_refused(monkeypatch):
    monkeypatch.setenv(LEVEL, "loud")
    with pytest.raises(BadInput, match="'loud' is no level \\(allowed: debug, info, warning, error\\)"):
        component_logs.level()
