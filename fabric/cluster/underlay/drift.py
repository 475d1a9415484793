"""The drift of an underlay: what would bring each namespace to the spec, which nobody carries out here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from fabric.cluster.underlay.state import Underlay
from fabric.kernel.linux import LinuxKernel
from fabric.netstate.plan import Plan, diff


async def drift(underlay: Underlay, pids: Mapping[str, int], names: Iterable[str]) -> Mapping[str, Plan]:
    """Read these namespaces and return, of those that differ, what would bring them to the spec.

    `pids` has a process of each namespace; KernelRefused when one cannot be read.
    """
    kernel = LinuxKernel(pids)

    async def plan(name: str) -> Plan:
        return diff(underlay.states[name], await kernel.host(name).read(underlay.owner(name)))

    wanted = sorted(names)
    try:
        plans = zip(wanted, await asyncio.gather(*(plan(name) for name in wanted)), strict=True)
        return {name: plan for name, plan in plans if plan}
    finally:
        kernel.close()
