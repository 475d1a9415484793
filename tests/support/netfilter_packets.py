"""Packets of the tests of netfilter, read from a line: where it comes in, what it is, from where to where.

`cali1 tcp 10.1.0.2 1000 > 10.2.0.2 80` is a SYN from the client's side, `- udp …` one that the router sends;
`tcp/SYN,ACK`, `icmp/8/0` and `47` are as they read, and `about …` is the packet that an ICMP error quotes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from fabric.kernel.fake_netfilter.packets import SYN, Packet
from fabric.netstate.rules import Family
from support.netfilter_rules import RuleSet

_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "sctp": 132}

SYN80 = "cali1 tcp 10.1.0.2 1000 > 10.2.0.2 80"
SYN443 = "cali1 tcp 10.1.0.2 1000 > 10.2.0.2 443"
UDP53 = "cali1 udp 10.1.0.2 1000 > 10.2.0.2 53"
UDP53_OTHER = "cali1 udp 10.1.0.3 1000 > 10.2.0.3 53"
ECHO = "cali1 icmp/8/0 10.1.0.2 7 > 10.2.0.2"
ECHO_REPLY = "eth1 icmp/0/0 10.2.0.2 7 > 10.1.0.2"
ANSWER53 = "eth1 udp 10.2.0.2 53 > 10.1.0.2 1000"
SYNACK80 = "eth1 tcp/SYN,ACK 10.2.0.2 80 > 10.1.0.2 1000"
ACK80 = "cali1 tcp/ACK 10.1.0.2 1000 > 10.2.0.2 80"
LOCAL80 = "cali1 tcp 10.1.0.2 1000 > 10.1.0.1 80"
LOCAL53 = "cali1 udp 10.1.0.2 1000 > 10.1.0.1 53"
OWN53 = "- udp 10.2.0.1 1000 > 10.2.0.2 53"
SYN80_V6 = "cali1 tcp fd01::2 1000 > fd02::2 80"
UDP53_V6 = "cali1 udp fd01::2 1000 > fd02::2 53"
ECHO_V6 = "cali1 icmpv6/128/0 fd01::2 7 > fd02::2"
UNREACHABLE = f"eth1 icmp/3/3 10.2.0.2 > 10.1.0.2 about {UDP53}"


def packet(line: str) -> Packet:
    line, _, inner = line.partition(" about ")
    sender, receiver = line.split(" > ")
    device, kind, source, *source_port = sender.split()
    destination, *destination_port = receiver.split()
    protocol, *more = kind.split("/")
    is_icmp = protocol.startswith("icmp")
    return Packet(
        ip_address(source),
        ip_address(destination),
        _PROTOCOLS[protocol] if protocol in _PROTOCOLS else int(protocol),
        int(source_port[0]) if source_port else 0,
        int(destination_port[0]) if destination_port else 0,
        int(more[0]) if is_icmp else 0,
        int(more[1]) if is_icmp else 0,
        frozenset(more[0].split(",")) if more and not is_icmp else SYN,
        device.replace("-", ""),
        inner=packet(inner) if inner else None,
    )


@dataclass(frozen=True)
class Case:
    """Rules, the packets that are sent in order, and where each comes out and who is told what."""

    text: str
    lines: tuple[str, ...]
    seen: tuple[str, ...]
    """`eth1`, `local`, `icmp 3/3 at cali1`, or nothing; with ends where those matter."""
    family: Family = 4

    @property
    def rules(self) -> RuleSet:
        return RuleSet.parse(self.text, self.family)

    @property
    def packets(self) -> Sequence[Packet]:
        return [packet(line) for line in self.lines]


def case(text: str, *sent: tuple[str, str], family: Family = 4) -> Case:
    return Case(text, tuple(line for line, _ in sent), tuple(seen for _, seen in sent), family)
