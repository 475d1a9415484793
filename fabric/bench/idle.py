"""The idle cost of a cluster: the share of a processor that it takes while nothing happens to it."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fabric.api.kinds import EVENT
from fabric.apiserver.storage_keys import prefix_of
from fabric.bench import clusters, cpu
from fabric.bench.clusters import Say
from fabric.bench.up import topology
from fabric.cluster.cgroup import ClusterCgroup
from fabric.cluster.paths import ClusterPaths
from fabric.errors import FabricError, plural
from fabric.store.remote import RemoteStore

UP_SECONDS_MAX = 600
REST_SECONDS = 10.0
"""A cluster is at rest when no Event was written for so long: after `up` components are behind with them."""
REST_SECONDS_MAX = 600.0


@dataclass(frozen=True, slots=True)
class IdleTimes:
    """Processor time of all processes of a cluster at rest, in per cent of one processor."""

    plugin: str
    nodes: int
    pods: int
    seconds: float
    cpu_percent: float
    by_process: Mapping[str, float]
    """Per cent by process name, the heaviest first; of those that lived all the time."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(plugin: str, nodes: int, pods: int, seconds: float, say: Say) -> IdleTimes:
    """Bring a cluster up, let it rest, measure it, take it down."""
    name = clusters.fresh_name()
    what = f"{plugin}, {plural(nodes, 'node')}, {plural(pods, 'pod')}"
    say(f"{what}: up")
    value = topology(name, nodes, pods, {"plugin": plugin})
    with clusters.running(value, "--no-check", "--tune", "--timeout", str(UP_SECONDS_MAX), say=say):
        asyncio.run(_at_rest(ClusterPaths(name)))
        say(f"{what}: at rest for {seconds:g} s")
        group = ClusterCgroup(name)
        before, began, spent = _by_process(group), time.monotonic(), group.cpu_seconds()
        time.sleep(seconds)
        spent, took, after = group.cpu_seconds() - spent, time.monotonic() - began, _by_process(group)
    return IdleTimes(plugin, nodes, pods, round(took, 1), _percent(spent, took), _differ(before, after, took))


async def _at_rest(paths: ClusterPaths) -> None:
    """Return once the cluster is at rest; FabricError when that does not come."""
    store = RemoteStore(paths.store_socket)
    try:
        async with asyncio.timeout(REST_SECONDS_MAX):
            written, before = await _events(store), -1
            while written != before:
                await asyncio.sleep(REST_SECONDS)
                written, before = await _events(store), written
    except TimeoutError:
        raise FabricError(
            f"events are still written {REST_SECONDS_MAX:.0f} s after up; see fabric status"
        ) from None
    finally:
        await store.close()


async def _events(store: RemoteStore) -> int:
    return (await store.range(prefix_of(EVENT), limit=1)).count


def _by_process(group: ClusterCgroup) -> dict[tuple[str, int], float]:
    """Seconds of processor time by process' name and pid."""
    found: dict[tuple[str, int], float] = {}
    for pid in group.processes():
        with suppress(OSError):
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            found[name, pid] = cpu.seconds(pid)
    return found


def _differ(
    before: Mapping[tuple[str, int], float], after: Mapping[tuple[str, int], float], seconds: float
) -> dict[str, float]:
    spent: dict[str, float] = defaultdict(float)
    for (name, pid), now in after.items():
        spent[name] += max(0.0, now - before.get((name, pid), now))
    heaviest = sorted(spent.items(), key=lambda entry: -entry[1])
    return {name: _percent(value, seconds) for name, value in heaviest if _percent(value, seconds)}


def _percent(spent: float, seconds: float) -> float:
    return round(100 * spent / seconds, 2)
