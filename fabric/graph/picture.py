"""A picture is what is drawn of an underlay: its graph, the pods of each node, and BGP sessions. Pure.

`text` draws it as a tree or in graphviz's language, `svg` and `png` in boxes and lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from fabric.topology.wiring import Device, Link, Wiring, natural


@dataclass(frozen=True, slots=True)
class Peering:
    """A BGP session between two routers or nodes; an end that is no device is an address."""

    a: str
    b: str
    up: bool = True
    why: str = ""
    """Why it is not up."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The boxes, links and sessions that a picture shows."""

    wiring: Wiring
    pods: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By node."""
    peerings: Sequence[Peering] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    """What stands beside a device's name: its address, say."""
    mtu: int = 1500
    """Of most links, which do not say it."""
    reflectors: Mapping[str, str] = field(default_factory=dict)
    """The cluster ids of route reflectors, by node."""

    def words(self, link: Link) -> str:
        """Return what a link does, as a topology file says it; empty for a plain one."""
        mtu = f"mtu {link.shape.mtu}" if link.shape.mtu != self.mtu else ""
        return " ".join(filter(None, ("" if link.up else "down", mtu, str(link.shape))))

    def title(self, device: Device) -> str:
        """Return a device's name, role, AS number, cluster id and label."""
        words: Iterable[str] = (
            device.name,
            device.role if device.role not in ("host", device.name) else "",
            f"AS {device.asn}" if device.asn else "",
            f"route reflector {self.reflectors[device.name]}" if device.name in self.reflectors else "",
            self.labels.get(device.name, ""),
        )
        return " ".join(filter(None, words))


def data(picture: Picture) -> dict[str, Any]:
    """Return the graph as what JSON can say: devices, links with every attribute, sessions."""
    devices = sorted(picture.wiring.devices, key=lambda it: natural(it.name))
    links = sorted(picture.wiring.links, key=lambda it: natural(it.name))
    return {
        "devices": [
            asdict(it)
            | {
                "address": picture.labels.get(it.name, ""),
                "routeReflectorClusterID": picture.reflectors.get(it.name, ""),
                "pods": list(picture.pods.get(it.name, ())),
            }
            for it in devices
        ],
        "links": [
            {"name": it.name, "a": it.a, "b": it.b, "number": it.number, "up": it.up} | asdict(it.shape)
            for it in links
        ],
        "peerings": [asdict(it) for it in picture.peerings],
    }
