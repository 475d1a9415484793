"""The registry of built-in programs: each is a fork of the runtime that goes on as a program of its own.

A built-in program costs no exec and shares the runtime's memory. It is looked up by the first word of a
command, before the file system is.
"""

from __future__ import annotations

import os

from fabric.runtime.builtin import carrier, echo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

    Main = Callable[[Sequence[str], Mapping[str, str]], NoReturn]

_NOBODY = 65534


class Builtin:
    """A built-in program: `main` takes the words after its name, and the environment."""

    __slots__ = ("_is_root", "_main", "in_containers")

    def __init__(self, main: Main, *, in_containers: bool, is_root: bool) -> None:
        self._main = main
        self._is_root = is_root
        self.in_containers = in_containers
        """False for a program that only nodes have."""

    def run(self, argv: Sequence[str], env: Mapping[str, str], uid: int, gid: int) -> NoReturn:
        """Take on the user, or nobody where root is not needed, and go on as the program."""
        if not self._is_root:
            os.setgid(gid or _NOBODY)
            os.setuid(uid or _NOBODY)
        self._main(argv[1:], env)
        raise AssertionError("a program came back")


PROGRAMS = {
    **dict.fromkeys(
        # Manifests of Kubernetes' own tests call the program of their image by its path.
        (echo.PROGRAM, "agnhost", "/agnhost"),
        Builtin(echo.main, in_containers=True, is_root=False),
    ),
    carrier.PROGRAM: Builtin(carrier.main, in_containers=False, is_root=True),
}


def find(name: str, *, in_container: bool) -> Builtin | None:
    """Return the built-in program of this name, where it may run there."""
    known = PROGRAMS.get(name)
    return known if known is not None and (known.in_containers or not in_container) else None
