"""`$(NAME)` in commands, arguments and values, as Kubernetes has it.

`$(NAME)` becomes the variable's value; `$$` becomes `$`, so `$$(NAME)` stays `$(NAME)`; a name that is
unknown, and a `$` before anything else, stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Return `text` with its references replaced."""

    def replaced(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "$"
        return variables.get(name, match[0])

    return _REFERENCE.sub(replaced, text)
