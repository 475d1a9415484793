"""The arguments of a subcommand, as docopt reads them: options before, between and behind the words.

-o wide   -owide   --output wide   --output=wide   -A   --all-namespaces   --   (nothing but words follows)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fabric.errors import FabricError

HELP_COLUMN = 30


class BadUsage(FabricError):
    """The command line cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Option:
    """`-f --filename=<FILENAME>`; without `value` it is a flag."""

    name: str
    help: str
    short: str = ""
    value: str = ""
    repeats: bool = False
    old_short: str = ""
    """A letter that older scripts use; the help does not show it."""

    def __str__(self) -> str:
        """The lines of the help."""
        head = f"  -{self.short} " if self.short else "     "
        head += f"--{self.name}" + (f"=<{self.value}>" if self.value else "")
        lines = self.help.splitlines()
        first = head.ljust(HELP_COLUMN) + " " + lines[0] if len(head) <= HELP_COLUMN else head
        rest = lines[1:] if len(head) <= HELP_COLUMN else lines
        return "\n".join([first, *(" " * (HELP_COLUMN + 1) + line for line in rest)])


HELP = Option("help", "Show this screen.", "h")
UNIVERSAL = (
    HELP,
    Option(
        "config",
        "Taken and not needed: fabric knows the\ndatastore of its cluster.",
        "c",
        "CONFIG",
    ),
    Option("context", "Taken and not needed.", value="context"),
    Option("log-level", "Taken and not needed.", "l", "level"),
    Option("allow-version-mismatch", "Taken and not needed."),
)
"""What every subcommand takes, so that scripts for the real calicoctl run."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """The words and options behind the subcommand's name."""

    words: tuple[str, ...] = ()
    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values by the option's name; a flag has none."""

    def flag(self, name: str) -> bool:
        return name in self.given

    def value(self, name: str, default: str = "") -> str:
        """The value, the last one where it was given twice."""
        values = self.given.get(name, ())
        return values[-1] if values else default

    def values(self, name: str) -> tuple[str, ...]:
        return self.given.get(name, ())


@dataclass(frozen=True, slots=True)
class Usage:
    """A subcommand's usage: all of its help."""

    name: str
    """`get`, or with a space `ipam show`."""
    synopsis: str
    """What stands behind the name."""
    summary: str
    """A line for the list of subcommands."""
    description: str
    options: tuple[Option, ...] = ()
    examples: tuple[tuple[str, str], ...] = ()
    """What it does, and the words behind `calicoctl`."""
    words_min: int = 0
    words_max: int | None = 0

    def __str__(self) -> str:
        lines = ["Usage:", f"  calicoctl {self.name} {self.synopsis}".rstrip(), ""]
        if self.examples:
            lines.append("Examples:")
            for what, words in self.examples:
                lines += [f"  # {what}", f"  calicoctl {words}", ""]
        lines += ["Options:", *map(str, (*self.options, *UNIVERSAL)), "", "Description:"]
        lines += [f"  {line}".rstrip() for line in self.description.splitlines()]
        return "\n".join(lines)


def parse(usage: Usage, argv: Sequence[str]) -> Arguments:
    """Read what stands behind the subcommand's name; BadUsage. Nothing is missed where help is asked for."""
    known = (*usage.options, *UNIVERSAL)
    words: list[str] = []
    given: dict[str, tuple[str, ...]] = {}
    for option, value in _read(known, argv):
        if option is None:
            words.append(value)
        else:
            given[option.name] = (*given.get(option.name, ()), *((value,) if option.value else ()))
            if len(given[option.name]) > 1 and not option.repeats:
                raise BadUsage(f"--{option.name} is given twice")
    found = Arguments(tuple(words), given)
    if not found.flag("help"):
        _check_count(usage, found.words)
    return found


def _check_count(usage: Usage, words: tuple[str, ...]) -> None:
    if len(words) < usage.words_min:
        raise BadUsage(f"too few words; write: calicoctl {usage.name} {usage.synopsis}")
    if usage.words_max is not None and len(words) > usage.words_max:
        raise BadUsage(f"{words[usage.words_max]!r} is one word too many")


def _read(known: Sequence[Option], argv: Sequence[str]) -> Iterator[tuple[Option | None, str]]:
    """Yield each option with its value, and each word with None."""
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            yield from ((None, each) for each in rest)
            return
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            option = next((option for option in known if option.name == name), None)
            yield _with_value(option, f"--{name}", value if equals else None, rest)
        elif word.startswith("-") and len(word) > 1:
            yield from _shorts(known, word[1:], rest)
        else:
            yield None, word


def _shorts(known: Sequence[Option], letters: str, rest: list[str]) -> Iterator[tuple[Option, str]]:
    """`-As`: flags side by side; what stands behind one that takes a value is the value."""
    while letters:
        letter, letters = letters[0], letters[1:]
        option = next((option for option in known if letter in (option.short, option.old_short)), None)
        if option is not None and option.value and letters:
            yield option, letters.removeprefix("=")
            return
        yield _with_value(option, f"-{letter}", None, rest)


def _with_value(
    option: Option | None, written: str, value: str | None, rest: list[str]
) -> tuple[Option, str]:
    if option is None:
        raise BadUsage(f"unknown flag: {written}")
    if not option.value:
        if value is not None:
            raise BadUsage(f"{written} takes no value")
        return option, ""
    if value is None:
        if not rest:
            raise BadUsage(f"{written} needs a value: <{option.value}>")
        value = rest.pop(0)
    return option, value
