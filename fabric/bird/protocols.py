"""`show protocols [all]`: every protocol instance, its channels, and what BGP says of a session.

A row (1002) is `name proto table state since info`; what follows it (1006) is indented by two for the
protocol (`BGP state:`, `Channel ipv4`) and by four for what is within. For BGP `info` begins with the
session's state, and goes on with why it is not up, where BIRD knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address

from fabric.bird.control import Answer, BadAnswer, Line
from fabric.bird.status import TIMESTAMP, moment

ROW, DETAIL = 1002, 1006

_COUNT = re.compile(r"(\d+) (imported|filtered|exported|preferred)")
_TIMER = re.compile(r"([\d.]+)/([\d.]+|-)")


@dataclass(frozen=True, slots=True)
class Updates:
    """A row of the channel's counters; None where BIRD counts no such thing."""

    received: int | None = None
    rejected: int | None = None
    filtered: int | None = None
    ignored: int | None = None
    accepted: int | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel: a protocol's tie to a table."""

    name: str
    """`ipv4` or `ipv6`."""
    state: str
    """UP, DOWN, START, or FLUSHING."""
    table: str = ""
    preference: int = 0
    input_filter: str = ""
    """ACCEPT, REJECT, a filter's name, or (unnamed)."""
    output_filter: str = ""
    imported: int = 0
    """Routes now in the table from here."""
    filtered: int = 0
    """Routes refused and kept for show (`import keep filtered`)."""
    exported: int = 0
    preferred: int = 0
    """Of those imported, the ones that won."""
    import_updates: Updates = Updates()
    import_withdraws: Updates = Updates()
    export_updates: Updates = Updates()
    export_withdraws: Updates = Updates()
    next_hop: IPv4Address | IPv6Address | None = None
    """What this side says its next hop is (BGP)."""


@dataclass(frozen=True, slots=True)
class Timer:
    """Seconds left of seconds set."""

    left_seconds: float
    of_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class BgpSession:
    """A BGP session, as `show protocols all` has it."""

    state: str
    """Established, OpenConfirm, OpenSent, Connect, Active, Passive, Idle, Close, or Down."""
    neighbor_address: str = ""
    """With `%dev` where it is link-local; empty for a dynamic peer."""
    neighbor_as: int = 0
    local_as: int = 0
    neighbor_id: IPv4Address | None = None
    source_address: IPv4Address | IPv6Address | None = None
    kind: tuple[str, ...] = ()
    """BIRD's words: internal or external, multihop, route-reflector, route-server, AS4 …"""
    hold_timer: Timer | None = None
    keepalive_timer: Timer | None = None
    connect_delay: Timer | None = None
    error_wait: Timer | None = None
    restart_timer: Timer | None = None
    is_neighbor_restarting: bool = False
    """The peer is gone and its routes stay: graceful restart."""
    last_error: str = ""
    """`Socket: Connection refused`, `Received: Bad peer AS` …; stays after the session came up again."""

    @property
    def is_established(self) -> bool:
        return self.state == "Established"


@dataclass(frozen=True, slots=True)
class Protocol:
    """A protocol instance; `channels` and `bgp` are read only from `show protocols all`."""

    name: str
    proto: str
    """Device, Direct, Kernel, Static, BGP …"""
    table: str
    state: str
    """down, start, up, stop, or flush."""
    since: str
    """When it came into this state: see `fabric.bird.status`."""
    info: str = ""
    description: str = ""
    channels: tuple[Channel, ...] = ()
    bgp: BgpSession | None = None

    @property
    def is_up(self) -> bool:
        return self.state == "up"

    def uptime_seconds(self, now: datetime) -> float:
        """Seconds in this state by the daemon's own clock, `Status.now`."""
        return max(0.0, (now - moment(self.since, now)).total_seconds())


def read_protocols(answer: Answer) -> tuple[Protocol, ...]:
    """Read the answer to `show protocols` or `show protocols all`, in its order."""
    return tuple(_protocol(row, details) for row, details in _rows(answer.of(ROW, DETAIL)))


def _rows(lines: Iterable[Line]) -> Iterator[tuple[str, list[str]]]:
    row: str | None = None
    details: list[str] = []
    for line in lines:
        if line.code == DETAIL:
            details.append(line.text)
            continue
        if row is not None:
            yield row, details
        row, details = line.text, []
    if row is not None:
        yield row, details


def _protocol(row: str, details: Sequence[str]) -> Protocol:
    words = row.split(maxsplit=4)
    since = TIMESTAMP.match(words[4]) if len(words) == 5 else None
    if since is None:
        raise BadAnswer(f"show protocols: {row!r}")
    name, proto, table, state, rest = words
    own, *parts = _sections(details)
    fields = _fields(own)
    return Protocol(
        name=name,
        proto=proto,
        table="" if table == "---" else table,
        state=state,
        since=since[0],
        info=" ".join(rest[since.end() :].split()),
        description=fields.get("Description", ""),
        channels=tuple(_channel(part) for part in parts),
        bgp=_session(own, fields) if "BGP state" in fields else None,
    )


def _sections(details: Sequence[str]) -> list[list[str]]:
    """The protocol's own lines first, then those of each channel, which opens with its name."""
    sections: list[list[str]] = [[]]
    for text in details:
        if text.startswith("  Channel "):
            sections.append([])
        sections[-1].append(text.strip())
    return sections


def _fields(lines: Iterable[str]) -> dict[str, str]:
    """`key: value` lines; of the capabilities, which repeat keys, the last."""
    parts = (line.partition(":") for line in lines)
    return {key: value.strip() for key, colon, value in parts if colon}


def _session(lines: Sequence[str], fields: dict[str, str]) -> BgpSession:
    return BgpSession(
        state=fields["BGP state"],
        neighbor_address=fields.get("Neighbor address", ""),
        neighbor_as=int(fields.get("Neighbor AS", 0)),
        local_as=int(fields.get("Local AS", 0)),
        neighbor_id=IPv4Address(fields["Neighbor ID"]) if "Neighbor ID" in fields else None,
        source_address=ip_address(fields["Source address"]) if "Source address" in fields else None,
        kind=tuple(fields.get("Session", "").split()),
        hold_timer=_timer(fields.get("Hold timer")),
        keepalive_timer=_timer(fields.get("Keepalive timer")),
        connect_delay=_timer(fields.get("Connect delay")),
        error_wait=_timer(fields.get("Error wait")),
        restart_timer=_timer(fields.get("Restart timer")),
        is_neighbor_restarting="Neighbor graceful restart active" in lines,
        last_error=fields.get("Last error", ""),
    )


def _channel(lines: Sequence[str]) -> Channel:
    fields = _fields(lines[1:])
    counts = {what: int(number) for number, what in _COUNT.findall(fields.get("Routes", ""))}
    return Channel(
        name=lines[0].removeprefix("Channel "),
        state=fields.get("State", ""),
        table=fields.get("Table", ""),
        preference=int(fields.get("Preference", 0)),
        input_filter=fields.get("Input filter", ""),
        output_filter=fields.get("Output filter", ""),
        import_updates=_updates(fields.get("Import updates")),
        import_withdraws=_updates(fields.get("Import withdraws")),
        export_updates=_updates(fields.get("Export updates")),
        export_withdraws=_updates(fields.get("Export withdraws")),
        next_hop=ip_address(fields["BGP Next hop"].split()[0]) if fields.get("BGP Next hop") else None,
        **counts,
    )


def _updates(text: str | None) -> Updates:
    return Updates(*(None if word == "---" else int(word) for word in (text or "").split()))


def _timer(text: str | None) -> Timer | None:
    match = _TIMER.fullmatch(text or "")
    return Timer(float(match[1]), 0.0 if match[2] == "-" else float(match[2])) if match else None
