"""A program is looked up as runc does it, and its environment is what execve can take."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabric.runtime.processes import program
from fabric.runtime.processes.capabilities import DEFAULT, NUMBERS, mask
from fabric.runtime.processes.failure import Failure


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    return tmp_path / "first", tmp_path / "second"


def executable(path: Path, mode: int = 0o755) -> Path:
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def test_a_name_with_a_slash_is_taken_as_it_is(tmp_path: Path):
    assert program.find("./run", {"PATH": str(tmp_path)}) == "./run"


def test_the_first_folder_of_the_path_that_has_it_wins(folders):
    first, second = folders
    executable(second / "run")
    path = {"PATH": f"{first}:{second}"}
    assert program.find("run", path) == str(second / "run")
    executable(first / "run")
    assert program.find("run", path) == str(first / "run")


def test_what_is_there_but_cannot_be_run_is_passed_over_and_else_named(folders, monkeypatch):
    first, second = folders
    executable(first / "run", 0o644)
    path = {"PATH": f"{first}:{second}"}
    assert program.find("run", path) == str(first / "run")
    executable(second / "run")
    assert program.find("run", path) == str(second / "run")


def test_a_folder_of_that_name_is_no_program(folders):
    first, second = folders
    (first / "run").mkdir()
    executable(second / "run")
    assert program.find("run", {"PATH": f"{first}:{second}"}) == str(second / "run")


def test_path_and_home_are_there_unless_the_pod_says_otherwise():
    assert program.environment({}, 0) == {"PATH": program.PATH, "HOME": "/root"}
    assert program.environment({}, 1000)["HOME"] == "/"
    assert program.environment({"HOME": "/srv", "PATH": "/bin"}, 0) == {"PATH": "/bin", "HOME": "/srv"}


@pytest.mark.parametrize(
    ("argv", "env", "code"),
    [([], {}, 127), ([""], {}, 127), (["true"], {"": "x"}, 126), (["true"], {"A=B": "x"}, 126)],
)
def test_what_exec_cannot_take_is_refused_before(argv, env, code):
    with pytest.raises(Failure) as refused:
        program.start(argv, env, (), program.User())
    assert refused.value.code == code


def test_the_default_capabilities_are_containerds_but_for_mknod():
    assert mask(None) == DEFAULT
    assert not DEFAULT & 1 << NUMBERS["MKNOD"]
    assert not DEFAULT & 1 << NUMBERS["NET_ADMIN"]
    assert mask([]) == 0
    assert mask(["KILL", "KILL"]) == 1 << 5
    with pytest.raises(KeyError, match="NET_ADMIRAL"):
        mask(["NET_ADMIRAL"])
