"""Endpoints by the names that kubectl's users know: `pod-1`, `shop/pod-1`, `node/node-1`, or an address."""

from __future__ import annotations

import difflib
import ipaddress

from fabric.errors import BadInput, Problem
from fabric.plugin.policies import Endpoint, World

CLOSE_MAX = 3


def endpoint(world: World, name: str, namespace: str = "default", *, parameter: str = "NAME") -> Endpoint:
    """The endpoint that is meant; an address is its owner. BadInput names those whose name is like it."""
    try:
        return world.at(ipaddress.ip_address(name))
    except ValueError:
        wanted = name if "/" in name else f"{namespace}/{name}"
    found = next((it for it in world.endpoints if str(it) == wanted), None)
    if found is None:
        raise BadInput(Problem(parameter, f"no {wanted!r}{_hint(world, wanted)}"))
    return found


def completions(world: World, incomplete: str, namespace: str = "default") -> list[str]:
    """The names that begin so; pods of the namespace also without it."""
    every = [str(it) for it in world.endpoints]
    short = [it.name for it in world.pods if it.namespace == namespace]
    return [it for it in (*short, *every) if it.startswith(incomplete)]


def _hint(world: World, wanted: str) -> str:
    every = [str(it) for it in world.endpoints]
    if not every:
        return ": there is no pod at all"
    name = wanted.rpartition("/")[2]
    same = [it for it in every if it.rpartition("/")[2] == name]
    close = same or difflib.get_close_matches(wanted, every, CLOSE_MAX)
    if close:
        return f"; did you mean {', '.join(close[:CLOSE_MAX])}?"
    return "; write namespace/pod, node/name or an address, for example " + every[-1]
