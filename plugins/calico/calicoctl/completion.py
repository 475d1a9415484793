"""Completion offers a shell the words behind half of a calicoctl command: subcommands, kinds, options.

calicoctl ip<TAB> → ipam    calicoctl ipam s<TAB> → show, split    calicoctl get ipp<TAB> → ippools
calicoctl get ippools -o <TAB> → ps, wide, yaml, json, custom-columns=
"""

from __future__ import annotations

from collections.abc import Sequence

from calico.calicoctl.arguments import UNIVERSAL, Option, Usage
from calico.calicoctl.session import Subcommand
from calico.resources.table import KINDS

_VALUES = {
    "output": ("ps", "wide", "yaml", "json", "custom-columns=", "go-template=", "go-template-file="),
    "type": ("strategic", "merge", "json"),
    "strictaffinity": ("true", "false"),
}
"""The values of options that have few, by the option's name."""


def complete(subcommands: Sequence[Subcommand], words: Sequence[str], incomplete: str) -> Sequence[str]:
    """The words that may stand behind these, those that begin as what is typed so far."""
    return sorted({word for word in _possible(subcommands, words, incomplete) if word.startswith(incomplete)})


def _possible(subcommands: Sequence[Subcommand], words: Sequence[str], incomplete: str) -> Sequence[str]:
    names = [it.usage.name.split() for it in subcommands]
    count = len(words)
    if behind := [name[count] for name in names if len(name) > count and name[:count] == list(words)]:
        return behind
    usage = next((it.usage for it in subcommands if _begins(words, it.usage)), None)
    if usage is None:
        return ()
    return _of_usage(usage, words[len(usage.name.split()) :], incomplete)


def _begins(words: Sequence[str], usage: Usage) -> bool:
    name = usage.name.split()
    return list(words[: len(name)]) == name


def _of_usage(usage: Usage, words: Sequence[str], incomplete: str) -> Sequence[str]:
    options = (*usage.options, *UNIVERSAL)
    before = next((it for it in options if words and it.value and words[-1] in _spellings(it)), None)
    if before is not None:
        return _VALUES.get(before.name, ())
    if incomplete.startswith("-"):
        return [f"--{option.name}" for option in options]
    takes_kind = "<KIND>" in usage.synopsis and not any(not word.startswith("-") for word in words)
    return [kind.plural for kind in KINDS] if takes_kind else ()


def _spellings(option: Option) -> Sequence[str]:
    return (f"--{option.name}", f"-{option.short}") if option.short else (f"--{option.name}",)
