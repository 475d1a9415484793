"""The controllers of one cluster: policies, namespaces, service accounts, and the labels of pods."""

from __future__ import annotations

import asyncio

from calico.calc.reading import KUBERNETES_PREFIX
from calico.kube_controllers import conversion
from calico.kube_controllers.mirror import Mirror
from calico.kube_controllers.workload_labels import WorkloadLabels
from calico.resources.endpoints import Profile
from calico.resources.policies import NetworkPolicy
from calico.syncer import PREFIX
from fabric.api.kinds import NAMESPACE, NETWORK_POLICY, SERVICE_ACCOUNT
from fabric.api.objects import Key
from fabric.control.clock import Clock
from fabric.plugin.contract import ClusterContext


class KubeControllers:
    """All of calico-kube-controllers that concerns policies; one process of the cluster runs it."""

    def __init__(self, context: ClusterContext, clock: Clock) -> None:
        self._context = context
        self._clock = clock
        informers = context.informers
        self._policies = Mirror(
            NetworkPolicy,
            informers.of(NETWORK_POLICY),
            lambda key: Key(key.namespace, conversion.policy_name(key.name)),
            _policy,
            conversion.network_policy,
        )
        self._namespaces = Mirror(
            Profile,
            informers.of(NAMESPACE),
            lambda key: Key("", conversion.namespace_profile_name(key.name)),
            lambda key: Key("", key.name.removeprefix("kns.")) if key.name.startswith("kns.") else None,
            conversion.namespace_profile,
        )
        self._accounts = Mirror(
            Profile,
            informers.of(SERVICE_ACCOUNT),
            lambda key: Key("", conversion.account_profile_name(key.namespace, key.name)),
            _account,
            conversion.account_profile,
        )
        self._labels = WorkloadLabels(informers)

    async def run(self) -> None:
        """Run for ever."""
        store, reflector = self._context.store, self._context.reflectors.of(PREFIX)
        async with asyncio.TaskGroup() as tasks:
            for mirror in (self._policies, self._namespaces, self._accounts):
                tasks.create_task(mirror.run(store, reflector, self._clock))
            tasks.create_task(self._labels.run(store, reflector))


def _policy(key: Key) -> Key | None:
    name = key.name.removeprefix(KUBERNETES_PREFIX)
    return Key(key.namespace, name) if name != key.name else None


def _account(key: Key) -> Key | None:
    """The service account of a profile `ksa.default.robot`; a namespace has no dot in its name."""
    prefix, _, rest = key.name.partition(".")
    namespace, _, name = rest.partition(".")
    return Key(namespace, name) if prefix == "ksa" and name else None
