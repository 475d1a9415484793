"""A Mininet `Topo` class as an underlay: its hosts are the nodes, its switches bridges, its links links.

Only the description is read (`Topo.hosts`, `switches`, `links` with bw, delay, jitter and loss):
Mininet builds nothing. The file that defines the class is Python, and runs as whoever runs fabric.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

from fabric.topology.document import Path
from fabric.topology.model import NodeEntry
from fabric.topology.shapes import Shape, shape
from fabric.topology.underlay import CONTROL_PLANE
from fabric.topology.wiring import Device, Link, Unwirable, Wiring, natural

_AT: Path = ("underlay", "topo")
_MODULE = "fabric_mininet_topo"


def from_mininet(
    options: Mapping[str, Any], nodes: Sequence[NodeEntry], folder: FilePath, default: Shape
) -> Wiring:
    """Return the graph of `topo: file.py:Class`; the file's path is relative to `folder`.

    A host that is called as a node is that node; the others become the remaining nodes, in natural order.
    """
    topo = _instance(_class(options["topo"], folder), options.get("arguments", {}))
    hosts = sorted(map(str, topo.hosts()), key=natural)
    switches = sorted(map(str, topo.switches()), key=natural)
    names = _node_names(hosts, [node.name for node in nodes]) | {it: it for it in switches}
    devices = [Device(CONTROL_PLANE, "host"), *(Device(node.name, "host") for node in nodes)]
    devices += [Device(it, "switch", tier=1) for it in switches]
    links: list[Link] = []
    seen: set[frozenset[str]] = set()
    for a, b, info in topo.links(sort=True, withInfo=True):
        if frozenset((a, b)) in seen:
            raise Unwirable(
                (_AT, f"two links between {a} and {b}; a bridge would send frames round for ever")
            )
        seen.add(frozenset((a, b)))
        if a in names and b in names:
            links.append(Link(names[a], names[b], _shape(a, b, info, default)))
    if not switches:
        raise Unwirable((_AT, "the Topo has no switch"))
    return Wiring(devices, [Link(CONTROL_PLANE, switches[0], default), *links])


def _class(topo: str, folder: FilePath) -> type:
    """Return the class that `file.py:Class` names."""
    file, _, name = topo.rpartition(":")
    path = folder / file
    try:
        from mininet.topo import Topo
    except ImportError:
        what = "needs Mininet's Topo class: pip install 'pod-fabric[mininet]'"
        raise Unwirable((("underlay", "kind"), f"mininet {what}")) from None
    if not path.is_file():
        raise Unwirable((_AT, f"no file {str(path)!r}; write topo as file.py:Class"))
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    assert spec is not None and spec.loader is not None, path
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise Unwirable((_AT, f"{path} cannot be run: {type(error).__name__}: {error}")) from error
    found = getattr(module, name, None)
    if not (inspect.isclass(found) and issubclass(found, Topo)):
        raise Unwirable((_AT, f"{path} has no Topo class {name!r}"))
    return found


def _instance(topo: type, arguments: Mapping[str, Any]) -> Any:
    try:
        return topo(**arguments)
    except Exception as error:
        what = f"{topo.__name__}(**arguments): {type(error).__name__}: {error}"
        raise Unwirable((("underlay", "arguments"), what)) from error


def _node_names(hosts: Sequence[str], nodes: Sequence[str]) -> dict[str, str]:
    """Return the node that each host is; hosts that are too many are left out."""
    if len(hosts) < len(nodes):
        raise Unwirable((("nodes",), f"{len(nodes)} nodes, and the Topo has only {len(hosts)} hosts"))
    same = {name: name for name in hosts if name in nodes}
    rest = [name for name in nodes if name not in same]
    return same | dict(zip((it for it in hosts if it not in same), rest, strict=False))


def _shape(a: str, b: str, info: Mapping[str, Any], default: Shape) -> Shape:
    """Return the shape of TCLink's options: bw in Mbit/s, delay and jitter with units, loss in percent."""
    value: dict[str, Any] = {}
    if info.get("bw") is not None:
        value["rate"] = f"{info['bw']}Mbit"
    for key in ("delay", "jitter"):
        if info.get(key) is not None:
            value[key] = str(info[key])
    if info.get("loss"):
        value["loss"] = f"{info['loss']}%"
    if info.get("use_htb"):
        value["queue"] = "htb"
    try:
        return shape(value, default)
    except ValueError as error:
        raise Unwirable((_AT, f"link {a} {b}: {' '.join(map(str, error.args))}")) from None
