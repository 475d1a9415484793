"""Everything that Felix wants in one node's kernel, over changing blocks and peers.

What one block or one peer needs is computed once and kept until it changes, so that a new block in the
cluster costs each node one block.
"""

from __future__ import annotations

from collections.abc import Mapping

from calico.felix import nat, routes, tunnels
from calico.felix.site import Site
from calico.ipam.blocks import Block
from calico.resources.nodes import Node
from calico.view import View
from fabric.netstate.objects import IPNetwork, NetState


class NodeState:
    """The state of one node at one site."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._own = tunnels.own_state(site) | nat.desired_state(site)
        self._peers: dict[str, tuple[Node, NetState]] = {}
        self._blocks: dict[IPNetwork, tuple[Block, tuple[Node, ...], NetState]] = {}

    def desired_state(self, view: View) -> NetState:
        """Return all that the node must have while the datastore is as in `view`."""
        nodes = view.nodes
        others = {name: node for name, node in nodes.items() if name != self.site.name}
        self._peers = {name: self._peer(name, node) for name, node in others.items()}
        self._blocks = {cidr: self._block(cidr, block, nodes) for cidr, block in view.blocks.items()}
        return self._own.union(
            *(state for _, state in self._peers.values()), *(state for _, _, state in self._blocks.values())
        )

    @property
    def blocks(self) -> tuple[IPNetwork, ...]:
        """The blocks that were this node's in the last view."""
        own = (cidr for cidr, (block, _, _) in self._blocks.items() if block.host == self.site.name)
        return tuple(sorted(own, key=lambda cidr: (cidr.version, int(cidr.network_address))))

    @property
    def peers(self) -> int:
        """How many other nodes there were."""
        return len(self._peers)

    def _peer(self, name: str, node: Node) -> tuple[Node, NetState]:
        known = self._peers.get(name)
        if known is not None and known[0] is node:
            return known
        return node, tunnels.peer_state(self.site, node)

    def _block(
        self, cidr: IPNetwork, block: Block, nodes: Mapping[str, Node]
    ) -> tuple[Block, tuple[Node, ...], NetState]:
        known = self._blocks.get(cidr)
        if known is not None and known[0] is block:
            ends = known[1]
            if all(nodes.get(end.name) is end for end in ends) and len(ends) == len(
                routes.needed(block, nodes)
            ):
                return known
        ends = tuple(nodes[name] for name in sorted(routes.needed(block, nodes)))
        return block, ends, routes.block_state(self.site, block, nodes)


def preview(site: Site, view: View) -> NetState:
    """The same for one moment, as `fabric plan` shows it."""
    return NodeState(site).desired_state(view)
