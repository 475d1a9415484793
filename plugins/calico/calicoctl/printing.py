"""The output formats of calicoctl: columns of text, boxed tables, JSON and YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import yaml

from calico.calicoctl import files

COLUMN_MIN, PADDING = 5, 3
_NUMBER = re.compile(r"-?\d+(\.\d+)?%?")


def columns(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns three spaces apart and at least five wide, each filled up, also the last."""
    lines = [tuple(headings), *map(tuple, rows)]
    widths = [max(COLUMN_MIN, max(len(line[i]) for line in lines) + PADDING) for i in range(len(headings))]
    return "".join(
        "".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + "\n" for line in lines
    )


def boxed(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in a box: headings in capitals and centred, numbers at the right, all else at the left."""
    top = tuple(heading.upper() for heading in headings)
    body = [tuple(row) for row in rows]
    widths = [max(len(line[i]) for line in (top, *body)) for i in range(len(top))]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    lines = [rule, _line(_centred, top, widths), rule, *(_line(_aligned, row, widths) for row in body)]
    return "\n".join([*lines, rule] if body else lines) + "\n"


def _line(place: Callable[[str, int], str], cells: Sequence[str], widths: Sequence[int]) -> str:
    return f"| {' | '.join(place(cell, width) for cell, width in zip(cells, widths, strict=True))} |"


def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def as_yaml(value: Any) -> str:
    """Keys in alphabetical order, lists not indented, as sigs.k8s.io/yaml writes."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=4096)
    return text


class _Dumper(yaml.SafeDumper):
    """A YAML writer that quotes twice where Go does, and writes a value as often as it occurs."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    tag = dumper.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    reads_back = tag == "tag:yaml.org,2002:str" and files.is_text(text)
    plain = reads_back and text.replace("\n", "").isprintable()
    style = '"' if not plain else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _centred(text: str, width: int) -> str:
    left = (width - len(text)) // 2
    return " " * left + text + " " * (width - len(text) - left)


def _aligned(text: str, width: int) -> str:
    return text.rjust(width) if _NUMBER.fullmatch(text) else text.ljust(width)
