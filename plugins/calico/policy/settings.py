"""FelixConfiguration's word on policies: `default` for all nodes, `node.<name>` for one, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from calico.policy import hosts
from calico.policy.hosts import FAILSAFE, FailsafePort
from calico.policy.members import GROUP
from fabric.plugin.policies import Direction, World
from fabric.plugin.policy_reading import Value

ACTIONS = ("Drop", "Accept", "Return")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one node."""

    endpoint_to_host: str = "Accept"
    """What becomes of a packet of a pod to its own node that its policies allow.

    Felix alone would drop it; calico-node's manifests and the operator say Accept.
    """
    vxlan_port: int = 4789
    allows_vxlan: bool = False
    """Whether pods may send packets that look like the tunnels' own."""
    allows_ipip: bool = False
    inbound: tuple[FailsafePort, ...] = FAILSAFE["ingress"]
    outbound: tuple[FailsafePort, ...] = FAILSAFE["egress"]

    def failsafe(self, direction: Direction) -> tuple[FailsafePort, ...]:
        return self.inbound if direction == "ingress" else self.outbound


class SettingsOfNodes:
    """The settings of every node of a world."""

    def __init__(self, world: World) -> None:
        by_name = {}
        for obj in world.of_kind("FelixConfiguration", GROUP):
            whole = Value.of(obj)
            by_name[whole["metadata"]["name"].text()] = whole["spec"]
        self._by_name: Mapping[str, Value] = by_name

    def of(self, node: str) -> Settings:
        found = Settings()
        for name in ("default", f"node.{node}"):
            if name in self._by_name:
                found = _merged(found, self._by_name[name])
        return found


def _merged(before: Settings, spec: Value) -> Settings:
    action = spec["defaultEndpointToHostAction"].text().capitalize()
    inbound, outbound = hosts.failsafe_ports(spec, "ingress"), hosts.failsafe_ports(spec, "egress")
    return replace(
        before,
        endpoint_to_host=action or before.endpoint_to_host,
        vxlan_port=spec["vxlanPort"].whole(1) or before.vxlan_port,
        allows_vxlan=spec["allowVXLANPacketsFromWorkloads"].flag(before.allows_vxlan),
        allows_ipip=spec["allowIPIPPacketsFromWorkloads"].flag(before.allows_ipip),
        inbound=before.inbound if inbound is None else inbound,
        outbound=before.outbound if outbound is None else outbound,
    )
