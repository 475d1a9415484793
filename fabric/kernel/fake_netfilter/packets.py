"""A packet as netfilter sees it, and what became of it: the verdict with every rule that it met.

Words are netfilter's: hooks, tables and connection states are called as in `iptables`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fabric.netstate.objects import IPAddress
from fabric.netstate.rules import Family, Rule, Table

State = Literal["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"]
Kind = Literal["ACCEPT", "DROP", "REJECT"]

ICMP, TCP, UDP, ICMPV6, SCTP, UDPLITE = 1, 6, 17, 58, 132, 136
SYN = frozenset({"SYN"})


class UnknownRule(ValueError):
    """A rule has a word that the model does not know, or stands where Linux does not take it."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that comes in at a device or, without one, is sent by the namespace itself."""

    source: IPAddress
    destination: IPAddress
    protocol: int
    source_port: int = 0
    """Of an ICMP echo its identifier."""
    destination_port: int = 0
    icmp_type: int = 0
    icmp_code: int = 0
    flags: frozenset[str] = SYN
    """Of TCP: a connection's first packet has SYN alone, which is what is taken for granted."""
    in_interface: str = ""
    out_interface: str = ""
    """Where it goes out; empty: the routes of the namespace say."""
    mark: int = 0
    ctstate: State | None = None
    """What connection tracking says of it; None: it is looked up among the packets that went before."""
    inner: Packet | None = None
    """Of an ICMP error: the packet that it is about."""

    @property
    def family(self) -> Family:
        return 4 if self.source.version == 4 else 6

    def __str__(self) -> str:
        named = {ICMP: "icmp", TCP: "tcp", UDP: "udp", ICMPV6: "icmpv6"}.get(
            self.protocol, str(self.protocol)
        )
        ports = f" {self.source_port} > {self.destination_port}"
        if self.protocol in (ICMP, ICMPV6):
            ports = f" {self.icmp_type}/{self.icmp_code}"
        path = f" in {self.in_interface}" * bool(self.in_interface)
        path += f" out {self.out_interface}" * bool(self.out_interface)
        return f"{named} {self.source} > {self.destination}{ports}{path} mark {self.mark:#x}"


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that a packet matched, by its place: what its counter counts."""

    table: Table
    chain: str
    index: int
    """From 0."""
    rule: Rule

    @property
    def origin(self) -> str:
        """The object that asked for the rule."""
        return self.rule.origin

    def __str__(self) -> str:
        origin = f"  ({self.origin})" if self.origin else ""
        return f"{self.table} {self.chain} {self.index + 1}: {self.rule}{origin}"


@dataclass(frozen=True, slots=True)
class Nat:
    """A translation of one end of a packet, from one address and port to another."""

    end: Literal["source", "destination"]
    old: tuple[IPAddress, int]
    new: tuple[IPAddress, int]

    def __str__(self) -> str:
        return f"{self.end} {self.old[0]} port {self.old[1]} becomes {self.new[0]} port {self.new[1]}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on a packet: what became of it, and why."""

    kind: Kind
    packet: Packet
    """As it was at the end: translated, with its mark and its devices; `out_interface` is empty at home."""
    hits: tuple[Hit, ...]
    reason: str
    """The rule, the policy of a built-in chain or the route that decided."""
    reject: str = ""
    """Of REJECT what the sender is told: `tcp-reset`, `icmp-port-unreachable` and others."""
    nat: tuple[Nat, ...] = ()
    answer: Verdict | None = None
    """What became of the answer of a REJECT, which goes through OUTPUT and POSTROUTING as any packet."""

    @property
    def is_local(self) -> bool:
        """True for what the namespace itself takes in."""
        return self.kind == "ACCEPT" and not self.packet.out_interface

    def __str__(self) -> str:
        told = f" {self.reject}" if self.reject else ""
        lines = [f"{self.kind}{told}: {self.reason}", f"  {self.packet}", *(f"  {it}" for it in self.hits)]
        lines += [f"  {it}" for it in self.nat]
        return "\n".join([*lines, *([f"answer {self.answer}"] if self.answer else [])])
