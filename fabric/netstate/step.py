"""A step is one change to Linux, and prints as iproute2 would be told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fabric.netstate.objects import NetObject

Verb = Literal["add", "replace", "delete"]


@dataclass(frozen=True, slots=True)
class Step:
    """A step is one change to Linux."""

    verb: Verb
    obj: NetObject
    old: NetObject | None = None
    """With `replace`: what stands there now."""

    def __str__(self) -> str:
        return f"{self.verb} {self.obj}"
