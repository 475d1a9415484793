"""BGP sessions that come from a range: a router takes them from any neighbour there, and dials none.

BIRD makes an instance for each neighbour that calls (`<prefix>1`, `<prefix>2`, …), and forgets it when its
session ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from fabric.bird.bgp import BgpChannel, BgpOptions
from fabric.bird.language import block, name, string


@dataclass(frozen=True, slots=True)
class DynamicBgp:
    """Sessions with neighbours of one range."""

    name: str
    range: IPv4Network | IPv6Network
    kind: Literal["internal", "external"]
    """Of our own AS, or of any other."""
    prefix: str
    """Of the names of instances."""
    options: BgpOptions
    channels: tuple[BgpChannel, ...]

    def __str__(self) -> str:
        lines = (
            f"neighbor range {self.range} {self.kind};",
            f"dynamic name {string(self.prefix, 'name')};",
            *self.options.lines(),
            *map(str, self.channels),
        )
        return block(f"protocol bgp {name(self.name)}", lines)
