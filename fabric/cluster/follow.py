"""Following the spec: what `up` wrote last, now and at every change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fabric.cluster import spec as specs
from fabric.cluster.places import Places
from fabric.cluster.spec import ClusterSpec

POLL_SECONDS = 0.3


def current(places: Places) -> ClusterSpec:
    """The spec now; a component is never started before there is one."""
    spec = specs.read(places.spec)
    if spec is None:
        raise RuntimeError(f"{places.spec} is missing: the supervisor must not run without a spec")
    return spec


async def changes(places: Places) -> AsyncIterator[ClusterSpec]:
    """Yield the spec, and again whenever the file was replaced by another one."""
    seen: tuple[int, int] | None = None
    while True:
        try:
            stat = places.spec.stat()
        except FileNotFoundError:
            stat = None
        if stat is not None and (stat.st_mtime_ns, stat.st_ino) != seen:
            seen = (stat.st_mtime_ns, stat.st_ino)
            yield current(places)
        await asyncio.sleep(POLL_SECONDS)
