"""A matrix drawn: as a page of HTML that needs nothing else, and as SVG, from which a PNG is made.

Colours are of the set that people who see fewer colours tell apart (Okabe and Ito); cells have marks, too.
"""

from __future__ import annotations

from html import escape

from fabric.policy.matrix import (
    ARRIVES,
    BLOCKED,
    REFUSED,
    REJECTED,
    UNKNOWN,
    WORDS,
    Matrix,
    Place,
    Service,
    mismatches,
)

FILLS = {ARRIVES: "#56b4e9", BLOCKED: "#d55e00", REFUSED: "#9ad0f5", REJECTED: "#e69f00", UNKNOWN: "#cccccc"}
NONE, WRONG = "#ffffff", "#000000"
_CELL, _CHARACTER, _HEAD, _GAP, _MARGIN = 22.0, 6.6, 22.0, 18.0, 14.0
_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 14px sans-serif; margin: 1.5em; color: #111; background: #fff; }}
table {{ border-collapse: collapse; margin: 0 0 1.5em; }}
caption {{ text-align: left; font-weight: bold; padding: .4em 0; }}
th {{ font-weight: normal; text-align: left; padding: .1em .5em; white-space: nowrap; }}
thead th {{ vertical-align: bottom; }}
thead th span {{ writing-mode: vertical-rl; transform: rotate(180deg); }}
td {{ border: 1px solid #fff; width: 1.6em; height: 1.6em; text-align: center; font-family: monospace; }}
td.wrong {{ outline: 3px solid #000; outline-offset: -3px; font-weight: bold; }}
{marks}
.legend td {{ width: auto; padding: 0 .6em; }}
</style>
<h1>{title}</h1>
<p>Rows are sources, columns destinations. {note}</p>
<table class="legend"><tr>{legend}</tr></table>
{tables}
</html>
"""
_CLASSES = {
    ARRIVES: "arrives",
    BLOCKED: "blocked",
    REFUSED: "refused",
    REJECTED: "rejected",
    UNKNOWN: "unknown",
}


def html(matrix: Matrix, probed: Matrix | None = None, *, title: str = "Who reaches whom") -> str:
    """A page with a table for each service; a cell's reason is shown where the pointer rests on it."""
    wrong = set(mismatches(matrix, probed)) if probed else set()
    marks = "\n".join(f"td.{_CLASSES[mark]} {{ background: {fill}; }}" for mark, fill in FILLS.items())
    legend = "".join(
        f'<td class="{_CLASSES[mark]}">{mark} {WORDS[mark]}</td>' for mark in _used(matrix, probed)
    )
    note = f"Marks are predicted|probed; {len(wrong)} differ, and are framed." if probed else ""
    tables = "\n".join(_table(matrix, probed, service, wrong) for service in matrix.services)
    return _PAGE.format(title=escape(title), marks=marks, legend=legend, note=note, tables=tables)


def _table(matrix: Matrix, probed: Matrix | None, service: Service, wrong: set[Place]) -> str:
    head = "".join(f"<th><span>{escape(it)}</span></th>" for it in matrix.destinations)
    rows = []
    for source, places in matrix.table(service):
        cells = "".join(_cell(matrix, probed, it, is_wrong=it in wrong) for it in places)
        rows.append(f"<tr><th>{escape(source)}</th>{cells}</tr>")
    return (
        f"<table><caption>{escape(str(service))}</caption>\n<thead><tr><th></th>{head}</tr></thead>\n"
        + "\n".join(rows)
        + "\n</table>"
    )


def _cell(matrix: Matrix, probed: Matrix | None, place: Place, *, is_wrong: bool) -> str:
    whys = [it.cells[place].why for it in (matrix, probed) if it and place in it.cells]
    shown = matrix.mark(place) + (f"|{probed.mark(place)}" if probed else "")
    name = " ".join(filter(None, (_CLASSES.get(matrix.mark(place), ""), "wrong" if is_wrong else "")))
    said = escape(f"{place[0]} to {place[1]}, {place[2]}: {'; '.join(filter(None, whys))}", quote=True)
    return f'<td class="{name}" title="{said}">{escape(shown)}</td>'


def _used(matrix: Matrix, probed: Matrix | None) -> list[str]:
    found = {cell.mark for it in (matrix, probed) if it for cell in it.cells.values()}
    return [mark for mark in WORDS if mark in found]


def svg(matrix: Matrix, probed: Matrix | None = None) -> str:
    """A drawing with the tables of all services below each other."""
    wrong = set(mismatches(matrix, probed)) if probed else set()
    left = _MARGIN + _CHARACTER * max((len(it) for it in matrix.sources), default=0) + 8
    above = _CHARACTER * max((len(it) for it in matrix.destinations), default=0) + 8
    cell = _CELL * (1.6 if probed else 1)
    drawn: list[str] = []
    y = _MARGIN
    for service in matrix.services:
        drawn.append(_text(_MARGIN, y + 12, str(service), 'font-weight="bold"'))
        y += _HEAD + above
        for number, name in enumerate(matrix.destinations):
            x = left + cell * (number + 0.5)
            turned = f'transform="rotate(-60 {x:.1f} {y - 6:.1f})"'
            drawn.append(_text(x, y - 6, name, turned))
        for source, places in matrix.table(service):
            drawn.append(_text(left - 6, y + _CELL * 0.68, source, 'text-anchor="end"'))
            for number, place in enumerate(places):
                drawn += _square(matrix, probed, place, left + cell * number, y, cell, place in wrong)
            y += _CELL
        y += _GAP
    width = left + cell * len(matrix.destinations) + above * 0.6 + _MARGIN
    legend = "   ".join(f"{mark} {WORDS[mark]}" for mark in _used(matrix, probed))
    drawn.append(_text(_MARGIN, y + 8, legend))
    width = max(width, _MARGIN * 2 + _CHARACTER * len(legend))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{y + _MARGIN + 10:.0f}"'
    style = 'font-family="sans-serif" font-size="11"'
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return "\n".join((f"{head} {style}>", ground, *drawn, "</svg>\n"))


def _square(
    matrix: Matrix, probed: Matrix | None, place: Place, x: float, y: float, width: float, is_wrong: bool
) -> list[str]:
    mark = matrix.mark(place)
    shown = mark + (f"|{probed.mark(place)}" if probed else "")
    stroke = f'stroke="{WRONG}" stroke-width="3"' if is_wrong else 'stroke="#ffffff"'
    fill = FILLS.get(mark, NONE)
    box = f'x="{x + 1:.1f}" y="{y + 1:.1f}" width="{width - 2:.1f}" height="{_CELL - 2:.1f}"'
    return [
        f'<rect {box} fill="{fill}" {stroke}/>',
        _text(x + width / 2, y + _CELL * 0.68, shown, 'text-anchor="middle"'),
    ]


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(text)}</text>'
