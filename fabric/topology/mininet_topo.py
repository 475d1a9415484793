"""A Mininet `Topo` class as an underlay: its hosts are the nodes, its switches bridges, its links links.

Only the description is read (`Topo.hosts`, `switches`, `links` with bw, delay, jitter and loss):
Mininet builds nothing. The file that defines the class is Python; it runs as whoever runs fabric, in a child
process of bounded time and memory (`child`), and what comes back is data.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

import orjson

from fabric.errors import brief, plural
from fabric.topology.child import NoAnswer, answer_of
from fabric.topology.document import PATH_CHARACTERS_MAX, Path, cut
from fabric.topology.model import NodeEntry
from fabric.topology.shapes import Shape, shape
from fabric.topology.underlay import CONTROL_PLANE
from fabric.topology.wiring import Device, Link, Unwirable, Wiring, natural

_AT: Path = ("underlay", "topo")
_ARGUMENTS: Path = ("underlay", "arguments")
_MODULE = "fabric_mininet_topo"
_READ = ("bw", "delay", "jitter", "loss", "use_htb")
"""The options of TCLink that are carried over."""
_answers: dict[tuple[str, int, str], dict[str, Any]] = {}
"""What a file said, by class, time of change and arguments: one `fabric up` asks more than once."""


def from_mininet(
    options: Mapping[str, Any], nodes: Sequence[NodeEntry], folder: FilePath, default: Shape
) -> Wiring:
    """Return the graph of `topo: file.py:Class`; the file's path is relative to `folder`.

    A host that is called as a node is that node; the others become the remaining nodes, in natural order.
    """
    topo = _description(options["topo"], folder, options.get("arguments", {}))
    hosts = sorted(topo["hosts"], key=natural)
    switches = sorted(topo["switches"], key=natural)
    if not switches:
        raise Unwirable((_AT, "the Topo has no switch"))
    names = _node_names(hosts, [node.name for node in nodes]) | {it: it for it in switches}
    devices = [Device(CONTROL_PLANE, "host"), *(Device(node.name, "host") for node in nodes)]
    devices += [Device(it, "switch", tier=1) for it in switches]
    links: list[Link] = []
    seen: set[frozenset[str]] = set()
    for a, b, info in topo["links"]:
        if frozenset((a, b)) in seen:
            raise Unwirable(
                (_AT, f"two links between {a} and {b}; a bridge would send frames round for ever")
            )
        seen.add(frozenset((a, b)))
        if a in names and b in names:
            links.append(Link(names[a], names[b], _shape(a, b, info, default)))
    return Wiring(devices, [Link(CONTROL_PLANE, switches[0], default), *links])


def _description(topo: str, folder: FilePath, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return hosts, switches and links of the class that `file.py:Class` names."""
    file, _, name = topo.rpartition(":")
    path = folder / file
    if not os.path.isfile(path):  # noqa: PTH113, Path's raises at a name that Linux does not take
        raise Unwirable(
            (_AT, f"no file {cut(repr(str(path)), PATH_CHARACTERS_MAX)}; write topo as file.py:Class")
        )
    key = (f"{path.resolve()}:{name}", path.stat().st_mtime_ns, orjson.dumps(arguments).decode())
    if key not in _answers:
        try:
            _answers[key] = orjson.loads(answer_of(lambda: orjson.dumps(_read(path, name, arguments))))
        except NoAnswer as failure:
            raise Unwirable((_AT, f"{path} gives no Topo: {failure}")) from None
    said = _answers[key]
    if "error" in said:
        raise Unwirable((_ARGUMENTS if said["inArguments"] else _AT, said["error"]))
    return said


def _read(path: FilePath, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Run the file and build the Topo, in the child; `sys.exit` is an error like any other."""
    try:
        found = _class(path, name)
    except BaseException as error:
        return _refused(f"{path} cannot be run: {_told(error)}")
    if isinstance(found, str):
        return _refused(found)
    called = f"{name}(**arguments)"
    try:
        topo = found(**arguments)
    except BaseException as error:
        return _refused(f"{called}: {_told(error)}", in_arguments=True)
    if not hasattr(topo, "g"):
        what = "does not call super().__init__(), which makes the graph; define build() instead"
        return _refused(f"{path}: {name}.__init__ {what}")
    try:
        odd = next((it for it in topo.nodes(sort=False) if not _is_text(it)), None)
        if odd is not None:
            return _refused(f"{path}: {name} has a host or switch whose name is {odd!r}, which is no text")
        links = [[str(a), str(b), _options(info)] for a, b, info in topo.links(sort=True, withInfo=True)]
        return {
            "hosts": list(map(str, topo.hosts())),
            "switches": list(map(str, topo.switches())),
            "links": links,
        }
    except BaseException as error:
        return _refused(f"{path}: {name} cannot be read: {_told(error)}")


def _class(path: FilePath, name: str) -> type | str:
    """Return the class, or what is wrong with the file."""
    from mininet.topo import Topo

    spec = importlib.util.spec_from_file_location(_MODULE, path)
    if spec is None or spec.loader is None:
        return f"{path} is no Python file; write topo as file.py:Class"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if not (inspect.isclass(found) and issubclass(found, Topo)):
        return f"{path} has no Topo class {name!r}"
    return found


def _options(info: Mapping[str, Any]) -> dict[str, str | bool]:
    """Return what is read of a link's options, as text."""
    found = {key: info[key] for key in _READ if info.get(key) is not None and (key != "loss" or info[key])}
    return {
        key: bool(value) if key == "use_htb" else str(value).encode(errors="backslashreplace").decode()
        for key, value in found.items()
    }


def _is_text(name: object) -> bool:
    """True for text that JSON can hold; a surrogate is none."""
    return isinstance(name, str) and name.encode(errors="replace").decode() == name


def _told(error: BaseException) -> str:
    """Return an error of the user's file in words, even where its own cannot be had."""
    try:
        words = str(error)
    except Exception as failure:
        words = f"its text cannot be had ({type(failure).__name__})"
    return f"{type(error).__name__}: {words}"


def _refused(what: str, *, in_arguments: bool = False) -> dict[str, Any]:
    return {"error": brief(" ".join(what.split())), "inArguments": in_arguments}


def _node_names(hosts: Sequence[str], nodes: Sequence[str]) -> dict[str, str]:
    """Return the node that each host is; hosts that are too many are left out."""
    if len(hosts) < len(nodes):
        raise Unwirable(
            (("nodes",), f"{plural(len(nodes), 'node')}, and the Topo has only {plural(len(hosts), 'host')}")
        )
    same = {name: name for name in hosts if name in nodes}
    rest = [name for name in nodes if name not in same]
    return same | dict(zip((it for it in hosts if it not in same), rest, strict=False))


def _shape(a: str, b: str, info: Mapping[str, Any], default: Shape) -> Shape:
    """Return the shape of TCLink's options: bw in Mbit/s, delay and jitter with units, loss in percent."""
    value: dict[str, Any] = {}
    if "bw" in info:
        value["rate"] = f"{info['bw']}Mbit"
    value |= {key: info[key] for key in ("delay", "jitter") if key in info}
    if "loss" in info:
        value["loss"] = f"{info['loss']}%"
    if info.get("use_htb"):
        value["queue"] = "htb"
    try:
        return shape(value, default)
    except ValueError as error:
        raise Unwirable((_AT, f"link {a} {b}: {' '.join(map(str, error.args))}")) from None
