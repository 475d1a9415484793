"""The nouns of a probe: a job asks whether a source reaches a destination, an answer says what came of it.

An answer tells apart what a filter, a host and a route do: nothing came back, somebody said no, nobody could
send.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal

Protocol = Literal["tcp", "udp", "icmp", "sctp"]
PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp", "icmp", "sctp")


class Outcome(enum.StrEnum):
    """The ends of a probe."""

    delivered = "delivered"
    """A TCP or SCTP handshake was done, a UDP answer or an ICMP echo reply came back."""
    refused = "refused"
    """A TCP RST or ICMP port unreachable: a port that nobody serves, or a filter that answers as one."""
    rejected = "rejected"
    """Another ICMP error: prohibited, host unreachable, time exceeded …"""
    timeout = "timeout"
    """Nothing came back."""
    error = "error"
    """The source itself could not ask: no route, no such protocol, no namespace."""


@dataclass(frozen=True, slots=True)
class Job:
    """A question from one namespace to one address."""

    source: str
    """The name of the namespace it is asked from."""
    address: str
    """IPv4 or IPv6, as text."""
    protocol: Protocol
    port: int = 0
    """Of the destination; 0 for icmp."""
    source_address: str = ""
    """The address it is asked from; empty lets the routes choose, as they do for a program."""

    @property
    def version(self) -> int:
        return 6 if ":" in self.address else 4

    def __str__(self) -> str:
        return f"{self.source} -> {self.address} {self.protocol}" + f"/{self.port}" * bool(self.port)


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of a job, and what Linux said."""

    outcome: Outcome
    detail: str = ""
    """`TCP RST`, `ICMP host prohibited from 192.0.2.1`, `Network is unreachable` …; empty where delivered."""
    microseconds: int = 0
    """From the last try to the answer, for what is delivered by the kernel's clocks; 0 without an answer."""
    tries: int = 1
    sender: str = ""
    """The address that an ICMP error came from."""


@dataclass(frozen=True, slots=True)
class Patience:
    """The time that a job has: its tries begin at equal distances within it, and none ends before."""

    seconds: float = 1.0
    tries: int = 3

    @property
    def interval_seconds(self) -> float:
        return self.seconds / self.tries


PATIENCE = Patience()
