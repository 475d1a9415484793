"""Every `fabric bench` command reads its sizes, ends and tells of its progress in the same way."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable
from typing import TypeVar

import typer

from fabric.bench import filesystems
from fabric.cli.choice import need_root

NODES_MAX, PODS_MAX = 10_000, 100_000
"""What a command takes; the machine takes less, and `up` says so before it builds."""

Times = TypeVar("Times")


def number(text: str, least: int = 1, *, most: int) -> int | None:
    """Return the number that an option's text is, or None where it is none of these bounds."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > len(str(most)):
        return None
    return found if least <= (found := int(digits)) <= most else None


def prepare(command: str) -> None:
    """Have a measurement take its cluster down before it ends, also by SIGTERM or with its terminal."""
    need_root(command)
    for told in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(told) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(told, _end)


def measure_all(measurements: Iterable[Times], tell: Callable[[list[Times]], None]) -> None:
    """Tell the figures of all; those before one that fails or is interrupted, whose error follows."""
    found: list[Times] = []
    try:
        found.extend(measurements)  # has those before an error in it
    except BaseException:
        if found:
            tell(found)
        raise
    tell(found)


def tell_file_systems() -> None:
    """Tell on which file systems clusters' files are, and how to have others where they are slow."""
    found = filesystems.of_clusters()
    say(f"files: {', '.join(map(str, found.values()))}")
    if slow := filesystems.slow(found):
        say(f"warning: {slow}")


def say(text: str) -> None:
    """Tell what is being measured; results go to standard output alone."""
    typer.echo(text, err=True)


def _end(told: int, _: object) -> None:
    sys.exit(128 + told)
