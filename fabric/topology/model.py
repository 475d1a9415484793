"""The model of a topology file: what the user asked for, checked and frozen.

Everything here is already right: `fabric.topology.load` refuses a file before it becomes one of these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fabric.api.objects import Object
from fabric.netstate.objects import IPNetwork


@dataclass(frozen=True, slots=True)
class Taint:
    """A node's taint, as in the Kubernetes API."""

    key: str
    effect: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """A node that the file asks for."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    capacity: Mapping[str, str] = field(default_factory=dict)
    """Resource name to quantity: cpu, memory, pods."""


@dataclass(frozen=True, slots=True)
class Underlay:
    """The section `underlay` of a file: `fabric.topology.wires` makes the graph of it."""

    kind: str
    options: Mapping[str, Any]
    """`spec.underlay` as the file has it, with its kind."""


@dataclass(frozen=True, slots=True)
class Network:
    """The pod network: which plugin, and what the user tells it."""

    plugin: str
    backend: str = ""
    mtu: int = 0
    """0 lets the plugin derive it."""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """An image that the file adds to the built-in ones: a program of the machine, or of an unpacked root."""

    name: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    root: Path | None = None
    ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """A Kubernetes object to apply once the nodes are Ready."""

    object: Object
    where: str
    """`file:line` of its first line."""
    lines: Mapping[tuple[str | int, ...], int] = field(default_factory=dict, repr=False, compare=False)
    """Line of every value of the document that it stands in, by the value's path there."""
    at: tuple[str | int, ...] = ()
    """Its own path in that document."""

    def line_of(self, name: str) -> str:
        """`file:line` of a field such as `spec.containers[0].image`, or of the nearest one above it."""
        steps = re.findall(r"\[([^\]]*)\]|([^.\[\]]+)", name)
        return self.line_at(*(int(index) if index.isdigit() else index or key for index, key in steps))

    def line_at(self, *steps: str | int) -> str:
        """`file:line` of the field at a path, or of the nearest one above it."""
        path = (*self.at, *steps)
        file = self.where.rpartition(":")[0]
        for end in range(len(path), len(self.at), -1):
            if path[:end] in self.lines:
                return f"{file}:{self.lines[path[:end]]}"
        return self.where


@dataclass(frozen=True, slots=True)
class Topology:
    """A whole cluster."""

    name: str
    nodes: tuple[NodeEntry, ...]
    underlay: Underlay
    pod_cidrs: tuple[IPNetwork, ...]
    service_cidrs: tuple[IPNetwork, ...]
    network: Network
    store: str
    manifests: tuple[Manifest, ...]
    source: Path
    images: tuple[ImageEntry, ...] = ()
    lines: Mapping[tuple[str | int, ...], int] = field(default_factory=dict, repr=False, compare=False)
    """Line of every value of the file by its path, so that later floors can name it in a message."""

    def where(self, *path: str | int) -> str:
        """`file:line` of the value at `path`, or of the nearest value above it that the file has."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return f"{self.source}:{self.lines[path[:end]]}"
        return str(self.source)
