"""A picture as text: a tree for the terminal, DOT for graphviz. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from fabric.graph.picture import Peering, Picture
from fabric.topology.wiring import Link, Wiring, natural


def tree(picture: Picture) -> str:
    """Return the graph as a tree from the highest tier down; a device is drawn in full where it comes first.

    Each further link to it is a line `= name`, with its number if it is a parallel one; pods stand below
    their node, sessions at the end.
    """
    below = _spanning(picture.wiring)
    lines: list[str] = []
    for root in (name for name, is_root in below.roots.items() if is_root):
        lines.append(picture.title(picture.wiring.device(root)))
        lines += _branches(picture, below, root, "")
    sessions = [f"{it.a} - {it.b}{_state(it)}" for it in picture.peerings]
    return "".join(f"{line}\n" for line in [*lines, *(["", "BGP:"] if sessions else []), *sessions])


def dot(picture: Picture) -> str:
    """Return the graph in graphviz's language."""
    lines = ["graph underlay {", "  node [fontname=sans];"]
    shapes = {"host": "box", "switch": "octagon", "router": "ellipse"}
    for device in sorted(picture.wiring.devices, key=lambda it: natural(it.name)):
        label = _quoted(picture.title(device))
        lines.append(f"  {_quoted(device.name)} [shape={shapes[device.role]}, label={label}];")
        for pod in sorted(picture.pods.get(device.name, ()), key=natural):
            lines.append(f"  {_quoted(f'pod {pod}')} [shape=plain, label={_quoted(pod)}];")
            lines.append(f"  {_quoted(device.name)} -- {_quoted(f'pod {pod}')} [style=dotted];")
    for link in sorted(picture.wiring.links, key=lambda it: natural(it.name)):
        label = f"label={_quoted(found)}" if (found := picture.words(link)) else ""
        attributes = ", ".join(filter(None, (label, "" if link.up else "color=red")))
        ends = f"{_quoted(link.a)} -- {_quoted(link.b)}"
        lines.append(f"  {ends}{f' [{attributes}]' if attributes else ''};")
    for it in picture.peerings:
        colour = "blue" if it.up else "red"
        lines.append(
            f"  {_quoted(it.a)} -- {_quoted(it.b)} [style=dashed, color={colour}, constraint=false];"
        )
    return "".join(f"{line}\n" for line in [*lines, "}"])


@dataclass(frozen=True, slots=True)
class _Spanning:
    """The devices that the trees begin with, and the links that lead down from each device."""

    roots: dict[str, bool]
    links: dict[str, list[tuple[Link, bool]]]
    """With each link: whether its far end is drawn in full there."""


def _spanning(wiring: Wiring) -> _Spanning:
    """Return the tree that goes down, or along a tier, by the fewest links; each link is in it once."""
    order = sorted(wiring.devices, key=lambda it: (it.role == "host", -it.tier, natural(it.name)))
    found = _Spanning({}, {it.name: [] for it in order})
    drawn: set[str] = set()
    for root in order:
        found.roots.setdefault(root.name, True)
        queue = deque([root])
        while queue:
            here = queue.popleft()
            for link in wiring.links_of(here.name):
                far = wiring.device(link.other(here.name))
                if link.name in drawn or far.tier > here.tier:
                    continue
                drawn.add(link.name)
                is_first = far.name not in found.roots
                found.links[here.name].append((link, is_first))
                if is_first:
                    found.roots[far.name] = False
                    queue.append(far)
    return found


def _branches(picture: Picture, below: _Spanning, name: str, indent: str) -> Iterator[str]:
    """Yield the lines below a device, with the branches that lead to them."""
    pods = sorted(picture.pods.get(name, ()), key=natural)
    count = len(pods) + len(below.links[name])
    for index, pod in enumerate(pods, 1):
        yield f"{indent}{'└─' if index == count else '├─'} pod {pod}"
    for index, (link, is_first) in enumerate(below.links[name], len(pods) + 1):
        last = index == count
        far = link.other(name)
        words = f" [link to {name}: {found}]" if (found := picture.words(link)) else ""
        which = f" (link {link.number})" if link.number > 1 else ""
        title = picture.title(picture.wiring.device(far)) if is_first else f"= {far}{which}"
        yield f"{indent}{'└─' if last else '├─'} {title}{words}"
        if is_first:
            yield from _branches(picture, below, far, indent + ("   " if last else "│  "))


def _state(peering: Peering) -> str:
    return "" if peering.up else f" (down: {peering.why})" if peering.why else " (down)"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
