"""A network namespace for one measurement, held by a process that ends with this one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from fabric.errors import FabricError


@contextmanager
def held() -> Iterator[int]:
    """Give the pid of a process in a namespace of its own; with its input's end it ends."""
    argv, pipe = ["unshare", "--net", "--", "cat"], subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0) as holder:
        assert holder.stdin and holder.stdout and holder.stderr
        with suppress(BrokenPipeError):  # why it ended is in its errors
            holder.stdin.write(b"ready\n")
        if not holder.stdout.readline():
            raise FabricError(f"no network namespace: {holder.stderr.read().decode().strip()}")
        try:
            yield holder.pid
        finally:
            holder.stdin.close()
