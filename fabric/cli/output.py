"""Results are printed as a table for people, as JSON or YAML for programs."""

from __future__ import annotations

import enum
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import orjson
import typer
import yaml


class Format(enum.StrEnum):
    """The formats of `-o`."""

    table = "table"
    wide = "wide"
    json = "json"
    yaml = "yaml"


Output = typer.Option("-o", "--output", help="table, wide, json or yaml.", case_sensitive=False)


def emit(value: Any) -> None:
    print(value)


def data(value: Any, format: Format) -> None:
    """Print a value as JSON or YAML."""
    if format == Format.json:
        emit(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
    else:
        emit(yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True).rstrip())


def camel(value: Any) -> Any:
    """The value with keys as Kubernetes writes them: `delay_us` is delayUs, `local_as` is localAs."""
    if isinstance(value, Mapping):
        return {_camel(key): camel(each) for key, each in value.items()}
    return [camel(each) for each in value] if isinstance(value, list | tuple) else value


def _camel(key: str) -> str:
    first, *others = key.split("_")
    return first + "".join(map(str.capitalize, others))


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows in columns as kubectl does: upper-case header, three spaces between columns.

    On a terminal the widest columns are wrapped so that a row fits; piped output has one line a row.
    """
    lines = [tuple(header), *(tuple("" if cell is None else str(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    if sys.stdout.isatty():
        widths = fitted(widths, shutil.get_terminal_size().columns)
    for line in lines:
        cells = [_wrapped(cell, width) for cell, width in zip(line, widths, strict=True)]
        for parts in zip_longest(*cells, fillvalue=""):
            emit(_GAP.join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip())


_GAP = "   "
COLUMN_MIN = 4


def fitted(widths: Sequence[int], columns: int) -> list[int]:
    """Return widths that fit a terminal, taken from the widest columns; none is made narrower than 4."""
    found = list(widths)
    room = columns - len(_GAP) * (len(widths) - 1)
    while sum(found) > room and max(found) > COLUMN_MIN:
        found[found.index(max(found))] -= 1
    return found


def _wrapped(cell: str, width: int) -> list[str]:
    """Return the lines of a cell; words are kept whole where they fit."""
    return [cell] if len(cell) <= width else textwrap.wrap(cell, width) or [""]
