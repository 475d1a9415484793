"""A matrix as SVG and PNG: squares by source and destination, a panel for each port, and a legend.

The colours are of Okabe and Ito's palette, which the colour-blind tell apart; each square has its character
too. A prediction stands in panels beside those of the probes, and a thick frame marks both squares of a
mismatch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fabric.graph import shapes
from fabric.graph.blocks import Box
from fabric.graph.png import rendered
from fabric.verify.matrix import Mark, Matrix, Place, Port

COLOURS: Mapping[Mark, tuple[str, str]] = {
    Mark.allowed: ("#56b4e9", "#000000"),
    Mark.blocked: ("#d55e00", "#ffffff"),
    Mark.refused: ("#e69f00", "#000000"),
    Mark.rejected: ("#cc79a7", "#000000"),
    Mark.error: ("#999999", "#000000"),
}
"""By mark: the square, and the character in it."""
INK, FRAME = "#111827", "#000000"
CELL, MARGIN, GAP, TITLE, LINE = 22.0, 16.0, 36.0, 26.0, 20.0
_CHARACTER = 6.6
"""The width of one, in pixels, at the size of names."""
_SIZE = 11


class _Sheet:
    """The measures of a drawing."""

    def __init__(self, matrix: Matrix, predicted: Matrix | None) -> None:
        self.matrix = matrix
        self.predicted = predicted
        self.wrong = (
            {(it.source, it.destination, it.port) for it in matrix.mismatches(predicted)}
            if predicted
            else set()
        )
        self.left = _width(matrix.sources) + 8
        self.top = _width(matrix.destinations) + 8
        self.panel_width = self.left + CELL * len(matrix.destinations)
        self.panel_height = TITLE + self.top + CELL * len(matrix.sources)
        self.panels = [("probed", matrix), ("predicted", predicted)] if predicted else [("", matrix)]

    @property
    def size(self) -> tuple[float, float]:
        across = len(self.panels) * (self.panel_width + GAP) - GAP
        words = max(len(text) for _, text in _legend(self)) * _CHARACTER + 40
        down = len(self.matrix.ports) * (self.panel_height + GAP)
        return round(2 * MARGIN + max(across, words)), round(
            2 * MARGIN + down + LINE * len(list(_legend(self)))
        )


def svg(matrix: Matrix, predicted: Matrix | None = None) -> str:
    """Return the drawing as one SVG document."""
    sheet = _Sheet(matrix, predicted)
    width, height = sheet.size
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}"'
        f' viewBox="0 0 {width:g} {height:g}" font-family="sans-serif" font-size="{_SIZE}">',
        f'<rect width="{width:g}" height="{height:g}" fill="white"/>',
    ]
    top = MARGIN
    for port in matrix.ports:
        for number, (title, shown) in enumerate(sheet.panels):
            left = MARGIN + number * (sheet.panel_width + GAP)
            lines += _panel(sheet, shown or matrix, port, f"{port} {title}".strip(), left, top)
        top += sheet.panel_height + GAP
    for number, (mark, words) in enumerate(_legend(sheet)):
        lines += _legend_line(mark, words, top + number * LINE)
    return "".join(f"{line}\n" for line in [*lines, "</svg>"])


def png(matrix: Matrix, predicted: Matrix | None = None) -> bytes:
    """Return the drawing as PNG; FabricError when there is no font to write names with."""
    return rendered(svg(matrix, predicted))


def _panel(sheet: _Sheet, shown: Matrix, port: Port, title: str, left: float, top: float) -> Iterator[str]:
    yield shapes.text(left, top + 12, title, INK, "start", 14, bold=True)
    first = left + sheet.left, top + TITLE + sheet.top
    for column, name in enumerate(sheet.matrix.destinations):
        x = first[0] + CELL * (column + 0.5) + 4
        upright = shapes.text(0, 0, name, INK, "start", _SIZE)
        yield f'<g transform="translate({x:g} {first[1] - 6:g}) rotate(-90)">{upright}</g>'
    for row, source in enumerate(sheet.matrix.sources):
        y = first[1] + CELL * row
        yield shapes.text(first[0] - 6, y + CELL / 2 + 4, source, INK, "end", _SIZE)
        for column, destination in enumerate(sheet.matrix.destinations):
            place = (source, destination, port)
            yield from _square(sheet, shown, place, first[0] + CELL * column, y)


def _square(sheet: _Sheet, shown: Matrix, place: Place, x: float, y: float) -> Iterator[str]:
    cell = shown.cells.get(place)
    if cell is None:
        yield shapes.rect(Box(x, y, CELL, CELL), "#ffffff", "#e5e7eb", 0)
        return
    fill, ink = COLOURS[cell.mark]
    yield shapes.rect(Box(x, y, CELL, CELL), fill, "#ffffff", 2)
    yield shapes.text(x + CELL / 2, y + CELL / 2 + 4.5, cell.mark, ink, "middle", 13, bold=True)
    if place in sheet.wrong:
        yield _frame(x, y)


def _frame(x: float, y: float) -> str:
    side = CELL - 5
    return (
        f'<rect x="{x + 2.5:g}" y="{y + 2.5:g}" width="{side:g}" height="{side:g}" fill="none"'
        f' stroke="{FRAME}" stroke-width="3"/>'
    )


def _legend(sheet: _Sheet) -> Iterator[tuple[Mark | None, str]]:
    shown = [it for _, it in sheet.panels if it is not None]
    used = {cell.mark for it in shown for cell in it.cells.values()}
    yield from ((mark, mark.words) for mark in Mark if mark in used)
    if sheet.predicted is not None:
        yield None, f"not as predicted: {len(sheet.wrong)} of {len(sheet.matrix.cells)}"


def _legend_line(mark: Mark | None, words: str, y: float) -> Iterator[str]:
    if mark is None:
        yield _frame(MARGIN, y)
    else:
        fill, ink = COLOURS[mark]
        yield shapes.rect(Box(MARGIN + 2, y + 2, CELL - 4, CELL - 4), fill, "#ffffff", 2)
        yield shapes.text(MARGIN + CELL / 2, y + CELL / 2 + 4.5, mark, ink, "middle", 13, bold=True)
    yield shapes.text(MARGIN + CELL + 8, y + CELL / 2 + 4, words, INK, "start", _SIZE)


def _width(names: tuple[str, ...]) -> float:
    return max([len(it) for it in names], default=0) * _CHARACTER
