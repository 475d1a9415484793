"""Manifests are checked before anything is built: by the API server's own code, on a store in memory.

What the server would refuse is refused here, and so is a field that a kind does not have (as kubectl does
with --validate=strict). Every fault is told at once, each at its file and line.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from fabric.api.kinds import KindTable
from fabric.apiserver.local import LocalClient
from fabric.apiserver.registry import Registry
from fabric.cluster import kinds
from fabric.cluster import spec as specs
from fabric.cluster.manifests import apply_one, in_order, key_in
from fabric.control.clock import LoopClock
from fabric.errors import ApiError, BadInput, FabricError, Invalid, Problem
from fabric.plugin import registry as plugins
from fabric.store.memory import MemoryStore
from fabric.topology.model import Manifest, Topology

_UNKNOWN = re.compile(r'unknown field "([^"]*)"')


def check(topology: Topology) -> None:
    """Refuse manifests that the cluster's API server would refuse; BadInput names every fault."""
    if not topology.manifests:
        return
    table = kinds.of_topology(topology)
    problems = [*_unserved(topology.manifests, table), *_repeated(topology.manifests, table)]
    if not problems:
        problems = asyncio.run(_refused(topology, table))
    if problems:
        raise BadInput(*problems)


def _unserved(manifests: Sequence[Manifest], table: KindTable) -> Iterator[Problem]:
    taken = [kind for kind in table if "create" in kind.verbs]
    served = ", ".join(sorted(kind.kind for kind in taken))
    for m in manifests:
        if table.by_kind(m.object["apiVersion"], m.object["kind"]) not in taken:
            what = f"no kind {m.object['kind']!r} in {m.object['apiVersion']!r}; served: {served}"
            yield Problem(m.where, what)


def _repeated(manifests: Sequence[Manifest], table: KindTable) -> Iterator[Problem]:
    first: dict[Any, str] = {}
    for m in manifests:
        kind = table.by_kind(m.object["apiVersion"], m.object["kind"])
        if kind is None:
            continue
        key = key_in(kind, m.object)
        before = first.setdefault((kind, key), m.where)
        if before is not m.where:
            yield Problem(m.where, f"a second {kind.kind} {key}; the first is at {before}")


async def _refused(topology: Topology, table: KindTable) -> list[Problem]:
    """Apply all manifests to a registry of their own, and return what it refuses."""
    store = MemoryStore()
    registry = Registry(store, table, LoopClock())
    await registry.start()
    running = asyncio.ensure_future(registry.run())
    client = LocalClient(registry, field_validation="Strict")
    problems: dict[int, list[Problem]] = {id(manifest): [] for manifest in topology.manifests}
    try:
        with contextlib.suppress(FabricError):
            spec = specs.choose(topology, None, api_port=0, workers=1)
            plugin = plugins.load(topology.network.plugin)
            await plugin.prepare(spec.network.config(), store, client)
        for kind, manifest in in_order(topology.manifests, table):
            try:
                await apply_one(client, kind, manifest)
            except ApiError as error:
                name = f"{kind.kind} {key_in(kind, manifest.object)}"
                problems[id(manifest)] += _problems(manifest, name, error)
    finally:
        running.cancel()
        await asyncio.wait([running])
        await store.close()
    return [problem for found in problems.values() for problem in found]


def _problems(manifest: Manifest, name: str, error: ApiError) -> Iterator[Problem]:
    """One problem for each field that the error is about, at the line of that field."""
    causes = error.details.get("causes") if isinstance(error, Invalid) else None
    if isinstance(causes, list) and causes:
        for cause in causes:
            yield Problem(manifest.line_of(cause["field"]), f"{name}: {cause['field']}: {cause['message']}")
        return
    unknown = _UNKNOWN.findall(error.message)
    for field in unknown:
        yield Problem(manifest.line_of(field), f'{name}: unknown field "{field}"')
    if not unknown:
        yield Problem(manifest.where, f"{name}: {error.message}")
