"""The kinds that a cluster serves: Kubernetes' own, and those of its network plugin."""

from __future__ import annotations

from fabric.api.kinds import BUILT_IN, KindTable
from fabric.cluster import spec as specs
from fabric.cluster.spec import ClusterSpec
from fabric.plugin import registry
from fabric.topology.model import Topology


def of_cluster(spec: ClusterSpec) -> KindTable:
    """The table of a cluster's API server, and of everybody who goes through all kinds."""
    plugin = registry.load(spec.network.plugin)
    return KindTable((*BUILT_IN, *plugin.custom_resources(spec.network.config())))


def of_topology(topology: Topology) -> KindTable:
    """The table that a cluster of this topology will have; its network section has been checked."""
    return of_cluster(specs.choose(topology, None, api_port=0, workers=1))
