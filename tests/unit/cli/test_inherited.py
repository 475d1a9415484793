"""A command does not depend on what it inherits: ignored signals, closed standard files."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.clusters import TOP

RING = """\
apiVersion: fabric.dev/v1
kind: Topology
metadata: {name: ring}
spec:
  nodes: 2
  underlay: {kind: graph, generator: ring, arguments: {n: 3}}
  network: {plugin: flannel}
"""
IGNORING = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, "-P", "-m", "fabric", *sys.argv[1:]])
"""


def test_a_generator_that_runs_in_a_child_is_read(tmp_path):
    file = tmp_path / "ring.yaml"
    file.write_text(RING)
    argv = [sys.executable, "-c", IGNORING, "graph", str(file)]
    done = subprocess.run(argv, cwd=TOP, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    assert "r3 router" in done.stdout


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_files_are_not_what_the_command_opens_next(tmp_path, closed):
    (tmp_path / "ring.yaml").write_text(RING)
    command = f'exec {closed}; exec "$0" -P -m fabric graph "$1" --output "$2"'
    argv = ["sh", "-c", command, sys.executable, f"{tmp_path}/ring.yaml", f"{tmp_path}/ring.txt"]
    done = subprocess.run(argv, cwd=TOP, capture_output=True, text=True, timeout=180, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "r3 router" in (tmp_path / "ring.txt").read_text()


def test_an_error_is_not_printed_where_results_go(tmp_path):
    argv = [
        "sh",
        "-c",
        'exec 2>&-; exec "$0" -P -m fabric graph "$1"',
        sys.executable,
        f"{tmp_path}/none.yaml",
    ]
    done = subprocess.run(argv, cwd=TOP, capture_output=True, text=True, timeout=180, check=False)
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("library", ["typer", "msgspec"])
@pytest.mark.parametrize(
    "start",
    [["-P", "-m", "fabric"], [str(Path(sys.executable).with_name("fabric"))]],
    ids=["module", "program"],
)
def test_an_interrupt_while_libraries_are_imported_ends_it_in_silence(tmp_path, library, start):
    (tmp_path / f"{library}.py").write_text("import time; print('importing', flush=True); time.sleep(60)")
    argv = [sys.executable, *start, "status"]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        argv,
        cwd=TOP,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as started:
        assert started.stdout.readline() == "importing\n"
        started.send_signal(signal.SIGINT)
        assert (started.wait(60), started.stderr.read()) == (-signal.SIGINT, "")
