"""Admission checks a write against the other resources, and removes what depends on a deleted one.

calicoctl and the API server both come through here, so that neither lets in what the other refuses. As in
Calico this is a look before the write: who writes past both at the same moment is not held back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from calico.ipam.affinities import release_pool
from calico.ipam.records import block_cidrs
from calico.resources import datastore
from calico.resources.consistency import changed_pool, conflicting_blocks, overlapping_pools, pools_outside
from calico.resources.endpoints import DEFAULT_ALLOW, Profile
from calico.resources.envelope import Resource
from calico.resources.policies import POLICIES, Policy
from calico.resources.pools import IPPool
from calico.resources.refusals import InvalidResource, Refusal
from calico.resources.tiers import OWN, Tier
from fabric.errors import Forbidden
from fabric.netstate.objects import IPNetwork
from fabric.store.port import Store

DRAIN_SECONDS = 0.5
"""What a disabled pool gives allocations that had begun, as Calico does."""


async def check(store: Store, pod_cidrs: Sequence[IPNetwork], new: Resource, old: Resource | None) -> None:
    """Raise InvalidResource when `new` may not be beside the others, or not come after `old`."""
    if isinstance(new, IPPool):
        found = list(changed_pool(old, new)) if isinstance(old, IPPool) else []
        if old is None:
            found = await _new_pool(store, pod_cidrs, new)
        if found:
            raise InvalidResource(new.KIND, new.name, found)
    if isinstance(new, POLICIES):
        await _check_tier(store, new, old)
    if isinstance(new, Profile) and new.name == DEFAULT_ALLOW and (old is None or new.spec != old.spec):
        raise _not_supported("update", new.name, "it is Calico's own and cannot be changed")


async def _check_tier(store: Store, new: Policy, old: Resource | None) -> None:
    """Raise InvalidResource for a policy that comes into a tier which is not there."""
    tier = new.spec.tier
    stays = isinstance(old, POLICIES) and old.spec.tier == tier
    if not stays and await datastore.get(store, Tier, tier) is None:
        reason = f"resource does not exist: Tier({tier}); create the tier first"
        raise InvalidResource(new.KIND, new.name, [Refusal("spec.tier", reason, tier)])


async def before_delete(store: Store, resource: Resource) -> Resource:
    """Release what hangs on a resource before it is removed; returns it as it then stands.

    A pool is disabled, then nodes lose their affinities to its blocks; addresses in use stay with their pods.
    Conflict when it is not as given, Forbidden for what has to stay.
    """
    if isinstance(resource, Tier):
        await _leave_tier(store, resource)
    if isinstance(resource, Profile) and resource.name == DEFAULT_ALLOW:
        raise _not_supported("delete", resource.name, "it is Calico's own and cannot be deleted")
    if not isinstance(resource, IPPool):
        return resource
    if not resource.spec.disabled:
        resource = await datastore.update(
            store, replace(resource, spec=replace(resource.spec, disabled=True))
        )
        await asyncio.sleep(DRAIN_SECONDS)
    await release_pool(store, resource.spec.cidr)
    return resource


async def _leave_tier(store: Store, tier: Tier) -> None:
    if tier.name in OWN:
        raise _not_supported("delete", tier.name, f"Cannot delete {tier.name} tier")
    for noun in POLICIES:
        for policy in await datastore.listed(store, noun):
            if policy.spec.tier == tier.name:
                why = f"Cannot delete a non-empty tier; {datastore.title(policy)} is in it"
                raise _not_supported("delete", tier.name, why)


def _not_supported(operation: str, name: str, why: str) -> Forbidden:
    return Forbidden(f"operation {operation} is not supported on {name}: {why}")


async def _new_pool(store: Store, pod_cidrs: Sequence[IPNetwork], new: IPPool) -> list[Refusal]:
    others = [pool for pool in await datastore.listed(store, IPPool) if pool.name != new.name]
    found = (*overlapping_pools([*others, new]), *pools_outside([new], pod_cidrs))
    own = [refusal for name, refusal in found if name == new.name]
    return [*own, *conflicting_blocks(new, await block_cidrs(store, new.spec.family))]
