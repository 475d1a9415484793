"""Judging resources together: what each may be alone, and yet not beside the others.

Every function returns (name of the resource, refusal); nothing is read and nothing is raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.bgp_configuration import effective as effective_bgp
from calico.resources.bgp_filters import BGPFilter
from calico.resources.bgp_peers import BGPPeer
from calico.resources.nodes import Node
from calico.resources.pools import IPPool
from calico.resources.refusals import Refusal
from calico.selector import Selector
from fabric.netstate.objects import IPNetwork

Finding = tuple[str, Refusal]


def overlapping_pools(pools: Sequence[IPPool]) -> Iterator[Finding]:
    """Each pool that shares addresses with an earlier one."""
    for index, pool in enumerate(pools):
        for other in pools[:index]:
            if pool.spec.cidr.overlaps(other.spec.cidr) and other.name != pool.name:
                reason = f"IPPool({pool.name}) CIDR overlaps with IPPool({other.name}) CIDR {other.spec.cidr}"
                yield pool.name, Refusal("spec.cidr", reason, pool.spec.cidr)


def pools_outside(pools: Iterable[IPPool], pod_cidrs: Sequence[IPNetwork]) -> Iterator[Finding]:
    """Each pool for pods that reaches outside the cluster's pod CIDRs."""
    allowed = ", ".join(map(str, pod_cidrs))
    for pool in pools:
        inside = any(_contains(outer, pool.spec.cidr) for outer in pod_cidrs)
        if not inside and "LoadBalancer" not in pool.spec.allowed_uses:
            reason = f"IPPool CIDR is outside the cluster's pod CIDR {allowed}"
            yield pool.name, Refusal("spec.cidr", reason, pool.spec.cidr)


def changed_pool(old: IPPool, new: IPPool) -> Iterator[Refusal]:
    """The fields of a pool that an update may not change."""
    if old.spec.cidr != new.spec.cidr:
        yield Refusal("spec.cidr", "IPPool CIDR cannot be modified", new.spec.cidr)
    if old.spec.block_size != new.spec.block_size:
        yield Refusal("spec.blockSize", "IPPool BlockSize cannot be modified", new.spec.block_size)
    if "LoadBalancer" in old.spec.allowed_uses and "LoadBalancer" not in new.spec.allowed_uses:
        reason = "IPPool allowed use cannot be changed from LoadBalancer to Workload or Tunnel"
        yield Refusal("spec.allowedUses", reason, ", ".join(new.spec.allowed_uses))


def conflicting_blocks(pool: IPPool, blocks: Iterable[IPNetwork]) -> Iterator[Refusal]:
    """A new pool over blocks that an earlier one left, of another size."""
    size, cidr = pool.spec.block_size, pool.spec.cidr
    if any(block.prefixlen != size and block.overlaps(cidr) for block in blocks):
        reason = "IPPool blocksSize conflicts with existing allocations that use a different blockSize"
        yield Refusal("spec.blockSize", reason, size)


def peering(
    peers: Iterable[BGPPeer], nodes: Sequence[Node], filters: Iterable[BGPFilter]
) -> Iterator[Finding]:
    """Peers that name a node or filter that is not there, or whose selectors select nobody."""
    node_names = frozenset(node.name for node in nodes)
    filter_names = frozenset(filter_.name for filter_ in filters)
    for peer in peers:
        spec = peer.spec
        if spec.node and spec.node not in node_names:
            yield peer.name, Refusal("spec.node", "there is no such node", spec.node)
        for path, text in (
            ("spec.nodeSelector", spec.node_selector),
            ("spec.peerSelector", spec.peer_selector),
        ):
            if text and not any(Selector.parse(text).matches(node.labels) for node in nodes):
                yield peer.name, Refusal(path, "selects none of the nodes", text)
        for index, name in enumerate(spec.filters):
            if name not in filter_names:
                yield peer.name, Refusal(f"spec.filters[{index}]", "there is no such BGPFilter", name)


def isolated_nodes(
    nodes: Sequence[Node], peers: Sequence[BGPPeer], default: BGPConfiguration | None
) -> Iterator[Finding]:
    """Nodes outside the mesh (it is off, or they are route reflectors) that no peer selects."""
    mesh = effective_bgp(default).node_to_node_mesh_enabled
    for node in nodes:
        bgp = node.spec.bgp
        if bgp is None or (mesh and not bgp.route_reflector_cluster_id):
            continue
        if not any(_takes_part(peer, node) for peer in peers):
            path = "spec.bgp.routeReflectorClusterID" if bgp.route_reflector_cluster_id else "spec.bgp"
            reason = "the node is outside the node-to-node mesh and no BGPPeer selects it"
            yield node.name, Refusal(path, reason, bgp.route_reflector_cluster_id)


def pool_findings(pools: Sequence[IPPool], pod_cidrs: Sequence[IPNetwork]) -> tuple[Finding, ...]:
    """Everything about the pools of one cluster, each pool by itself included."""
    alone = ((pool.name, refusal) for pool in pools for refusal in pool.refusals())
    return tuple(chain(alone, overlapping_pools(pools), pools_outside(pools, pod_cidrs)))


def _takes_part(peer: BGPPeer, node: Node) -> bool:
    spec = peer.spec
    if not spec.node and not spec.node_selector:
        return True
    return (
        spec.node == node.name
        or (bool(spec.node_selector) and Selector.parse(spec.node_selector).matches(node.labels))
        or (bool(spec.peer_selector) and Selector.parse(spec.peer_selector).matches(node.labels))
    )


def _contains(outer: IPNetwork, inner: IPNetwork) -> bool:
    same = outer.version == inner.version
    return same and outer.overlaps(inner) and outer.prefixlen <= inner.prefixlen
