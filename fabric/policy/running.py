"""The world of a running cluster, asked of its API server."""

from __future__ import annotations

from contextlib import suppress

from fabric.api import kinds
from fabric.api.kinds import Kind
from fabric.api.objects import Object
from fabric.cluster import lookup
from fabric.cluster.paths import ClusterPaths
from fabric.errors import NotFound
from fabric.plugin import registry
from fabric.plugin.policies import Evaluator, World
from fabric.policy import evaluators, worlds

NETWORK_POLICY = Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", True, ("netpol",))
_KINDS = (kinds.POD, kinds.NODE, kinds.NAMESPACE, kinds.SERVICE_ACCOUNT, NETWORK_POLICY)
_PLACES = ("WorkloadEndpoint", "BlockAffinity")
"""Kinds with as many objects as the cluster has pods, of which none says anything of policies."""


def world_of(paths: ClusterPaths) -> World:
    """Read everything that policies may speak of; FabricError when the API server does not answer."""
    network = lookup.need_spec(paths).network
    brought = registry.load(network.plugin).custom_resources(network.config())
    found: list[Object] = []
    for kind in (*_KINDS, *(it for it in brought if it.kind not in _PLACES)):
        with suppress(NotFound):  # a kind that this cluster does not serve
            listed = lookup.every(paths, kind)
            found += ({"apiVersion": kind.api_version, "kind": kind.kind, **it} for it in listed)
    return worlds.of_cluster(found)


def plugin_of(paths: ClusterPaths) -> str:
    return lookup.need_spec(paths).network.plugin


def evaluator_of(paths: ClusterPaths, world: World) -> Evaluator:
    """The evaluator of the cluster's network plugin."""
    return evaluators.of(plugin_of(paths), world)
