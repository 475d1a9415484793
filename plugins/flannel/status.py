"""The status that flannel tells of a node."""

from __future__ import annotations

from collections.abc import Iterable

from fabric.plugin.contract import AgentStatus
from flannel.node_state import NodeState
from flannel.vxlan import vtep_mac

REFUSALS_MAX = 3


def down(why: str) -> AgentStatus:
    """Not yet able to attach pods."""
    return AgentStatus(False, "FlannelIsNotUp", f"Flannel is not ready on this node: {why}")


def up(state: NodeState, troubles: Iterable[str], last_change: str = "") -> AgentStatus:
    """Pods can be attached; trouble with single peers, or with the store, is told but stops nobody."""
    lease = state.site.lease
    refusals = state.refusals()
    told = [*refusals[:REFUSALS_MAX], *filter(None, troubles)]
    macs = (vtep_mac(lease, 4 if subnet.version == 4 else 6) for subnet in lease.subnets)
    details = {
        "subnet": ", ".join(map(str, lease.subnets)),
        "backend": lease.backend,
        "public-ip": ", ".join(map(str, lease.public_ips)),
        "vtep-mac": ", ".join(filter(None, macs)),
        "mtu": str(state.env.mtu),
        "peers": str(state.peers),
        "unreachable-peers": str(len(refusals)) if refusals else "",
    }
    details["last-plan"] = last_change
    details["trouble"] = "; ".join(told)
    message = "; ".join(("Flannel is running on this node", *told))
    told_details = {key: value for key, value in details.items() if value}
    return AgentStatus(True, "FlannelIsUp", message, told_details, tuple(map(str, lease.subnets)))
