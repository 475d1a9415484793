"""The evaluator of Calico's policies, together with Kubernetes' ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from calico.policy import kubernetes, policies
from calico.policy.chains import Reader
from calico.policy.description import Describer
from calico.policy.members import GROUP
from calico.policy.parts import Parts
from calico.policy.policies import KINDS, NORMAL, Policy
from calico.policy.walk import Walk
from fabric.api.objects import Object
from fabric.plugin.policies import Decision, Description, Endpoint, Flow, Verdict, World


class CalicoEvaluator:
    """The meaning of a world's policies to Calico. BadPolicy where one of its objects cannot be read."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._parts = Parts(world)
        originals = tuple(world.of_kind("NetworkPolicy", kubernetes.GROUP))
        own = (it for kind in KINDS for it in world.of_kind(kind, GROUP))
        self._objects = [*originals, *kubernetes.without_copies(own, originals)]
        self._policies = [policies.read(it) for it in self._objects]
        self._enforced = Reader(policies.tiers(world, policies.enforced(self._policies)), self._parts.members)

    def judge(self, flow: Flow, *, staged: bool = False) -> Verdict:
        source, target = flow.source, flow.destination
        if not flow.family:
            why = f"{source} and {target} have no IP version in common"
            return Verdict((Decision("egress", str(source), False, why),))
        if source == target or (source.host and source.host == target.host):
            return Verdict((Decision("egress", str(source), True, "it never leaves its own namespace"),))
        walk = Walk(self._parts, self._staged if staged else self._enforced, flow)
        walk.go()
        decisions = walk.decisions or [
            Decision("egress", str(source), True, "no endpoint of Calico's is on its way")
        ]
        return Verdict(tuple(decisions))

    def selected(self, policy: Object) -> Sequence[Endpoint]:
        """The pods, and the nodes by their host endpoints."""
        return self._selected(policies.read(policy))

    def describe(self) -> Sequence[Description]:
        known = {it.name for it in policies.tiers(self._world, self._policies) if it.exists}
        describer = Describer(self._world, self._parts.members, known)
        pairs = zip(self._objects, self._policies, strict=True)
        return [describer.describe(obj, policy, self._selected(policy)) for obj, policy in pairs]

    @cached_property
    def _staged(self) -> Reader:
        tiers = policies.tiers(self._world, policies.as_if_staged(self._policies))
        return Reader(tiers, self._parts.members)

    def _selected(self, policy: Policy) -> Sequence[Endpoint]:
        hosts = {it.node for it in self._parts.hosts if policy.applies(it.labels)}
        pods = [
            it
            for it in self._world.pods
            if not it.is_host_network
            and policy.stage == NORMAL
            and policy.applies(self._parts.members.of_pod(it).labels)
        ]
        return [*pods, *(it for name, it in self._world.nodes.items() if name in hosts)]
