"""A matrix as text: a table for each port, a character for each cell, and what the characters mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fabric.verify.matrix import Mark, Matrix, Port

WIDTH = 110
"""A table whose columns do not fit with their names has numbers for them."""
_GAP = "  "


def text(matrix: Matrix, predicted: Matrix | None = None) -> str:
    """Return the tables; with a prediction, `X/.` where X was probed and . predicted, and all mismatches."""
    parts = ["\n".join(_table(matrix, port, predicted)) for port in matrix.ports]
    return "\n\n".join([*parts, "\n".join(_legend(matrix, predicted))]) + "\n"


def _table(matrix: Matrix, port: Port, predicted: Matrix | None) -> Iterator[str]:
    cells = [[_cell(matrix, (s, d, port), predicted) for d in matrix.destinations] for s in matrix.sources]
    heads, rows = _names(matrix)
    label = max([len(it) for it in (*rows, str(port))])
    widths = [
        max(len(head), *(len(row[column]) for row in cells)) if cells else len(head)
        for column, head in enumerate(heads)
    ]
    for name, row in zip((str(port), *rows), (heads, *cells), strict=True):
        marks = (cell.center(width) for cell, width in zip(row, widths, strict=True))
        yield _GAP.join((name.ljust(label), *marks)).rstrip()


def _names(matrix: Matrix) -> tuple[Sequence[str], Sequence[str]]:
    """Return the heads of columns and of rows: names, or numbers of columns that are told beside the rows."""
    heads, rows = matrix.destinations, matrix.sources
    width = max([len(it) for it in rows], default=0) + sum(len(it) + len(_GAP) for it in heads)
    if width <= WIDTH:
        return heads, rows
    numbers = [str(number) for number, _ in enumerate(heads, 1)]
    if rows == heads:
        digits = len(numbers[-1])
        return numbers, [f"{number.rjust(digits)} {name}" for number, name in zip(numbers, rows, strict=True)]
    return numbers, rows


def _cell(matrix: Matrix, place: tuple[str, str, Port], predicted: Matrix | None) -> str:
    cell = matrix.cells.get(place)
    expected = predicted.cells.get(place) if predicted else None
    if cell is None:
        return ""
    return cell.mark if expected is None or cell.agrees(expected) else f"{cell.mark}/{expected.mark}"


def _legend(matrix: Matrix, predicted: Matrix | None) -> Iterator[str]:
    heads, _ = _names(matrix)
    if heads != matrix.destinations and matrix.sources != matrix.destinations:
        yield "columns:"
        digits = len(heads[-1])
        for number, name in zip(heads, matrix.destinations, strict=True):
            yield f"  {number.rjust(digits)} {name}"
    used = {cell.mark for cell in matrix.cells.values()}
    yield "   ".join(f"{mark} {mark.words}" for mark in Mark if mark in used)
    allowed = sum(cell.mark is Mark.allowed for cell in matrix.cells.values())
    yield f"{allowed} of {len(matrix.cells)} allowed"
    if predicted is not None:
        wrong = matrix.mismatches(predicted)
        yield f"{len(wrong)} not as predicted" + (", told as probed/predicted:" if wrong else "")
        yield from (f"  {it}" for it in wrong)
