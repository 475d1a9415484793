"""`$(NAME)` in commands, arguments and values, as Kubernetes has it, within Linux' limits for arguments.

`$(NAME)` becomes the variable's value; `$$` becomes `$`, so `$$(NAME)` stays `$(NAME)`; a name that is
unknown, and a `$` before anything else, stay as they are. References that double each other would grow
without end; execve takes no string beyond 128 KiB and no more than 2 MiB of them, so no more is ever made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from fabric.kubelet.records import CreateFailed

STRING_BYTES_MAX = 128 * 1024
"""MAX_ARG_STRLEN, the NUL at the end included."""
ALL_BYTES_MAX = 2 * 1024 * 1024
"""All arguments and variables with their NULs: a quarter of the stack's limit of 8 MiB."""

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


class ArgumentListTooLong(CreateFailed):
    """E2BIG, before Linux says it."""


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Return `text` with its references replaced; ArgumentListTooLong beyond 128 KiB."""
    parts: list[str] = []
    size = position = 0
    for match in _REFERENCE.finditer(text):
        name = match[1]
        value = "$" if name is None else variables.get(name, match[0])
        parts += (text[position : match.start()], value)
        position = match.end()
        size += len(parts[-2]) + len(value)
        if size >= STRING_BYTES_MAX:
            break
    expanded = "".join((*parts, text[position:]))
    if "$" in text:
        bytes_of(expanded)
    return expanded


def bytes_of(text: str) -> int:
    """Return what one string of an argument list takes; ArgumentListTooLong when it is too long for one."""
    size = len(text.encode(errors="surrogatepass")) + 1
    if size > STRING_BYTES_MAX:
        raise ArgumentListTooLong(
            f"argument list too long: {text[:32]!r}... has {size} bytes or more after its $(NAME) references "
            f"were replaced; Linux takes {STRING_BYTES_MAX} at most"
        )
    return size


def check_room(size: int) -> None:
    """Raise ArgumentListTooLong when that many bytes are more than a program can be given."""
    if size > ALL_BYTES_MAX:
        raise ArgumentListTooLong(
            f"argument list too long: arguments and variables have {size} bytes or more; "
            f"Linux takes {ALL_BYTES_MAX} at most"
        )


def check_arguments(argv: Iterable[str], env: Mapping[str, str]) -> None:
    """Raise ArgumentListTooLong for what execve would refuse."""
    words = [*argv, *(f"{name}={value}" for name, value in env.items())]
    check_room(sum(map(bytes_of, words)))
