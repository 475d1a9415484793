"""The cluster's first resources, written once: pools, resources of the topology, then ClusterInformation.

ClusterInformation comes last and says that all was written: from then on the resources are the user's, and
what calicoctl changed or deleted stays so. Cut in the middle, it begins again and finds done what is done.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import suppress

from calico.ipam import keys
from calico.ipam.configuration import Configuration
from calico.resources import datastore
from calico.resources.endpoints import ClusterInformation
from calico.resources.envelope import Resource
from calico.resources.felix import FelixConfiguration
from calico.settings import Settings
from calico.version import VERSION
from fabric.control.clock import Clock
from fabric.errors import AlreadyExists
from fabric.store.port import ModRevision, Put, Store


async def write(store: Store, clock: Clock, settings: Settings) -> None:
    """Write what is not there, unless all was written before."""
    if await datastore.get(store, ClusterInformation, "default") is not None:
        return
    for resource in _resources(settings):
        with suppress(AlreadyExists):
            await datastore.create(store, resource, clock)
    await store.txn([ModRevision(keys.CONFIG, 0)], [Put(keys.CONFIG, Configuration().to_json())])
    with suppress(AlreadyExists):
        await datastore.create(store, _information(settings), clock)


def _resources(settings: Settings) -> Iterable[Resource]:
    yield from settings.pools
    yield from settings.resources
    if not any(isinstance(it, FelixConfiguration) and it.name == "default" for it in settings.resources):
        yield FelixConfiguration.named("default")


def _information(settings: Settings) -> ClusterInformation:
    return ClusterInformation.named(
        "default",
        cluster_guid=uuid.uuid4().hex,
        cluster_type="k8s,bgp" if settings.runs_bird else "k8s",
        calico_version=VERSION,
        datastore_ready=True,
    )
