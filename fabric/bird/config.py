"""bird.conf as frozen dataclasses that print: one file is a `Config`, its blocks are what BIRD 2 calls them.

Pure rendering: `str(config)` is the file. Equal configs give equal files, byte for byte, so that comparing
texts says whether a daemon must be told. The order of blocks is the caller's; BIRD wants functions, filters
and templates before their use.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal

from fabric.bird.bgp import Bgp, BgpTemplate, DynamicBgp, WrittenBgp
from fabric.bird.language import ALL, NONE, Filter, Function, Text, block, name, string

LogClass = Literal["debug", "trace", "info", "remote", "warning", "error", "auth", "fatal", "bug"]
ProtocolDebug = Literal["states", "routes", "filters", "interfaces", "events", "packets"]


@dataclass(frozen=True, slots=True)
class Log:
    """A log: the file for BIRD's messages; without any, BIRD in the foreground writes them to stderr."""

    path: str = ""
    """A file; stderr where empty."""
    classes: tuple[LogClass, ...] = ()
    """All where empty."""
    bytes_max: int = 0
    """A longer file is renamed to `<path>.1`; 0 is no limit."""

    def __str__(self) -> str:
        target = string(self.path, "path") if self.path else "stderr"
        if self.path and self.bytes_max:
            target += f" {self.bytes_max} {string(self.path + '.1', 'path')}"
        return f"log {target} {'{ ' + ', '.join(self.classes) + ' }' if self.classes else 'all'};"


@dataclass(frozen=True, slots=True)
class Channel:
    """A protocol's tie to the table of one family, with BIRD's defaults: take everything, give nothing."""

    family: Literal["ipv4", "ipv6"] = "ipv4"
    import_: str = ALL
    export: str = NONE
    table: str = ""
    preference: int | None = None

    def __str__(self) -> str:
        return block(self.family, self._lines(), "};")

    def _lines(self) -> Iterator[str]:
        if self.table:
            yield f"table {name(self.table)};"
        if self.preference is not None:
            yield f"preference {self.preference};"
        yield f"import {self.import_};"
        yield f"export {self.export};"


@dataclass(frozen=True, slots=True)
class Device:
    """The protocol that knows the interfaces; every bird needs one."""

    name: str = "device1"
    scan_seconds: int = 2

    def __str__(self) -> str:
        return block(f"protocol device {name(self.name)}", (f"scan time {self.scan_seconds};",))


@dataclass(frozen=True, slots=True)
class Direct:
    """A route for each network on an interface; BGP's next hops resolve through them."""

    name: str = "direct1"
    families: tuple[Literal["ipv4", "ipv6"], ...] = ("ipv4",)
    interfaces: tuple[str, ...] = ("*",)
    """Patterns, the first that matches decides; a leading `-` leaves out (`-cali*`)."""

    def __str__(self) -> str:
        interfaces = "interface " + ", ".join(map(_pattern, self.interfaces)) + ";"
        return block(
            f"protocol direct {name(self.name)}", (*(f"{one};" for one in self.families), interfaces)
        )


@dataclass(frozen=True, slots=True)
class Kernel:
    """A protocol that writes a table of BIRD's into a kernel's, with protocol number 12 (`proto bird`).

    The export filter must reject RTS_DEVICE, or each network of a direct protocol comes a second time.
    """

    name: str = "kernel1"
    channel: Channel = Channel(export="where source != RTS_DEVICE")
    kernel_table: int | None = None
    """None is the main one, 254."""
    scan_seconds: int = 2
    learn: bool = False
    """Take in what strangers wrote; mind that a BGP export filter sees it too."""
    persist: bool = False
    """Routes stay when the daemon ends."""
    graceful_restart: bool = False
    merge_paths: int | bool = False
    """Equal routes become one with many next hops: ECMP; a number is the greatest (16)."""
    metric: int | None = None
    """(32)"""

    def __str__(self) -> str:
        return block(f"protocol kernel {name(self.name)}", self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"scan time {self.scan_seconds};"
        if self.kernel_table is not None:
            yield f"kernel table {self.kernel_table};"
        if self.learn:
            yield "learn;"
        if self.persist:
            yield "persist;"
        if self.graceful_restart:
            yield "graceful restart;"
        if self.merge_paths:
            limit = "" if self.merge_paths is True else f" limit {self.merge_paths}"
            yield f"merge paths on{limit};"
        if self.metric is not None:
            yield f"metric {self.metric};"
        yield str(self.channel)


@dataclass(frozen=True, slots=True)
class StaticRoute:
    """A route by decree: to a gateway, a device, or nowhere (`blackhole`, `unreachable`, `prohibit`)."""

    prefix: IPv4Network | IPv6Network
    to: IPv4Address | IPv6Address | str = "blackhole"

    def __str__(self) -> str:
        if not isinstance(self.to, str):
            return f"route {self.prefix} via {self.to};"
        nowhere = self.to in ("blackhole", "unreachable", "prohibit")
        return f"route {self.prefix} {self.to if nowhere else 'via ' + string(self.to, 'device name')};"


@dataclass(frozen=True, slots=True)
class Static:
    """Routes by decree; `blackhole` for a node's own blocks is how they are announced."""

    name: str = "static1"
    routes: tuple[StaticRoute, ...] = ()
    channel: Channel = Channel()

    def __str__(self) -> str:
        return block(f"protocol static {name(self.name)}", (str(self.channel), *map(str, self.routes)))


Block = (
    Text | Filter | Function | Device | Direct | Kernel | Static | Bgp | WrittenBgp | BgpTemplate | DynamicBgp
)


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration file."""

    router_id: IPv4Address
    blocks: tuple[Block, ...] = (Device(),)
    hostname: str = ""
    """What `show status` says; the machine's where empty."""
    logs: tuple[Log, ...] = ()
    debug: tuple[ProtocolDebug, ...] = ()
    """What every protocol tells the log."""
    graceful_restart_wait_seconds: int | None = None
    """How long a restarted daemon waits for its peers before it cleans the kernel's table (240)."""

    @property
    def sessions(self) -> int:
        """The number of its BGP sessions, without those of dynamic neighbours."""
        return sum(isinstance(block, Bgp | WrittenBgp) for block in self.blocks)

    @property
    def kernels(self) -> tuple[str, ...]:
        """The names of the protocols that write into the kernel's tables."""
        return tuple(block.name for block in self.blocks if isinstance(block, Kernel))

    def sends_through(self, device: str) -> bool:
        """True where a filter sends routes through the device."""
        return any(isinstance(block, Filter) and device in block.devices for block in self.blocks)

    def __str__(self) -> str:
        head = "\n".join(self._head())
        return "\n\n".join((head, *map(str, self.blocks))) + "\n"

    def _head(self) -> Iterator[str]:
        yield from map(str, self.logs)
        yield f"router id {self.router_id};"
        if self.hostname:
            yield f"hostname {string(self.hostname, 'host name')};"
        if self.graceful_restart_wait_seconds is not None:
            yield f"graceful restart wait {self.graceful_restart_wait_seconds};"
        if self.debug:
            yield f"debug protocols {{ {', '.join(self.debug)} }};"
        for what in ("base", "protocol", "route"):
            yield f"timeformat {what} iso long ms;"


def _pattern(text: str) -> str:
    sign = "-" if text.startswith("-") else ""
    return sign + string(text.removeprefix("-"), "interface pattern")
