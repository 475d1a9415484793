"""The export filters: a node announces its blocks, not the pods in them, and others' routes within the pools.

A block goes out as a whole, from a static route that is a blackhole in the kernel: each pod's own route is
longer and wins, and packets for nobody end here. What is inside an own block stays home. An address that lies
in another node's block (a borrowed one) has a route of its own in this node's kernel, which BIRD learns and
announces. What Felix wrote to reach other nodes is learned as well, and is theirs to announce.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from calico import encapsulation
from calico.bgp import filters
from calico.resources.bgp_configuration import BGPConfigurationSpec
from calico.resources.endpoints import INTERFACE_PREFIX
from calico.resources.felix import FelixConfigurationSpec
from calico.resources.notation import is_community
from calico.resources.pools import IPPool
from fabric.bird.config import StaticRoute
from fabric.bird.language import Function, block
from fabric.netstate.objects import IPNetwork

TO_PEERS = "calico_export_to_bgp_peers"
_COMMUNITIES, _AGGREGATION = "apply_communities", "calico_aggr"


def services(configuration: BGPConfigurationSpec) -> tuple[IPNetwork, ...]:
    """The networks of services that every node announces."""
    ranges = (
        *configuration.service_cluster_ips,
        *configuration.service_external_ips,
        *configuration.service_load_balancer_ips,
    )
    return tuple(sorted({it.cidr for it in ranges}, key=_order))


def static_routes(own_blocks: Iterable[IPNetwork], announced: Iterable[IPNetwork]) -> tuple[StaticRoute, ...]:
    """The static routes to announce; a block of one address needs none: its pod's own route is announced."""
    blocks = (cidr for cidr in own_blocks if cidr.prefixlen < cidr.max_prefixlen)
    return tuple(StaticRoute(cidr) for cidr in (*sorted(blocks, key=_order), *announced))


def aggregation(own_blocks: Iterable[IPNetwork]) -> Function:
    """`calico_aggr`: own blocks go out, what is inside them does not.

    What peers said is let through: another node may have borrowed an address of a block, and a route
    reflector goes on telling of it.
    """
    lines = [
        f"if net = {cidr} then accept;\nif net ~ {cidr} && source != RTS_BGP then reject;"
        for cidr in sorted(own_blocks, key=_order)
    ]
    return Function(_AGGREGATION, "", "\n".join(lines))


def communities(configuration: BGPConfigurationSpec) -> Function:
    """`apply_communities`: what prefixAdvertisements put on the routes inside a prefix."""
    values = {it.name: it.value for it in configuration.communities}
    lines = []
    for advertisement in configuration.prefix_advertisements:
        named = (values.get(text, text) for text in advertisement.communities)
        body = [filters.adding(community) for community in named if is_community(community)]
        if body:
            lines.append(block(f"if net ~ {advertisement.cidr} then", body))
    return Function(_COMMUNITIES, "", "\n".join(lines))


def to_peers(
    pools: Sequence[IPPool], felix: FelixConfigurationSpec, announced: Iterable[IPNetwork]
) -> Function:
    """`calico_export_to_bgp_peers(internal_peer)`; returns for what nobody shall hear of."""
    lines = [f"if net ~ {it.spec.cidr} then reject;" for it in pools if it.spec.disable_bgp_export]
    lines += [block("if internal_peer then", _felix_s_routes(pools, felix))]
    lines += [f"{_COMMUNITIES}();", f"{_AGGREGATION}();"]
    lines += [f"if net ~ {cidr} then accept;" for cidr in announced]
    lines += [f"if net ~ {it.spec.cidr} then accept;" for it in pools if not it.spec.disable_bgp_export]
    return Function(TO_PEERS, "bool internal_peer", "\n".join(lines))


def _felix_s_routes(pools: Sequence[IPPool], felix: FelixConfigurationSpec) -> Iterator[str]:
    """Routes to other nodes that Felix wrote, by device and, where it needs no tunnel, by pool.

    A route to an own pod goes out by the pod's device, and is this node's to announce.
    """
    yield 'if ifname ~ "*.calico" || ifname = "tunl0" then reject;'
    prefixes = dict.fromkeys((INTERFACE_PREFIX, *(felix.interface_prefix or INTERFACE_PREFIX).split(",")))
    of_pods = " || ".join(f'ifname ~ "{prefix}*"' for prefix in prefixes)
    for pool in pools:
        if encapsulation.is_felix_s(pool.spec, felix) and not pool.spec.disable_bgp_export:
            cidr = pool.spec.cidr
            learned = f"source = RTS_INHERIT && !({of_pods})"
            yield f"if net ~ {cidr} && {learned} then reject;"


def _order(cidr: IPNetwork) -> tuple[int, int, int]:
    return cidr.version, int(cidr.network_address), cidr.prefixlen
