"""Clusters that live for one measurement: a topology as a value, `fabric up`, `fabric down` at the end."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fabric.cluster import down as downs
from fabric.errors import FabricError

Say = Callable[[str], None]
"""Tells the user what goes on."""


def run_fabric(*arguments: str) -> str:
    """Run the command line in a process of its own; what it printed, or FabricError with what it said."""
    run = subprocess.run(
        [sys.executable, "-P", "-m", "fabric", *arguments], capture_output=True, text=True, check=False
    )
    if run.returncode != 0:
        raise FabricError(f"fabric {' '.join(arguments)}: {run.stderr.strip()[-2000:]}")
    return run.stdout


def fresh_name() -> str:
    return f"bench-{uuid.uuid4().hex[:8]}"


def topology(name: str, **spec: Any) -> dict[str, Any]:
    """A topology of this spec, as the file's value."""
    return {"apiVersion": "fabric.dev/v1", "kind": "Topology", "metadata": {"name": name}, "spec": spec}


@contextmanager
def running(value: dict[str, Any], *options: str, say: Say) -> Iterator[dict[str, Any]]:
    """Have the cluster up while the body runs; gives the report of `up`."""
    with file_of(value) as file, removed_on_failure(value["metadata"]["name"], say):
        yield json.loads(run_fabric("up", str(file), "-o", "json", *options))
        run_fabric("down", value["metadata"]["name"])


@contextmanager
def file_of(value: dict[str, Any]) -> Iterator[Path]:
    """Have the topology in a file while the body runs."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "topology.yaml"
        file.write_text(json.dumps(value))
        yield file


@contextmanager
def removed_on_failure(name: str, say: Say) -> Iterator[None]:
    """Take the cluster down if the body raises, a `down` that was interrupted included.

    The body's error is the one that is raised; a cluster that could not be taken down is told of.
    """
    try:
        yield
    except BaseException:
        try:
            downs.down(name)
        except (FabricError, KeyboardInterrupt, SystemExit) as stopped:
            say(f"cluster {name} is still there ({str(stopped) or 'interrupted'}): sudo fabric down {name}")
        raise
