"""A plan that Linux refuses is carried out in halves: what is refused stays out alone, all else goes in.

One refused step among n is found by some 2 log2(n) writes. A new chain that is refused leaves a stand-in
where its owner has one (`Owner.stand_in`): without it, what leads to the chain would be refused as well, and
what the chain was to close would be open.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from fabric.errors import KernelRefused
from fabric.netstate.objects import Chain
from fabric.netstate.plan import Plan, Step
from fabric.netstate.port import Host, Owner

ORIGINS_TOLD_MAX = 3


@dataclass(frozen=True)
class Halving:
    """The way of an owner's plans into a namespace that refuses some of their steps."""

    host: Host
    owner: Owner

    async def apply(self, plan: Plan) -> list[KernelRefused]:
        """Apply what can be, and return the refusals; each begins with the objects that asked for the step.

        What a step needs must be in the plan before it (`needed_first`).
        """
        try:
            await self.host.apply(plan)
        except KernelRefused as refusal:
            if len(plan.steps) == 1:
                await self._stand_in(plan.steps[0])
                return [KernelRefused(f"{_asked_for(plan.steps[0])}{refusal}")]
        else:
            return []
        half = len(plan.steps) // 2
        return [
            *await self.apply(Plan(plan.steps[:half])),
            *await self.apply(Plan(plan.steps[half:], plan.flows)),
        ]

    async def _stand_in(self, step: Step) -> None:
        """Put the stand-in of a new chain there, if Linux takes that; what is there already stays."""
        found = self.owner.stand_in(step.obj) if isinstance(step.obj, Chain) and step.verb == "add" else None
        if found is not None:
            with suppress(KernelRefused):
                await self.host.apply(Plan((Step("add", found),)))


def told(refusals: Iterable[KernelRefused]) -> KernelRefused:
    """Return several refusals as one, which says how many there are."""
    first, *others = refusals
    return KernelRefused(f"{first}; and {len(others)} more") if others else first


def _asked_for(step: Step) -> str:
    rules = step.obj.rules if isinstance(step.obj, Chain) else ()
    origins = list(dict.fromkeys(rule.origin for rule in rules if rule.origin))
    more = f" and {len(origins) - ORIGINS_TOLD_MAX} more" if len(origins) > ORIGINS_TOLD_MAX else ""
    return f"{', '.join(origins[:ORIGINS_TOLD_MAX])}{more}: " if origins else ""
