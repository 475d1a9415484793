"""The status that Calico reports of a node."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from calico.felix.node_state import NodeState
from calico.resources.bgp_configuration import DEFAULTS
from calico.settings import Settings
from fabric.plugin.contract import AgentStatus

BLOCKS_SHOWN_MAX = 4


@dataclass(frozen=True, slots=True)
class Condition:
    """The facts that are told of a node that is up."""

    state: NodeState
    settings: Settings
    carrier: str
    """What carries IPIP: `kernel` or `user space`; empty where nothing must."""
    mtu: int
    """Of pods; 0 while it is not known."""
    as_number: int = 0
    """The cluster's, for nodes that have none of their own."""
    last_change: str = ""
    """The last plan of Felix."""


def down(why: str) -> AgentStatus:
    """Not yet able to attach pods."""
    return AgentStatus(False, "CalicoIsNotUp", f"Calico is not ready on this node: {why}")


def up(condition: Condition, troubles: Iterable[str]) -> AgentStatus:
    """Pods can be attached; trouble with the store or with BIRD is told, but stops nobody."""
    state = condition.state
    bgp = state.site.node.spec.bgp
    blocks = list(map(str, state.blocks))
    more = f" and {len(blocks) - BLOCKS_SHOWN_MAX} more" if len(blocks) > BLOCKS_SHOWN_MAX else ""
    details = {
        "backend": condition.settings.backend,
        "blocks": ", ".join(blocks[:BLOCKS_SHOWN_MAX]) + more,
        "encapsulation": ", ".join(sorted({pool.spec.encapsulation for pool in state.site.pools} - {""})),
        "ipip-carrier": condition.carrier,
        "mtu": str(condition.mtu or ""),
    }
    if condition.settings.runs_bird and bgp is not None:
        details["as-number"] = str(bgp.as_number or f"({condition.as_number or DEFAULTS.as_number})")
        details["route-reflector"] = bgp.route_reflector_cluster_id
    details["last-plan"] = condition.last_change
    told = list(filter(None, troubles))
    details["trouble"] = "; ".join(told)
    in_user_space = condition.carrier == "user space"
    carrier = "tunl0 is carried in user space: this kernel has no ipip" if in_user_space else ""
    message = "; ".join(filter(None, ("Calico is running on this node", carrier, *told)))
    return AgentStatus(True, "CalicoIsUp", message, {key: value for key, value in details.items() if value})
