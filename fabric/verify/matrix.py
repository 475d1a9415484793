"""A matrix says which source reaches which destination by which port: as probes found it, or as predicted.

Two matrices of the same names can be laid upon each other; a mismatch is a cell where packets pass in one and
not in the other. A refusal by the destination itself is an arrival: the packet passed, and nobody serves that
port.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fabric.errors import BadInput, Problem
from fabric.verify.probes import PROTOCOLS, Answer, Job, Outcome, Protocol


class Mark(enum.StrEnum):
    """The characters of a cell, as cyclonus has them where it has one."""

    allowed = "."
    blocked = "X"
    refused = "!"
    rejected = "#"
    error = "?"

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    Mark.allowed: "allowed",
    Mark.blocked: "blocked: dropped",
    Mark.refused: "refused: it arrived, and nobody serves the port",
    Mark.rejected: "rejected: an ICMP error on its way",
    Mark.error: "error: it could not be asked",
}
_MARKS = {
    Outcome.delivered: Mark.allowed,
    Outcome.timeout: Mark.blocked,
    Outcome.refused: Mark.refused,
    Outcome.rejected: Mark.rejected,
    Outcome.error: Mark.error,
}


@dataclass(frozen=True, slots=True)
class Port:
    """A protocol, the port of the destination where it has ports, and the family of the addresses."""

    protocol: Protocol
    number: int = 0
    version: Literal[4, 6] = 4

    @classmethod
    def of(cls, text: str, *, at: str = "port") -> Port:
        """Read `80/tcp`, `80` (of TCP), `icmp`, a protocol with 6 behind it for IPv6; else BadInput."""
        number, slash, name = text.lower().rpartition("/")
        if not slash and name.isdigit():
            number, name = name, "tcp"
        version: Literal[4, 6] = 6 if name.endswith("6") else 4
        protocol = next((it for it in PROTOCOLS if it == name.removesuffix("6")), None)
        is_number = number.isascii() and number.isdigit() and len(number) <= 5 and 1 <= int(number) <= 65535
        if protocol is None or is_number is (protocol == "icmp") or (protocol == "icmp" and slash):
            what = f"{text!r} is no port; write 80/tcp, 53/udp, icmp, or 80/tcp6 for IPv6"
            raise BadInput(Problem(at, what))
        return cls(protocol, int(number or 0), version)

    def __str__(self) -> str:
        name = self.protocol.upper() + "6" * (self.version == 6)
        return f"{self.number}/{name}" if self.number else name


@dataclass(frozen=True, slots=True)
class Cell:
    """A source, a destination and a port: whether packets pass, and why not or why so."""

    mark: Mark
    detail: str = ""
    microseconds: int = 0

    @classmethod
    def of(cls, job: Job, answer: Answer) -> Cell:
        """Return the cell of a probe.

        A host refuses TCP by a RST, and a datagram by ICMP from the very address that was asked; port
        unreachable from elsewhere, or for TCP, is a filter's. A filter that answers as the host would
        cannot be told from it.
        """
        mark = _MARKS[answer.outcome]
        if mark is Mark.refused and answer.sender and (job.protocol == "tcp" or answer.sender != job.address):
            mark = Mark.rejected
        return cls(mark, answer.detail, answer.microseconds)

    @property
    def has_arrived(self) -> bool:
        return self.mark in (Mark.allowed, Mark.refused)

    def agrees(self, predicted: Cell) -> bool:
        """Whether it was as predicted; one that could not be asked agrees with nothing."""
        return self.mark is not Mark.error and self.has_arrived == predicted.has_arrived


Place = tuple[str, str, Port]
"""Source, destination, port."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A cell that is not as predicted."""

    source: str
    destination: str
    port: Port
    predicted: Cell
    probed: Cell

    def __str__(self) -> str:
        way = f"{self.source} -> {self.destination} {self.port}"
        return f"{way}: predicted {_told(self.predicted)}; probed {_told(self.probed)}"


@dataclass(frozen=True, slots=True)
class Matrix:
    """Sources in rows, destinations in columns, once for each port; a place without a cell was not asked."""

    sources: tuple[str, ...]
    """`namespace/name` of a pod, `node/name`, `control-plane`, or an IP address; so are destinations."""
    destinations: tuple[str, ...]
    ports: tuple[Port, ...]
    cells: Mapping[Place, Cell]

    def places(self) -> Iterator[Place]:
        """All places that have a cell: by source, destination, port."""
        for source in self.sources:
            for destination in self.destinations:
                for port in self.ports:
                    if (source, destination, port) in self.cells:
                        yield source, destination, port

    def mismatches(self, predicted: Matrix) -> tuple[Mismatch, ...]:
        """The places that both have, and where they do not agree."""
        return tuple(
            Mismatch(*place, predicted.cells[place], self.cells[place])
            for place in self.places()
            if place in predicted.cells and not self.cells[place].agrees(predicted.cells[place])
        )

    def as_json(self, predicted: Matrix | None = None) -> dict[str, Any]:
        """Return every cell as an object; with a prediction, what it says and whether it is so."""
        found: dict[str, Any] = {
            "sources": list(self.sources),
            "destinations": list(self.destinations),
            "ports": [str(it) for it in self.ports],
            "cells": [self._cell_json(place, predicted) for place in self.places()],
        }
        if predicted is not None:
            found["mismatches"] = len(self.mismatches(predicted))
        return found

    def _cell_json(self, place: Place, predicted: Matrix | None) -> dict[str, Any]:
        source, destination, port = place
        cell = self.cells[place]
        found: dict[str, Any] = {
            "from": source,
            "to": destination,
            "port": str(port),
            "outcome": cell.mark.name,
            "detail": cell.detail,
        }
        if cell.microseconds:
            found["microseconds"] = cell.microseconds
        if predicted is not None and place in predicted.cells:
            expected = predicted.cells[place]
            found |= {
                "predicted": expected.mark.name,
                "reason": expected.detail,
                "agrees": cell.agrees(expected),
            }
        return found


def _told(cell: Cell) -> str:
    return f"{cell.mark.name} ({cell.detail})" if cell.detail else cell.mark.name
