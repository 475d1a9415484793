"""Shell completion: names of what is in the cluster that a half-typed command means.

A completion has no one to complain to: where no cluster is meant, or its files cannot be read (they are
root's), there are no names.
"""

from __future__ import annotations

import typer

from fabric.cli.choice import choose
from fabric.cluster import spec as specs
from fabric.errors import FabricError


def devices(context: typer.Context, incomplete: str) -> list[str]:
    """Nodes, switches and routers, and the control plane."""
    return [name for name in _neighbors(context) if name.startswith(incomplete)]


def far_ends(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the second end of a link: neighbours of the device A."""
    near = _neighbors(context).get(context.params.get("a") or "", [])
    return [name for name in near if name.startswith(incomplete)]


def _neighbors(context: typer.Context) -> dict[str, list[str]]:
    try:
        spec = specs.read(choose(context.params.get("cluster")).spec)
    except (FabricError, OSError):
        return {}
    if spec is None:
        return {}
    wiring = spec.underlay.wiring()
    return {it.name: list(wiring.neighbors(it.name)) for it in wiring.devices}
