"""The choice of a world's evaluator: a network plugin's own, or the specification of Kubernetes alone."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from fabric.api.objects import Object
from fabric.errors import BadInput, Problem
from fabric.plugin import registry
from fabric.plugin.contract import NetworkConfig
from fabric.plugin.policies import (
    Decision,
    Description,
    Endpoint,
    Evaluator,
    Flow,
    Judge,
    Verdict,
    World,
    group_of,
)
from fabric.policy import network_policies
from fabric.policy.kubernetes import KubernetesEvaluator

KUBERNETES = "kubernetes"
"""The name of the specification where plugins' names stand."""
_ANY_CONFIG = NetworkConfig((ipaddress.ip_network("10.244.0.0/16"),), (ipaddress.ip_network("10.96.0.0/12"),))


class AllowsAll:
    """The evaluator of a plugin that enforces no policies."""

    def __init__(self, plugin: str) -> None:
        self._plugin = plugin

    def judge(self, flow: Flow, *, staged: bool = False) -> Verdict:
        why = f"the network plugin {self._plugin} ignores policies"
        source, target = str(flow.source), str(flow.destination)
        return Verdict((Decision("egress", source, True, why), Decision("ingress", target, True, why)))

    def selected(self, policy: Object) -> Sequence[Endpoint]:
        return ()

    def describe(self) -> Sequence[Description]:
        return ()


def names() -> tuple[str, ...]:
    """The names that `--plugin` takes."""
    return (KUBERNETES, *registry.installed())


def of(plugin: str, world: World, *, parameter: str = "--plugin") -> Evaluator:
    """The evaluator of that plugin; BadInput names those there are, BadPolicy what it cannot read."""
    if plugin == KUBERNETES:
        return KubernetesEvaluator(world)
    if plugin not in registry.installed():
        raise BadInput(Problem(parameter, f"no {plugin!r}; there: {', '.join(names())}"))
    found = registry.load(plugin)
    evaluator = found.policy_evaluator(world) if isinstance(found, Judge) else None
    return evaluator or AllowsAll(plugin)


def plugin_for(world: World) -> str:
    """The first plugin that judges and has a kind of its own in the world; else the specification."""
    groups = {group_of(it) for it in world.objects}
    return next((name for name in _judges() if groups & set(groups_of(name))), KUBERNETES)


def groups_of(plugin: str) -> tuple[str, ...]:
    """The API groups of the kinds that a plugin brings."""
    if plugin not in registry.installed():
        return ()
    kinds = registry.load(plugin).custom_resources(_ANY_CONFIG)
    return tuple(dict.fromkeys(it.group for it in kinds))


def without_effect(world: World, plugin: str, evaluator: Evaluator) -> list[tuple[Object, str]]:
    """Policies of kinds that the plugin does not read, each with the reason: all, where it enforces none."""
    given = [it for it in world.objects if "NetworkPolic" in str(it.get("kind"))]
    if isinstance(evaluator, AllowsAll):
        return [(it, f"the network plugin {plugin} ignores policies: it changes nothing") for it in given]
    read = {network_policies.GROUP, *groups_of(plugin)} if plugin != KUBERNETES else {network_policies.GROUP}
    return [
        (it, f"{plugin} does not read {it.get('apiVersion')}: it changes nothing")
        for it in given
        if group_of(it) not in read
    ]


def _judges() -> Iterator[str]:
    return (name for name in registry.installed() if isinstance(registry.load(name), Judge))
