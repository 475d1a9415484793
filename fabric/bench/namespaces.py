"""A network namespace for one measurement, held by a process that ends with this one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from fabric.errors import FabricError


@contextmanager
def held() -> Iterator[int]:
    """Give the pid of a process in a namespace of its own; with its input's end it ends."""
    pipe = subprocess.PIPE
    with subprocess.Popen(["unshare", "--net", "--", "cat"], stdin=pipe, stdout=pipe, stderr=pipe) as holder:
        assert holder.stdin and holder.stdout and holder.stderr
        holder.stdin.write(b"ready\n")
        holder.stdin.flush()
        if not holder.stdout.readline():
            raise FabricError(f"no network namespace: {holder.stderr.read().decode().strip()}")
        try:
            yield holder.pid
        finally:
            holder.stdin.close()
