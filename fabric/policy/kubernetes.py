"""The evaluator of networking.k8s.io/v1 NetworkPolicies, by the specification and nothing else.

Policies are additive lists of what is allowed. A pod is isolated for a direction when a policy of its
namespace selects it and lists that direction; then a flow passes it when a rule of such a policy matches. A
flow arrives when egress of its source and ingress of its destination allow it. Where the specification
leaves a choice, this takes the one that nearly all implementations take: a pod of the host's network is its
node, and a rule without ports means every protocol.
"""

from __future__ import annotations

from collections.abc import Sequence

from fabric.api.objects import Object
from fabric.plugin.policies import Decision, Description, Direction, Endpoint, Flow, Verdict, World
from fabric.policy import descriptions
from fabric.policy.network_policies import GROUP, KIND, read


class KubernetesEvaluator:
    """The meaning of a world's NetworkPolicies to a plugin that enforces them and nothing else."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._policies = [read(it) for it in world.of_kind(KIND, GROUP)]

    def judge(self, flow: Flow, *, staged: bool = False) -> Verdict:
        """Kubernetes has no staged policies: `staged` changes nothing."""
        source, destination = flow.source, flow.destination
        if not flow.family:
            why = f"{source} and {destination} have no IP version in common"
            return Verdict((Decision("egress", str(source), False, why),))
        if source == destination or (source.host and source.host == destination.host):
            return Verdict((Decision("egress", str(source), True, "it never leaves its own namespace"),))
        egress = self._decision("egress", flow, source, destination)
        if source.host and source.host == destination.node:
            why = "its own node always reaches it"
            return Verdict((egress, Decision("ingress", str(destination), True, why)))
        return Verdict((egress, self._decision("ingress", flow, destination, source)))

    def selected(self, policy: Object) -> Sequence[Endpoint]:
        found = read(policy)
        return [it for it in self._world.endpoints if found.selects(it)]

    def describe(self) -> Sequence[Description]:
        return [descriptions.of(it, read(it), self._world) for it in self._world.of_kind(KIND, GROUP)]

    def _decision(self, direction: Direction, flow: Flow, mine: Endpoint, peer: Endpoint) -> Decision:
        at = str(mine)
        if mine.kind == "address":
            return Decision(direction, at, True, "it is outside of the cluster")
        applying = [it for it in self._policies if direction in it.types and it.selects(mine)]
        if mine.host:
            return Decision(direction, at, True, "policies do not select what is in a node's own network")
        if not applying:
            return Decision(direction, at, True, f"no NetworkPolicy selects it for {direction}")
        names = tuple(it.reference for it in applying)
        address = peer.address(flow.family)
        assert address is not None
        misses = []
        for policy in applying:
            for rule in policy.rules(direction):
                miss = rule.mismatch(flow, peer, address, self._world)
                if not miss:
                    why = f"{policy.reference} allows it: spec.{direction}[{rule.index}]"
                    return Decision(
                        direction, at, True, why, policy.reference, rule.index, rule.text, selected_by=names
                    )
                misses.append(f"{policy.reference} spec.{direction}[{rule.index}]: {miss}")
        why = f"isolated for {direction} by {', '.join(names)}, and no rule of them matches"
        return Decision(direction, at, False, why, selected_by=names, notes=tuple(misses))
