"""The cluster's first resources, written once: pools, tiers, those of the topology, then ClusterInformation.

ClusterInformation comes last and says that all was written: from then on the resources are the user's, and
what calicoctl changed or deleted stays so. Cut in the middle, it begins again and finds done what is done.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from calico.ipam import keys
from calico.ipam.configuration import Configuration
from calico.resources import datastore
from calico.resources.endpoints import DEFAULT_ALLOW, ClusterInformation, Profile
from calico.resources.envelope import Resource
from calico.resources.felix import FelixConfiguration
from calico.resources.rules import PolicyRule
from calico.resources.tiers import own_tiers
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
    """Tiers come before the policies in them."""
    yield from settings.pools
    yield from own_tiers()
    allow = (PolicyRule(action="Allow"),)
    yield Profile.named(DEFAULT_ALLOW, ingress=allow, egress=allow)
    is_given = False
    for resource in settings.resources:
        is_default = isinstance(resource, FelixConfiguration) and resource.name == "default"
        is_given = is_given or is_default
        yield _started(resource) if isinstance(resource, FelixConfiguration) and is_default else resource
    if not is_given:
        yield _started(FelixConfiguration.named("default"))


def _started(felix: FelixConfiguration) -> FelixConfiguration:
    """The default FelixConfiguration with what calico-node writes into it at its first start."""
    spec = felix.spec
    severity = spec.log_severity_screen or "Info"
    rest = {"reportingInterval": "0s", **spec.rest}
    return replace(felix, spec=replace(spec, log_severity_screen=severity, rest=rest))


def _information(settings: Settings) -> ClusterInformation:
    return ClusterInformation.named(
        "default",
        cluster_guid=uuid.uuid4().hex,
        cluster_type="k8s,bgp" if settings.runs_bird else "k8s",
        calico_version=VERSION,
        datastore_ready=True,
    )
