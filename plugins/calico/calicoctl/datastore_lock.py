"""datastore migrate lock and unlock: while the datastore is locked, nodes give no new pod an address.

`ipam check` can then be believed, and `ipam release --from-report` and `ipam split` ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from calico.calicoctl.arguments import Arguments, Usage
from calico.calicoctl.ipam_report import cluster_information
from calico.calicoctl.session import Refused, Session, Subcommand
from calico.resources import datastore
from fabric.errors import Conflict
from fabric.store.port import Store

LOCK_TRIES_MAX = 10


async def _lock(session: Session, arguments: Arguments) -> None:
    await _set_ready((await session.cluster()).store, False)
    session.say("Datastore locked.")


async def _unlock(session: Session, arguments: Arguments) -> None:
    await _set_ready((await session.cluster()).store, True)
    session.say("Datastore unlocked.")


async def _set_ready(store: Store, ready: bool) -> None:
    for _ in range(LOCK_TRIES_MAX):
        information = await cluster_information(store)
        if information.spec.datastore_ready is ready:
            return
        spec = replace(information.spec, datastore_ready=ready)
        try:
            await datastore.update(store, replace(information, spec=spec))
            return
        except Conflict:
            continue
    raise Refused("ClusterInformation changes all the time: try again")


SUBCOMMANDS: Sequence[Subcommand] = (
    Subcommand(
        Usage(
            "datastore migrate lock",
            "",
            "Lock the datastore.",
            "Nodes give no new pod an address until it is unlocked.",
        ),
        _lock,
    ),
    Subcommand(Usage("datastore migrate unlock", "", "Unlock the datastore.", "Nodes go on."), _unlock),
)
