"""BGP in bird.conf: templates and sessions.

BIRD 2 has two places for options. What concerns the session (addresses, timers, reflection) stands in the
protocol; what concerns routes of one family (import, export, next hop, add paths) stands in its channel. A
session takes everything from its template, and what it says itself comes over it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal

from fabric.bird.language import ALL, NONE, Unwritable, block, name, string

PORT = 179
PASSWORD_BYTES_MAX = 80
"""RFC 2385 as Linux has it: TCP_MD5SIG_MAXKEYLEN."""

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class BgpChannel:
    """Routes of one family over one session. What is None is left to the template, or to BIRD."""

    family: Literal["ipv4", "ipv6"] = "ipv4"
    import_: str | None = ALL
    export: str | None = NONE
    next_hop: Literal["self", "self ebgp", "self ibgp", "keep", "keep ebgp", "keep ibgp"] | None = None
    gateway: Literal["direct", "recursive"] | None = None
    add_paths: Literal["on", "off", "rx", "tx"] | None = None
    import_limit: int | None = None
    """Routes at most; more of them take the session down."""
    import_keep_filtered: bool = False
    graceful_restart: bool | None = None

    def __str__(self) -> str:
        return block(self.family, self._lines(), "};")

    def _lines(self) -> Iterator[str]:
        if self.import_ is not None:
            yield f"import {self.import_};"
        if self.export is not None:
            yield f"export {self.export};"
        if self.next_hop is not None:
            yield f"next hop {self.next_hop};"
        if self.gateway is not None:
            yield f"gateway {self.gateway};"
        if self.add_paths is not None:
            yield f"add paths {self.add_paths};"
        if self.import_limit is not None:
            yield f"import limit {self.import_limit} action restart;"
        if self.import_keep_filtered:
            yield "import keep filtered on;"
        if self.graceful_restart is not None:
            yield f"graceful restart {_switch(self.graceful_restart)};"


@dataclass(frozen=True, slots=True)
class BgpOptions:
    """The options of a session; None leaves one to the template, or to BIRD's default (in brackets)."""

    description: str = ""
    disabled: bool | None = None
    local_as: int | None = None
    local_address: Address | None = None
    """The address that the session is from and listens on."""
    local_port: int | None = None
    multihop: int | bool | None = None
    """True, or the greatest number of hops; False: the peer is on a link of this host (eBGP's default)."""
    passive: bool | None = None
    """Never dial; of two sides that both dial, one call is thrown away and `error_wait` passes."""
    password: str = ""
    rr_client: bool | None = None
    rr_cluster_id: IPv4Address | None = None
    graceful_restart: bool | Literal["aware"] | None = None
    graceful_restart_seconds: int | None = None
    """How long the peer is to keep our routes while we are away (120)."""
    long_lived_graceful_restart: bool | Literal["aware"] | None = None
    hold_seconds: int | None = None
    """(240)"""
    keepalive_seconds: int | None = None
    """(a third of hold)"""
    connect_delay_seconds: int | None = None
    """From the start to the first call (5)."""
    connect_retry_seconds: int | None = None
    """(120)"""
    error_wait_seconds: tuple[int, int] | None = None
    """After an error, doubling from the first to the second (60, 300)."""
    ttl_security: bool | None = None
    allow_local_as: int | None = None
    """How often our own AS may stand in a path that we take."""
    extra: tuple[str, ...] = ()
    """Options that have no field here, without the semicolon."""

    def lines(self) -> Iterator[str]:
        yield from self._identity()
        yield from self._restarts()
        yield from self._timers()
        yield from (f"{option};" for option in self.extra)

    def _identity(self) -> Iterator[str]:
        if self.description:
            yield f"description {string(self.description, 'description')};"
        if self.disabled is not None:
            yield f"disabled {_switch(self.disabled)};"
        if self.local_address is not None or self.local_as is not None or self.local_port is not None:
            yield _words("local", self.local_address, self.local_port, self.local_as)
        if self.local_address is not None:
            yield f"source address {self.local_address};"
        if self.multihop is not None:
            yield "direct;" if self.multihop is False else f"multihop{_hops(self.multihop)};"
        if self.passive is not None:
            yield f"passive {_switch(self.passive)};"
        if self.password:
            if len(self.password.encode()) > PASSWORD_BYTES_MAX:
                raise Unwritable(f"a BGP password has at most {PASSWORD_BYTES_MAX} bytes")
            yield f"password {string(self.password, 'BGP password')};"
        if self.ttl_security is not None:
            yield f"ttl security {_switch(self.ttl_security)};"
        if self.allow_local_as is not None:
            yield f"allow local as {self.allow_local_as};"
        if self.rr_client is not None:
            yield f"rr client {_switch(self.rr_client)};"
        if self.rr_cluster_id is not None:
            yield f"rr cluster id {self.rr_cluster_id};"

    def _restarts(self) -> Iterator[str]:
        if self.graceful_restart is not None:
            mode = self.graceful_restart
            yield f"graceful restart {mode if isinstance(mode, str) else _switch(mode)};"
        if self.graceful_restart_seconds is not None:
            yield f"graceful restart time {self.graceful_restart_seconds};"
        if self.long_lived_graceful_restart is not None:
            lived = self.long_lived_graceful_restart
            yield f"long lived graceful restart {lived if isinstance(lived, str) else _switch(lived)};"

    def _timers(self) -> Iterator[str]:
        for words, seconds in (
            ("hold time", self.hold_seconds),
            ("keepalive time", self.keepalive_seconds),
            ("connect delay time", self.connect_delay_seconds),
            ("connect retry time", self.connect_retry_seconds),
        ):
            if seconds is not None:
                yield f"{words} {seconds};"
        if self.error_wait_seconds is not None:
            yield f"error wait time {self.error_wait_seconds[0]}, {self.error_wait_seconds[1]};"


@dataclass(frozen=True, slots=True)
class BgpTemplate:
    """A template: options and channels that many sessions share."""

    name: str
    options: BgpOptions
    channels: tuple[BgpChannel, ...] = ()

    def __str__(self) -> str:
        lines = (*self.options.lines(), *map(str, self.channels))
        return block(f"template bgp {name(self.name)}", lines)


@dataclass(frozen=True, slots=True)
class Bgp:
    """A session with one neighbour."""

    name: str
    neighbor: Address
    neighbor_as: int
    neighbor_port: int | None = None
    template: str = ""
    options: BgpOptions = BgpOptions()
    channels: tuple[BgpChannel, ...] = ()

    def __str__(self) -> str:
        head = f"protocol bgp {name(self.name)}" + (f" from {name(self.template)}" if self.template else "")
        neighbor = _words("neighbor", self.neighbor, self.neighbor_port, self.neighbor_as)
        return block(head, (neighbor, *self.options.lines(), *map(str, self.channels)))


@dataclass(frozen=True, slots=True)
class DynamicBgp:
    """Sessions with whatever neighbours of a range call: a router dials none of them.

    BIRD makes an instance for each (`<prefix>1`, `<prefix>2`, …), and forgets it when its session ends.
    """

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


@dataclass(frozen=True, slots=True)
class WrittenBgp:
    """A session whose text was written once, for all files that have it."""

    session: Bgp
    text: str

    @classmethod
    def of(cls, session: Bgp) -> WrittenBgp:
        """Write it; Unwritable as the session itself."""
        return cls(session, str(session))

    def __str__(self) -> str:
        return self.text


def _words(what: str, address: Address | None, port: int | None, as_number: int | None) -> str:
    words = [what]
    if address is not None:
        words.append(str(address))
    if port is not None:
        words.append(f"port {port}")
    if as_number is not None:
        words.append(f"as {as_number}")
    return " ".join(words) + ";"


def _hops(multihop: int | bool) -> str:
    return "" if multihop is True else f" {multihop}"


def _switch(on: bool) -> str:
    return "on" if on else "off"
