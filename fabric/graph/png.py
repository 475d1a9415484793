"""A picture as PNG: the SVG drawn by resvg, with a font of this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from fabric.errors import FabricError
from fabric.graph.picture import Picture
from fabric.graph.svg import svg

_SIZE = re.compile(r'(?:width|height)="([0-9.]+)"')
ZOOM = 2.0
PIXELS_MAX = 16_000
"""Of the longer side; a larger picture is drawn smaller."""
_FONTS = {
    "DejaVuSans.ttf": "DejaVu Sans",
    "LiberationSans-Regular.ttf": "Liberation Sans",
    "NotoSans-Regular.ttf": "Noto Sans",
}
"""By file: fonts that Linux distributions have, with their family."""
_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".local/share/fonts")


def png(picture: Picture, *, addresses: bool = False, interfaces: bool = False) -> bytes:
    """Return the picture as PNG; FabricError when there is no font to write names with."""
    return rendered(svg(picture, addresses=addresses, interfaces=interfaces))


def rendered(text: str) -> bytes:
    """Return an SVG document as PNG; FabricError as `png`."""
    from resvg_py import svg_to_bytes

    found = next(_found(), None)
    if found is None:
        raise FabricError("a PNG needs a font: sudo apt-get install fonts-dejavu-core; or ask for -o svg")
    folder, family = found
    drawn: bytes = svg_to_bytes(
        svg_string=text,
        zoom=min(ZOOM, PIXELS_MAX / max(map(float, _SIZE.findall(text)[:2]))),
        skip_system_fonts=True,
        font_dirs=[str(folder)],
        sans_serif_family=family,
    )
    return drawn


def _found() -> Iterator[tuple[Path, str]]:
    for folder in _FOLDERS:
        for file, family in _FONTS.items():
            yield from ((path.parent, family) for path in folder.rglob(file))
