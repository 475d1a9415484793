"""Ports and protocols of rules, which are numbers or names: `443`, `8000:8080`, `http`; `TCP`, `58`.

A port's name stands for a number of each endpoint's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from calico.resources.fields import takes
from calico.resources.refusals import Refusal
from fabric.api.names import PORT_MAX, port_name_faults

PROTOCOLS = {"TCP": 6, "UDP": 17, "ICMP": 1, "ICMPv6": 58, "SCTP": 132, "UDPLite": 136}
"""The names that a rule may say, with IANA's numbers."""
WITH_PORTS = frozenset({"TCP", "UDP", "SCTP"})
_RANGE = re.compile(r"(\d{1,5})(?::(\d{1,5}))?", re.ASCII)
_DASHED = re.compile(r"(\d{1,5})-(\d{1,5})", re.ASCII)
_NUMBERS = re.compile(r"[-:\d]*", re.ASCII)
_NO_PORT = f"must be a port from 1 to {PORT_MAX}, a range such as 8000:8080, or a port's name"
_INT_OR_STRING = {"x-kubernetes-int-or-string": True}


@dataclass(frozen=True, slots=True)
class Port:
    """A range of ports, both ends included, or a name; a single port is a range of one."""

    first: int = 0
    last: int = 0
    name: str = ""
    """Where it is given, `first` and `last` are 0."""

    def __str__(self) -> str:
        return self.name or (f"{self.first}:{self.last}" if self.first != self.last else str(self.first))

    def to_json(self) -> int | str:
        return self.first if not self.name and self.first == self.last else str(self)


@takes(**_INT_OR_STRING)
def port(value: Any, path: str, refusals: list[Refusal]) -> Port:
    """A number, a range `8000:8080` with the lower one first, or the name of a port."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if (found := _RANGE.fullmatch(text)) is None:
        refusals += [Refusal(path, reason, value) for reason in _name_faults(text)]
        return Port(name=text)
    first, last = int(found[1]), int(found[2] or found[1])
    if not (1 <= first <= PORT_MAX and 1 <= last <= PORT_MAX):
        refusals.append(Refusal(path, _NO_PORT, value))
    elif first > last:
        reason = f"minimum port number ({first}) is greater than maximum port number ({last}) in port range"
        refusals.append(Refusal(path, reason, value))
    return Port(first, last)


def _name_faults(text: str) -> list[str]:
    if dashed := _DASHED.fullmatch(text):
        return [f"a range of ports is written with a colon: {dashed[1]}:{dashed[2]}"]
    return [_NO_PORT] if _NUMBERS.fullmatch(text) else port_name_faults(text)


@takes(**_INT_OR_STRING)
def protocol(value: Any, path: str, refusals: list[Refusal]) -> str | int:
    """A protocol's name as Calico writes it, or its number; a number in quotes is that number."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value[:4])
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if is_number and not 1 <= value <= 255:
        refusals.append(Refusal(path, "protocol number invalid: must be between 1 and 255", value))
    elif not is_number and value not in PROTOCOLS:
        reason = f"protocol name invalid: must be one of {', '.join(PROTOCOLS)}, or a number from 1 to 255"
        refusals.append(Refusal(path, reason, value))
    return value if is_number else str(value)


def protocol_number(given: str | int | None) -> int | None:
    """IANA's number of a protocol that was read; None stands for any."""
    return PROTOCOLS[given] if isinstance(given, str) else given


def has_ports(given: str | int | None) -> bool:
    """True for TCP, UDP and SCTP, by name or number."""
    return protocol_number(given) in {PROTOCOLS[name] for name in WITH_PORTS}
