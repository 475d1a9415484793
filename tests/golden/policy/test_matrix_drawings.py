"""A matrix as text, as a picture and as a page."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree import ElementTree

from support.matrices import PREDICTED, PROBED

from fabric.policy import matrix_html, matrix_picture, matrix_text
from fabric.verify.matrix import Cell, Mark, Matrix, Port


def test_a_table_for_each_port(golden):
    golden("probed", matrix_text.text(PROBED))


def test_a_prediction_stands_in_the_cells_that_differ_and_each_mismatch_below(golden):
    golden("compared", matrix_text.text(PROBED, PREDICTED))


def test_columns_that_do_not_fit_have_numbers(golden):
    names = tuple(f"production/frontend-{number:02}" for number in range(1, 13))
    port = Port("tcp", 80)
    cells = {(a, b, port): Cell(Mark.allowed if a <= b else Mark.blocked) for a in names for b in names}
    square = Matrix(names, names, (port,), cells)
    oblong = Matrix(names[:1], names, (port,), {k: v for k, v in cells.items() if k[0] == names[0]})
    golden("numbers", matrix_text.text(square) + "\n" + matrix_text.text(oblong))


def test_nothing_to_ask_is_told():
    assert matrix_text.text(Matrix((), (), (Port("icmp"),), {})) == "ICMP\n\n\n0 of 0 allowed\n"


def test_a_picture_of_both(golden):
    drawn = matrix_picture.svg(PROBED, PREDICTED)
    ElementTree.fromstring(drawn)
    golden("compared-svg", drawn)


def test_a_picture_becomes_a_png_of_its_size():
    drawn = matrix_picture.png(PROBED)
    assert drawn.startswith(b"\x89PNG") and len(drawn) > 1000


class _Page(HTMLParser):
    """Reads the cells of a page, and whatever it would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.cells: list[tuple[str, str]] = []
        self.loads: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "td" and given.get("title"):
            self.cells.append((given["class"], given["title"]))
        self.loads += [given[name] for name in ("src", "href") if name in given]


def test_a_page_has_every_cell_with_its_reason_and_loads_nothing():
    page = _Page(matrix_html.html(PROBED, PREDICTED))
    assert len(page.cells) == 2 * len(PROBED.cells) and page.loads == []
    assert ("blocked wrong", "y/b -> x/a 80/TCP: blocked") in page.cells
    assert ("allowed", "x/a -> x/a 80/TCP: allowed\n41 µs") in page.cells
    assert ("allowed wrong", "y/b -> x/a 80/TCP: allowed\nno policy selects x/a") in page.cells
    assert sum("wrong" in kind for kind, _ in page.cells) == 6


def test_a_page_writes_names_and_reasons_as_text():
    port = Port("tcp", 80)
    odd = "<b>\"&'"
    page = matrix_html.html(Matrix((odd,), (odd,), (port,), {(odd, odd, port): Cell(Mark.error, odd)}))
    assert "<b>" not in page and _Page(page).cells == [("error", f"{odd} -> {odd} 80/TCP: error\n{odd}")]
