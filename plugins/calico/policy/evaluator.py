"""The evaluator of Calico's policies, together with Kubernetes' ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from calico.policy import kubernetes, policies
from calico.policy.chains import Reader
from calico.policy.members import GROUP
from calico.policy.parts import Parts
from calico.policy.policies import KINDS, NORMAL
from calico.policy.rules import Entity
from calico.policy.walk import Walk
from fabric.api.objects import Object
from fabric.plugin.policies import Decision, Direction, Endpoint, Flow, Verdict, World


class CalicoEvaluator:
    """What the policies of a world mean to Calico. BadPolicy where one of its objects cannot be read."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._parts = Parts(world)
        objects = [
            *world.of_kind("NetworkPolicy", kubernetes.GROUP),
            *(it for kind in KINDS for it in world.of_kind(kind, GROUP)),
        ]
        self._policies = [policies.read(it) for it in objects]
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
        found = policies.read(policy)
        hosts = {it.node for it in self._parts.hosts if found.applies(it.labels)}
        pods = [
            it
            for it in self._world.pods
            if not it.is_host_network and found.stage == NORMAL and found.applies(self._labels(it))
        ]
        return [*pods, *(it for name, it in self._world.nodes.items() if name in hosts)]

    def peers(self, policy: Object, direction: Direction, rule: int) -> Sequence[Endpoint]:
        """The endpoints one of whose addresses the source, or for egress the destination, means."""
        rules = [it for it in policies.read(policy).rules(direction) if it.index == rule]
        entities = [it.source if direction == "ingress" else it.destination for it in rules]
        return [it for it in self._world.endpoints if any(self._means(entity, it) for entity in entities)]

    @cached_property
    def _staged(self) -> Reader:
        tiers = policies.tiers(self._world, policies.as_if_staged(self._policies))
        return Reader(tiers, self._parts.members)

    def _labels(self, pod: Endpoint) -> dict[str, str]:
        return dict(self._parts.members.of_pod(pod).labels)

    def _means(self, entity: Entity, endpoint: Endpoint) -> bool:
        members = self._parts.members
        places = members.services.places(*entity.service) if entity.service else None
        for address in endpoint.addresses:
            inside = not entity.networks or any(address in it for it in entity.networks)
            outside = any(address in it for it in entity.not_networks)
            selected = entity.selector is None or members.selects(entity.selector, address)
            excluded = entity.not_selector is not None and members.selects(entity.not_selector, address)
            served = places is None or any(it[0] == address for it in places)
            if inside and not outside and selected and not excluded and served:
                return True
        return False
