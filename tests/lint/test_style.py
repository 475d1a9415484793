"""What style.md says of size and layout, held by machine."""

import ast
import configparser
import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
LINES_MAX, FUNCTION_LINES_MAX = 300, 40
BANNED_NAMES = {"utils", "helpers", "common", "manager", "base", "misc"}
STUB = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b|#.*\bfor now\b")


def tracked(pattern: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--", pattern], cwd=TOP, capture_output=True, text=True, check=True
    ).stdout.split()
    return [TOP / name for name in listed if (TOP / name).is_file()]


SOURCES = tracked("*.py")


def functions(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_file_is_longer_than_300_lines():
    long = {str(p.relative_to(TOP)): n for p in SOURCES if (n := len(p.read_text().splitlines())) > LINES_MAX}
    assert not long


def test_no_function_is_longer_than_40_lines():
    long = [
        f"{path.relative_to(TOP)}:{node.lineno} {node.name} ({node.end_lineno - node.lineno + 1})"
        for path in SOURCES
        for node in functions(path)
        if node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert not long


def test_modules_are_nouns_of_the_domain():
    assert not [str(path.relative_to(TOP)) for path in SOURCES if path.stem in BANNED_NAMES]


def test_every_module_opens_with_what_is_true_in_it():
    product = [p for p in SOURCES if p.is_relative_to(TOP / "fabric") or p.is_relative_to(TOP / "plugins")]
    bare = [
        str(p.relative_to(TOP))
        for p in product
        if p.read_text() and not ast.get_docstring(ast.parse(p.read_text()))
    ]
    assert not bare


def test_nothing_is_left_to_do():
    product = [p for p in SOURCES if p.is_relative_to(TOP / "fabric") or p.is_relative_to(TOP / "plugins")]
    found = [
        f"{path.relative_to(TOP)}:{number}: {line.strip()}"
        for path in product
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if STUB.search(line)
    ]
    assert not found


def packages_on_disk() -> set[str]:
    found = set()
    for root, folder in (("fabric", TOP / "fabric"), ("", TOP / "plugins")):
        for init in folder.rglob("__init__.py"):
            parts = init.parent.relative_to(folder).parts
            found.add(".".join(filter(None, (root, *parts))))
    return found


def test_setup_cfg_lists_the_packages_that_are_on_disk():
    config = configparser.ConfigParser()
    config.read(TOP / "setup.cfg")
    assert set(config["options"]["packages"].split()) == packages_on_disk()


@pytest.mark.parametrize("script", ["check", "bin/fabric", "bin/set-up", ".ci/run"])
def test_scripts_are_executable_and_parse(script):
    path = TOP / script
    assert path.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", str(path)], check=True)


def test_no_test_is_skipped_without_a_reason():
    bare = re.compile(r"@pytest\.mark\.(skip|xfail)\s*$|pytest\.skip\(\)")
    assert not [
        f"{p.relative_to(TOP)}"
        for p in tracked("tests/*.py")
        if any(bare.search(x) for x in p.read_text().splitlines())
    ]
