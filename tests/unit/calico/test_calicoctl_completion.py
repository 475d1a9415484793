"""The words that a shell offers behind half of a calicoctl command."""

from __future__ import annotations

import pytest

from calico.calicoctl.command import SUBCOMMANDS, Calicoctl
from calico.resources.table import KINDS

KIND_NAMES = sorted(kind.plural for kind in KINDS)


@pytest.mark.parametrize(
    ("words", "incomplete", "offered"),
    [
        ([], "", sorted({it.usage.name.split()[0] for it in SUBCOMMANDS})),
        ([], "re", ["replace"]),
        ([], "nothing", []),
        (["ipam"], "", ["check", "configure", "release", "show", "split"]),
        (["datastore", "migrate"], "", ["lock", "unlock"]),
        (["get"], "", KIND_NAMES),
        (["delete"], "bgpp", ["bgppeers"]),
        (["get", "ippools"], "", []),
        (["get", "ippools"], "--exp", ["--export"]),
        (["get", "ippools", "-o"], "w", ["wide"]),
        (["get", "ippools", "-o"], "go", ["go-template-file=", "go-template="]),
        (["get", "ippools", "--output"], "y", ["yaml"]),
        (["patch", "ippool", "pool-1", "--type"], "", ["json", "merge", "strategic"]),
        (["ipam", "configure", "--strictaffinity"], "", ["false", "true"]),
        (["ipam", "show"], "--show-b", ["--show-blocks", "--show-borrowed"]),
        (["create", "-f"], "", []),
        (["apply"], "", []),
        (["frobnicate"], "", []),
    ],
)
def test_a_half_typed_command_is_offered_what_may_follow(words, incomplete, offered):
    assert Calicoctl().complete(words, incomplete) == offered
