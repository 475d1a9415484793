"""`bin/set-up` in a checkout of a few files whose packages are installed already."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SET_UP = Path(__file__).parents[3] / "bin/set-up"


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "plugins").mkdir()
    (tmp_path / "fabric").mkdir()
    (tmp_path / "fabric/one.py").write_text("NUMBER = 1\n")
    (tmp_path / "setup.cfg").write_text("")
    shutil.copy(SET_UP, tmp_path / "bin/set-up")
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    done = hashlib.sha256(SET_UP.read_bytes()).hexdigest()
    (tmp_path / ".venv/.set-up-run").write_text(f"{done}  -")
    return tmp_path


def said_by_set_up(checkout):
    command = [str(checkout / "bin/set-up"), "run"]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True, timeout=300).stderr


def set_up(checkout):
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONPYCACHEPREFIX", None)
    subprocess.run([str(checkout / "bin/set-up"), "run"], env=environment, check=True, timeout=300)


def compiled(checkout):
    """Give the source's size that is noted in the compiled module: Python compares it."""
    path = importlib.util.cache_from_source(str(checkout / "fabric/one.py"))
    return int.from_bytes(Path(path).read_bytes()[12:16], "little")


def test_modules_are_compiled_also_where_python_is_told_to_write_none(checkout):
    set_up(checkout)
    assert compiled(checkout) == len("NUMBER = 1\n")


def test_a_module_that_changed_is_compiled_again(checkout):
    set_up(checkout)
    (checkout / "fabric/one.py").write_text("NUMBER = 1000\n")
    set_up(checkout)
    assert compiled(checkout) == len("NUMBER = 1000\n")


def test_a_first_run_says_that_it_takes_longer_and_a_later_one_nothing(checkout):
    python = checkout / ".venv/bin/python"
    python.unlink()
    python.write_text("#!/bin/sh\nexit 0\n")
    python.chmod(0o755)
    (checkout / ".venv/.set-up-run").unlink()
    assert "installing what is missing, which takes a minute or two" in said_by_set_up(checkout)
    assert said_by_set_up(checkout) == ""


def test_nothing_is_compiled_twice(checkout):
    set_up(checkout)
    before = (checkout / ".venv/.compiled").stat().st_mtime_ns
    set_up(checkout)
    assert (checkout / ".venv/.compiled").stat().st_mtime_ns == before
