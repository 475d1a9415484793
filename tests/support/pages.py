"""The documentation as data: pages, their fenced blocks, and the commands in console blocks.

A block is preceded by a mark, `<!-- netns: two-nodes -->`, when it needs root and a running cluster; all
blocks of a page with the same mark are one session on one cluster.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)$")
_MARK = re.compile(r"^<!-- netns: ([a-z0-9-]+) -->$")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: Path
    line: int
    language: str
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(TOP)}:{self.line}"


@dataclass(frozen=True)
class Said:
    """A command of a console block, and what the page says that it prints."""

    command: str
    output: str
    where: str


def pages() -> list[Path]:
    return sorted([*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md")])


def blocks(page: Path, language: str) -> list[Block]:
    """The page's blocks of that language, in order."""
    found: list[Block] = []
    before, inside, start, lines = "", None, 0, []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if inside is None and fence:
            inside, start, lines = fence[1], number, []
            mark = _MARK.match(before)
        elif inside is not None and line == "```":
            if inside == language:
                text = "".join(f"{each}\n" for each in lines)
                found.append(Block(page, start, language, mark[1] if mark else "", text))
            inside = None
        elif inside is not None:
            lines.append(line)
        before = line
    return found


def commands(block: Block) -> list[Said]:
    """The block's commands, each with the lines up to the next one."""
    found: list[Said] = []
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if line.startswith("$ "):
            found.append(Said(line[2:], "", f"{block.page.relative_to(TOP)}:{number}"))
        else:
            last = found[-1]
            found[-1] = Said(last.command, f"{last.output}{line}\n", last.where)
    return found
