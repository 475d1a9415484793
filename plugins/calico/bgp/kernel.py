"""BIRD's export filter to the kernel says which routes the kernel gets, and through which device.

Networks of services end at iptables, and need no route. Pools that Felix routes (VXLAN, and IPIP if it is
told to) are left to it. Of another IPIP pool the routes of BGP go through tunl0 to the other node, or plainly
where that is in this node's own network and the pool says CrossSubnet. All else is written as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from calico import encapsulation
from calico.bgp import priorities
from calico.resources.felix import FelixConfigurationSpec
from calico.resources.pools import IPPool, IPPoolSpec
from fabric.bird.language import Filter, block, onlink_through
from fabric.netstate.objects import IPInterface, IPNetwork

FILTER = "calico_kernel_programming"


def programming(
    pools: Sequence[IPPool],
    felix: FelixConfigurationSpec,
    announced: Iterable[IPNetwork],
    own: IPInterface | None,
    *,
    with_priorities: bool,
) -> Filter:
    """`calico_kernel_programming`, the export filter of the kernel protocols.

    `own`: the node's IPv4 address with the prefix length of its network.
    """
    lines = ["if source = RTS_DEVICE then reject;"]
    lines += [f"if net ~ {cidr} then reject;" for cidr in announced]
    if with_priorities:
        lines.append(priorities.KERNEL)
    for pool in pools:
        lines.extend(_pool(pool.spec, felix, own))
    is_tunnelled = any(_is_tunnelled(pool.spec, felix) for pool in pools)
    return Filter(
        FILTER,
        "\n".join((*lines, "accept;")),
        devices=(encapsulation.TUNL0,) if is_tunnelled else (),
    )


def _is_tunnelled(pool: IPPoolSpec, felix: FelixConfigurationSpec) -> bool:
    """True where BIRD writes the pool's routes, and through tunl0."""
    return pool.encapsulation == "ipip" and not encapsulation.is_felix_s(pool, felix)


def _pool(pool: IPPoolSpec, felix: FelixConfigurationSpec, own: IPInterface | None) -> Iterator[str]:
    if encapsulation.is_felix_s(pool, felix):
        yield f"if net ~ {pool.cidr} then reject; # Felix writes the routes of {pool.encapsulation.upper()}."
    elif _is_tunnelled(pool, felix):
        outside = ""
        if pool.ipip_mode == "CrossSubnet" and own is not None:
            outside = f" && !(bgp_next_hop ~ {own.network})"
        through = onlink_through(encapsulation.TUNL0)
        yield block(f"if net ~ {pool.cidr} && source = RTS_BGP{outside} then", (through,))
