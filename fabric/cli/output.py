"""Results are printed as a table for people, as JSON or YAML for programs."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import typer
import yaml


class Format(enum.StrEnum):
    """Values of `-o`."""

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


def plural(count: int, noun: str) -> str:
    """`1 node`, `2 nodes`, `3 processes`."""
    return f"{count} {noun}" + ("" if count == 1 else "es" if noun.endswith("s") else "s")


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows in columns as kubectl does: upper-case header, three spaces between columns."""
    lines = [tuple(header), *(tuple("" if cell is None else str(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        emit("   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
