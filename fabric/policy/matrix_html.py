"""A matrix as one HTML page that needs nothing else: tables by port, the prediction beside, each mismatch.

Each cell has its character besides its colour, and tells in its title what Linux or the prediction said.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from fabric.policy.matrix_picture import COLOURS
from fabric.verify.matrix import Mark, Matrix, Mismatch, Place, Port

_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; color: #111827; margin: 2rem; }
.ports { display: flex; flex-wrap: wrap; gap: 2.5rem; align-items: flex-start; margin-bottom: 2rem; }
table { border-collapse: separate; border-spacing: 2px; }
caption { text-align: left; font-weight: bold; padding: .3rem 0; }
th { font-weight: normal; white-space: nowrap; }
thead th { writing-mode: vertical-rl; transform: rotate(180deg); text-align: left; padding: .3rem 0; }
tbody th { text-align: right; padding-right: .5rem; position: sticky; left: 0; background: #fff; }
td { width: 1.6rem; height: 1.6rem; text-align: center; font: bold 15px monospace; border-radius: 3px; }
td.wrong, .legend .wrong { outline: 3px solid #000; outline-offset: -3px; }
td.none { background: #f3f4f6; }
.legend span { display: inline-block; width: 1.6rem; text-align: center; font: bold 15px monospace;
  border-radius: 3px; margin-right: .5rem; }
.legend li { list-style: none; margin: .2rem 0; }
.legend { padding: 0; }
li.wrong-cell { margin: .2rem 0; }
"""


def html(matrix: Matrix, predicted: Matrix | None = None, *, title: str = "Who reaches whom") -> str:
    """Return the page."""
    return "".join(f"{line}\n" for line in _page(matrix, predicted, title))


def _page(matrix: Matrix, predicted: Matrix | None, title: str) -> Iterator[str]:
    wrong = matrix.mismatches(predicted) if predicted else ()
    places = {(it.source, it.destination, it.port) for it in wrong}
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield f"<title>{escape(title)}</title>\n<style>{_STYLE}{''.join(_colours())}</style>\n</head>\n<body>"
    yield f"<h1>{escape(title)}</h1>"
    yield f"<p>{_summary(matrix, predicted, wrong)} A row is a source, a column a destination.</p>"
    yield from _legend(matrix, predicted)
    for port in matrix.ports:
        yield '<div class="ports">'
        yield from _table(matrix, matrix, port, f"{port} probed" if predicted else str(port), places)
        if predicted:
            yield from _table(matrix, predicted, port, f"{port} predicted", places)
        yield "</div>"
    if wrong:
        yield "<h2>Not as predicted</h2>\n<ul>"
        yield from (f'<li class="wrong-cell">{escape(str(it))}</li>' for it in wrong)
        yield "</ul>"
    yield "</body>\n</html>"


def _summary(matrix: Matrix, predicted: Matrix | None, wrong: tuple[Mismatch, ...]) -> str:
    allowed = sum(cell.mark is Mark.allowed for cell in matrix.cells.values())
    told = f"{allowed} of {len(matrix.cells)} allowed."
    return f"{told} <strong>{len(wrong)} not as predicted.</strong>" if predicted else told


def _colours() -> Iterator[str]:
    for mark, (fill, ink) in COLOURS.items():
        yield f".{mark.name} {{ background: {fill}; color: {ink}; }}\n"


def _legend(matrix: Matrix, predicted: Matrix | None) -> Iterator[str]:
    shown = [matrix, predicted] if predicted else [matrix]
    used = {cell.mark for it in shown for cell in it.cells.values()}
    yield '<ul class="legend">'
    for mark in Mark:
        if mark in used:
            yield f'<li><span class="{mark.name}">{escape(mark)}</span>{escape(mark.words)}</li>'
    if predicted:
        yield '<li><span class="wrong">&nbsp;</span>not as predicted</li>'
    yield "</ul>"


def _table(names: Matrix, shown: Matrix, port: Port, caption: str, wrong: set[Place]) -> Iterator[str]:
    heads = "".join(f'<th scope="col">{escape(it)}</th>' for it in names.destinations)
    yield f"<table>\n<caption>{escape(caption)}</caption>\n<thead><tr><td></td>{heads}</tr></thead>\n<tbody>"
    for source in names.sources:
        cells = "".join(_cell(shown, (source, it, port), wrong) for it in names.destinations)
        yield f'<tr><th scope="row">{escape(source)}</th>{cells}</tr>'
    yield "</tbody>\n</table>"


def _cell(shown: Matrix, place: Place, wrong: set[Place]) -> str:
    cell = shown.cells.get(place)
    if cell is None:
        return '<td class="none"></td>'
    source, destination, port = place
    lines = [f"{source} -> {destination} {port}: {cell.mark.name}", cell.detail]
    if cell.microseconds:
        lines.append(f"{cell.microseconds} µs")
    told = escape("\n".join(filter(None, lines)))
    marked = " wrong" * (place in wrong)
    return f'<td class="{cell.mark.name}{marked}" title="{told}">{escape(cell.mark)}</td>'
