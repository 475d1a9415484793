"""A topology is validated before anything is built: by its network plugin, and by the API server's own code.

Manifests are applied to an API server on a store in memory. What it would refuse is refused here, and so is a
field that a kind does not have (as kubectl does with --validate=strict). Every fault is told at once, each at
its file and line.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from fabric.api import kinds, names
from fabric.api.kinds import BUILT_IN, Kind, KindTable
from fabric.apiserver.admission import runtime_class
from fabric.apiserver.local import LocalClient
from fabric.apiserver.registry import Registry
from fabric.apiserver.unmarshalling import Undecodable
from fabric.cluster import spec as specs
from fabric.cluster.arp_limit import bgp_entries
from fabric.cluster.manifests import apply_one, in_order, key_in
from fabric.cluster.spec import ClusterSpec
from fabric.control.clock import LoopClock
from fabric.errors import ApiError, BadInput, FabricError, Invalid, Problem
from fabric.plugin import registry as plugins
from fabric.plugin.served import ServedKind
from fabric.store.memory import MemoryStore
from fabric.topology import wires
from fabric.topology.complaints import dotted, not_allowed, show
from fabric.topology.model import Manifest, Topology

NODES_NAMED_MAX = 10
_INDEX = re.compile(r"\[\d+\]")
_UNKNOWN = re.compile(r'unknown field "([^"]*)"')


def check_manifests(topology: Topology) -> list[Problem]:
    """Refuse manifests that the cluster's API server would refuse; BadInput names every fault.

    Returned are the server's warnings, such as those of fields that have no effect, and one for each image
    that no container can be made of. Objects that the network section spells out are warned of too.
    """
    table = served_kinds_of(topology)
    warnings = [*_network_warnings(topology, table)]
    if not topology.manifests:
        return warnings
    problems = [*_unserved(topology.manifests, table), *_repeated(topology.manifests, table)]
    problems += _bound_elsewhere(topology)
    if not problems:
        problems, told = asyncio.run(_answers(topology, table))
        warnings += told
        warnings += [] if problems else _images(topology)
    if problems:
        raise BadInput(*problems)
    return warnings


def _network_warnings(topology: Topology, table: KindTable) -> Iterator[Problem]:
    """Yield the server's warnings of the objects that the network section spells out, each at its line."""
    config = specs.choose(topology, None, api_port=0, workers=1).network.config()
    for path, obj in plugins.load(topology.network.plugin).resources(config).items():
        kind = table.by_kind(obj["apiVersion"], obj["kind"])
        for text in kind.warnings(obj) if isinstance(kind, ServedKind) else ():
            where = topology.where("spec", "network", *_steps(path), *_steps(_field(text)))
            yield Problem(where, f"{obj['kind']} {obj['metadata']['name']}: {text}")


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


def _bound_elsewhere(topology: Topology) -> Iterator[Problem]:
    """Yield the pods that name a node which the file does not have: no kubelet would ever start them."""
    nodes = [node.name for node in topology.nodes]
    for manifest in topology.manifests:
        spec = manifest.object.get("spec")
        if manifest.object["kind"] != "Pod" or not isinstance(spec, dict):
            continue
        bound = spec.get("nodeName")
        if isinstance(bound, str) and bound and bound not in nodes:
            there = ", ".join(nodes[:NODES_NAMED_MAX]) + ", …" * (len(nodes) > NODES_NAMED_MAX)
            what = f"spec.nodeName: the file has no node {show(bound)}; there: {there}"
            name = manifest.object["metadata"]["name"]
            yield Problem(manifest.line_of("spec.nodeName"), f"Pod {name}: {what}")


async def _answers(topology: Topology, table: KindTable) -> tuple[list[Problem], list[Problem]]:
    """Apply all manifests to a registry of their own; return its refusals, and its warnings once per kind."""
    store = MemoryStore()
    registry = Registry(
        store, table, LoopClock(), (runtime_class,), plugins.idle_kinds(topology.network.plugin)
    )
    await registry.start()
    running = asyncio.ensure_future(registry.run())
    told: list[str] = []
    warnings: dict[tuple[str, str], list[Problem]] = {}
    client = LocalClient(registry, field_validation="Strict", warn=told.append)
    problems: dict[int, list[Problem]] = {id(manifest): [] for manifest in topology.manifests}
    try:
        with contextlib.suppress(FabricError):
            spec = specs.choose(topology, None, api_port=0, workers=1)
            plugin = plugins.load(topology.network.plugin)
            await plugin.prepare(spec.network.config(), store, client)
        for kind, alike in _alike(in_order(topology.manifests, table)):
            longest = max(alike, key=lambda manifest: len(manifest.object["metadata"]["name"]))
            first = await _answer(client, kind, longest, told)
            for manifest in alike:
                answer = first
                if first.error is not None and manifest is not longest:
                    answer = await _answer(client, kind, manifest, told)
                name = f"{kind.kind} {key_in(kind, manifest.object)}"
                if answer.error is not None:
                    problems[id(manifest)] += _problems(manifest, name, answer.error)
                for text in answer.warnings:
                    same = warnings.setdefault((kind.kind, _INDEX.sub("[]", text)), [])
                    same.append(Problem(manifest.line_of(_field(text)), f"{name}: {text}"))
    finally:
        running.cancel()
        await asyncio.wait([running])
        await store.close()
    return [problem for found in problems.values() for problem in found], list(map(_once, warnings.values()))


class _Answer(NamedTuple):
    """The server's answer to a manifest."""

    error: ApiError | None
    warnings: Sequence[str]


async def _answer(client: LocalClient, kind: Kind, manifest: Manifest, told: list[str]) -> _Answer:
    """Apply it; `told` is where the client puts warnings."""
    told.clear()
    try:
        await apply_one(client, kind, manifest)
    except ApiError as error:
        return _Answer(error, tuple(told))
    return _Answer(None, tuple(told))


def _alike(manifests: Iterable[tuple[Kind, Manifest]]) -> Iterable[tuple[Kind, Sequence[Manifest]]]:
    """Yield manifests together that the server answers alike: pods that differ in their names only.

    Only names that any pod may have are looked past. What a thousand pods of one kind are asked for is asked
    once, which takes a third of a second less.
    """
    found: dict[Any, tuple[Kind, list[Manifest]]] = {}
    for kind, manifest in manifests:
        metadata = manifest.object["metadata"]
        likeness: object = id(manifest)
        if kind == kinds.POD and not names.dns_label_faults(metadata["name"]):
            likeness = orjson.dumps(manifest.object | {"metadata": {**metadata, "name": ""}})
        found.setdefault(likeness, (kind, []))[1].append(manifest)
    return found.values()


def _once(alike: Sequence[Problem]) -> Problem:
    """The first of warnings of one kind that say the same, and how many more there are."""
    first, others = alike[0], len(alike) - 1
    return replace(first, what=f"{first.what} (and in {others} more places)") if others else first


def _images(topology: Topology) -> Iterator[Problem]:
    """Yield what is wrong with each image that a pod of the file names: its container would not start."""
    catalogue = specs.catalogue_of(topology)
    for manifest in topology.manifests:
        if manifest.object["kind"] != "Pod":
            continue
        for group in ("initContainers", "containers"):
            for index, container in enumerate(manifest.object["spec"].get(group) or ()):
                try:
                    catalogue.resolve(container["image"])
                except FabricError as error:
                    where = manifest.line_of(f"spec.{group}[{index}].image")
                    yield Problem(where, f"Pod {manifest.object['metadata']['name']}: {error}")


def _field(warning: str) -> str:
    """Return the path that a warning begins with, `spec.bpfEnabled: …`."""
    return warning.split(": ")[0] if ": " in warning else ""


def _problems(manifest: Manifest, name: str, error: ApiError) -> Iterator[Problem]:
    """Make a problem of each field that the error is about, at the line of that field."""
    causes = error.details.get("causes") if isinstance(error, Invalid) else None
    if isinstance(causes, list) and causes:
        for cause in causes:
            yield Problem(manifest.line_of(cause["field"]), f"{name}: {cause['field']}: {cause['message']}")
        return
    if isinstance(error, Undecodable):
        for misfit in error.misfits:
            fault = not_allowed(misfit.value, misfit.allowed, is_text=misfit.allowed == "text")
            yield Problem(manifest.line_at(*misfit.path), f"{name}: {dotted(tuple(misfit.path))} {fault}")
        return
    unknown = _UNKNOWN.findall(error.message)
    for field in unknown:
        yield Problem(manifest.line_of(field), f'{name}: unknown field "{field}"')
    if not unknown:
        yield Problem(manifest.where, f"{name}: {error.message}")


def served_kinds(spec: ClusterSpec) -> KindTable:
    """The table of a cluster's API server, and of everybody who goes through all kinds."""
    plugin = plugins.load(spec.network.plugin)
    return KindTable((*BUILT_IN, *plugin.custom_resources(spec.network.config())))


def served_kinds_of(topology: Topology) -> KindTable:
    """The table that a cluster of this topology will have; its network section has been checked."""
    return served_kinds(specs.choose(topology, None, api_port=0, workers=1))


def check_network(topology: Topology) -> None:
    """Ask the network plugin what it thinks of the topology; BadInput names each line."""
    if topology.network.plugin not in plugins.installed():
        known = ", ".join(plugins.installed()) or "none"
        what = f"no network plugin {topology.network.plugin!r} is installed; installed: {known}"
        raise BadInput(Problem(topology.where("spec", "network", "plugin"), what))
    chosen = specs.choose(topology, None, api_port=0, workers=1)
    plugin = plugins.load(topology.network.plugin)
    found = plugin.problems(chosen.network.config(), chosen.all_facts())
    if found:
        raise BadInput(*(_network_problem(topology, path, what) for path, what in found))


def _network_problem(topology: Topology, path: str, what: str) -> Problem:
    """`path` is below `network`, or with a `/` below `spec`."""
    whole = path[1:] if path.startswith("/") else f"network.{path}"
    return Problem(topology.where("spec", *_steps(whole)), f"spec.{whole}: {what}")


def network_objects(topology: Topology) -> list[Manifest]:
    """Objects that the network section spells out, and the plugin writes, each with its line."""
    config = specs.choose(topology, None, api_port=0, workers=1).network.config()
    return [
        Manifest(obj, topology.where("spec", "network", *_steps(path)))
        for path, obj in plugins.load(topology.network.plugin).resources(config).items()
    ]


def _steps(path: str) -> Iterator[str | int]:
    """A path as a document has it: `ipPools[0].cidr`, or `ipPools.0.cidr`, leads through a list."""
    yield from (int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", path))


def requirements(topology: Topology) -> frozenset[str]:
    """Features and tools that the topology needs, by doctor's names; `ipip|tun` is either of the two."""
    chosen = specs.choose(topology, None, api_port=0, workers=1)
    plugin = plugins.load(topology.network.plugin)
    links = wires.requirements(chosen.underlay.wiring())
    daemons = {"bird"} if chosen.underlay.is_routed else set()
    return plugin.requirements(chosen.network.config()) | links | daemons | {"cgroup2"}


def arp_entries(topology: Topology) -> int:
    """ARP entries that the network itself has all the time."""
    chosen = specs.choose(topology, None, api_port=0, workers=1)
    plugin, facts = plugins.load(topology.network.plugin), chosen.all_facts()
    return bgp_entries(plugin.bgp_speakers(chosen.network.config(), facts), facts)
