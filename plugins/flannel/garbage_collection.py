"""The garbage collection revokes leases of nodes that are gone for good: at once, where flannel waits a day.

A node is known by its public IP. A key without a lease is a reservation that somebody wrote by hand: it
stays, whether or not its node is there.
"""

from __future__ import annotations

from collections.abc import Sequence

from fabric.plugin.contract import NodeFacts
from fabric.store.port import Delete, ModRevision, Store
from flannel.leases import SUBNETS, parse_lease


async def collect_garbage(nodes: Sequence[NodeFacts], store: Store) -> None:
    """Delete the leases whose public IPs belong to none of `nodes`."""
    present = {interface.ip for facts in nodes for interface in facts.addresses}
    for kv in (await store.range(SUBNETS)).kvs:
        lease = parse_lease(kv.key, kv.value)
        if kv.lease and lease is not None and present.isdisjoint(lease.public_ips):
            await store.txn([ModRevision(kv.key, kv.mod_revision)], [Delete(kv.key)])
