"""A matrix of who reaches whom: rows are sources, columns destinations, one table for each port.

Marks are cyclonus' ones: `.` arrives, `X` does not, `!` was refused by the destination itself, `#` was
rejected on the way, `?` could not be asked. A predicted matrix has the first two; a probed one beside it
must say the same, where a refusal is an arrival: somebody answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fabric.plugin.policies import PROTOCOLS, WITH_PORTS, Endpoint, Evaluator, Flow

ARRIVES, BLOCKED, REFUSED, REJECTED, UNKNOWN = ".", "X", "!", "#", "?"
WORDS = {
    ARRIVES: "arrives",
    BLOCKED: "blocked",
    REFUSED: "refused",
    REJECTED: "rejected",
    UNKNOWN: "could not be asked",
}
_ARRIVED = (ARRIVES, REFUSED)


@dataclass(frozen=True, slots=True, order=True)
class Service:
    """A protocol with its port."""

    protocol: int
    port: int = 0

    def __str__(self) -> str:
        name = next((name for name, number in PROTOCOLS.items() if number == self.protocol), "")
        name = name or f"protocol {self.protocol}"
        return f"{name} {self.port}" if self.protocol in WITH_PORTS else name


@dataclass(frozen=True, slots=True)
class Cell:
    """An answer."""

    mark: str
    why: str = ""


Place = tuple[str, str, Service]
"""Source, destination and what was asked for."""


@dataclass(frozen=True)
class Matrix:
    """The answers for every source, destination and service."""

    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    services: tuple[Service, ...]
    cells: Mapping[Place, Cell] = field(default_factory=dict)
    """What is absent was not asked."""

    def mark(self, place: Place) -> str:
        found = self.cells.get(place)
        return found.mark if found else " "

    def table(self, service: Service) -> Iterator[tuple[str, list[Place]]]:
        """The rows of one service's table."""
        for source in self.sources:
            yield source, [(source, it, service) for it in self.destinations]


def predicted(
    evaluator: Evaluator,
    sources: Sequence[Endpoint],
    destinations: Sequence[Endpoint],
    services: Sequence[Service],
    *,
    staged: bool = False,
) -> Matrix:
    """The matrix that policies mean, without a packet."""
    cells = {}
    for source in sources:
        for destination in destinations:
            for service in services:
                flow = Flow(source, destination, service.protocol, service.port)
                verdict = evaluator.judge(flow, staged=staged)
                deciding = next((it for it in verdict.decisions if not it.allowed), verdict.decisions[-1])
                mark = ARRIVES if verdict.allowed else BLOCKED
                why = f"{deciding.direction} of {deciding.at}: {deciding.why}"
                cells[str(source), str(destination), service] = Cell(mark, why)
    return Matrix(tuple(map(str, sources)), tuple(map(str, destinations)), tuple(services), cells)


def declared_services(endpoints: Iterable[Endpoint]) -> tuple[Service, ...]:
    """The services that pods declare, each once."""
    return tuple(sorted({Service(port.protocol, port.number) for it in endpoints for port in it.ports}))


def mismatches(expected: Matrix, probed: Matrix) -> list[Place]:
    """The places where a probe says something else than was predicted; what was not asked is none."""
    return [
        place
        for place, cell in expected.cells.items()
        if place in probed.cells and (probed.cells[place].mark in _ARRIVED) != (cell.mark in _ARRIVED)
    ]


def text(matrix: Matrix, probed: Matrix | None = None) -> str:
    """Tables for a terminal; beside a probed matrix each cell has both marks, and `<` where they differ."""
    wrong = set(mismatches(matrix, probed)) if probed else set()
    blocks = [_block(matrix, probed, service, wrong) for service in matrix.services]
    used = {cell.mark for it in (matrix, probed) if it for cell in it.cells.values()}
    legend = ", ".join(f"{mark} {word}" for mark, word in WORDS.items() if mark in used)
    if probed:
        legend += "; predicted|probed, < where they differ"
    return "\n".join([*blocks, f"{legend}\n"])


def _block(matrix: Matrix, probed: Matrix | None, service: Service, wrong: set[Place]) -> str:
    rows = [[str(service), *matrix.destinations]]
    for source, places in matrix.table(service):
        rows.append([source, *(_both(matrix, probed, it) + "<" * (it in wrong) for it in places)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _both(matrix: Matrix, probed: Matrix | None, place: Place) -> str:
    return f"{matrix.mark(place)}|{probed.mark(place)}" if probed else matrix.mark(place)


def data(matrix: Matrix, probed: Matrix | None = None) -> dict[str, Any]:
    """The matrix as JSON: its axes and a list of answers."""
    wrong = set(mismatches(matrix, probed)) if probed else set()
    answers = []
    for place, cell in matrix.cells.items():
        source, destination, service = place
        answer: dict[str, Any] = {
            "source": source,
            "destination": destination,
            "service": str(service),
            "predicted": WORDS[cell.mark],
            "why": cell.why,
        }
        if probed and (seen := probed.cells.get(place)) is not None:
            answer |= {"probed": WORDS[seen.mark], "probedWhy": seen.why, "differs": place in wrong}
        answers.append(answer)
    return {
        "sources": list(matrix.sources),
        "destinations": list(matrix.destinations),
        "services": [str(it) for it in matrix.services],
        "answers": answers,
    }
