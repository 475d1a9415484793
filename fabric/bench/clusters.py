"""Clusters that live for one measurement: a topology as a value, `fabric up`, `fabric down` at the end."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fabric.errors import FabricError


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
def running(value: dict[str, Any], *options: str) -> Iterator[dict[str, Any]]:
    """Have the cluster up while the body runs; gives the report of `up`."""
    name = value["metadata"]["name"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "topology.yaml"
        file.write_text(json.dumps(value))
        with removed_on_failure(name):
            yield json.loads(run_fabric("up", str(file), "-o", "json", *options))
        run_fabric("down", name)


@contextmanager
def removed_on_failure(name: str) -> Iterator[None]:
    """The cluster is taken down if the body raises; the body's error is the one that is told."""
    try:
        yield
    except BaseException as failed:
        try:
            run_fabric("down", name)
        except FabricError as refused:
            failed.add_note(str(refused))
        raise
