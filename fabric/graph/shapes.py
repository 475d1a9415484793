"""The shapes of an SVG document as text: rectangles, lines and words."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from fabric.graph.blocks import Box
from fabric.graph.cables import Point


def rect(box: Box, fill: str, stroke: str, radius: float, width: int = 1) -> str:
    at = f'x="{box.left:g}" y="{box.top:g}" width="{box.width:g}" height="{box.height:g}" rx="{radius:g}"'
    thick = f' stroke-width="{width}"' * (width > 1)
    return f'<rect {at} fill="{fill}" stroke="{stroke}"{thick}/>'


def line(
    x1: float, y1: float, x2: float, y2: float, colour: str, width: int = 1, *, dashed: bool = False
) -> str:
    return path([(x1, y1), (x2, y2)], colour, width, dashed=dashed)


def path(points: Sequence[Point], colour: str, width: int = 1, *, dashed: bool = False) -> str:
    (x, y), *others = points
    way = " ".join(f"L{x:g} {y:g}" for x, y in others)
    dashes = ' stroke-dasharray="5 4"' * dashed
    thick = f' stroke-width="{width}"' * (width > 1)
    return f'<path d="M{x:g} {y:g} {way}" fill="none" stroke="{colour}"{thick}{dashes}/>'


def text(x: float, y: float, words: str, colour: str, anchor: str, size: int, *, bold: bool = False) -> str:
    outline = ' stroke="white" stroke-width="3" paint-order="stroke"' * (size < 11)
    weight = ' font-weight="bold"' * bold
    return (
        f'<text x="{round(x, 1):g}" y="{round(y, 1):g}" text-anchor="{anchor}" font-size="{size}"'
        f' fill="{colour}"{weight}{outline}>{escape(words)}</text>'
    )
