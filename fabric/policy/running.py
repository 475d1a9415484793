"""The world of a running cluster, asked of its API server."""

from __future__ import annotations

from contextlib import suppress

from fabric.api import kinds
from fabric.api.kinds import NETWORK_POLICY, Kind
from fabric.api.objects import Object
from fabric.cluster import lookup
from fabric.cluster.paths import ClusterPaths
from fabric.errors import NotFound
from fabric.plugin import registry
from fabric.plugin.policies import Evaluator, World
from fabric.policy import evaluators, worlds
from fabric.policy.predicted import flow_to
from fabric.verify.matrix import Port
from fabric.verify.reachability import Closed

_KINDS = (kinds.POD, kinds.NODE, kinds.NAMESPACE, kinds.SERVICE_ACCOUNT, NETWORK_POLICY)
_PLACES = ("WorkloadEndpoint", "BlockAffinity")
"""Kinds with as many objects as the cluster has pods, of which none says anything of policies."""
_POLICIES = ("NetworkPolicy", "GlobalNetworkPolicy")


def world_of(paths: ClusterPaths) -> World:
    """Read everything that policies may speak of; FabricError when the API server does not answer."""
    network = lookup.need_spec(paths).network
    brought = registry.load(network.plugin).custom_resources(network.config())
    wanted = (*_KINDS, *(it for it in brought if it.kind not in _PLACES))
    return worlds.of_cluster([obj for kind in wanted for obj in _listed(paths, kind)])


def _listed(paths: ClusterPaths, kind: Kind) -> list[Object]:
    with suppress(NotFound):  # a kind that this cluster does not serve
        return [{"apiVersion": kind.api_version, "kind": kind.kind, **it} for it in lookup.every(paths, kind)]
    return []


def plugin_of(paths: ClusterPaths) -> str:
    return lookup.need_spec(paths).network.plugin


def evaluator_of(paths: ClusterPaths, world: World) -> Evaluator:
    """The evaluator of the cluster's network plugin."""
    return evaluators.of(plugin_of(paths), world)


def closed_pings(paths: ClusterPaths) -> Closed:
    """The pairs of pods whose pings policies drop; a cluster without policies is read no further."""
    network = lookup.need_spec(paths).network
    brought = registry.load(network.plugin).custom_resources(network.config())
    kinds_of_policies = (NETWORK_POLICY, *(it for it in brought if it.kind in _POLICIES))
    if not any(_listed(paths, kind) for kind in kinds_of_policies):
        return lambda source, target: False
    world = world_of(paths)
    judge = evaluator_of(paths, world).judge
    by_name = {str(pod): pod for pod in world.pods}

    def closed(source: str, target: str) -> bool:
        known = source in by_name and target in by_name
        return known and not judge(flow_to(by_name[source], by_name[target], Port("icmp"))).allowed

    return closed
