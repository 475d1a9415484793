"""A router's bird.conf: eBGP with the routers around it, and sessions that its nodes may open. Pure.

A route to a node's subnet is said by the router that has it, goes from AS to AS, and comes into each kernel
with all next hops that are equally near (ECMP). A pod network that a node announces goes the same way.

Timers are a data centre's: a session is dialled after 1 s, and a silent neighbour is given up after 9 s; one
behind a link that goes down, at once. Of two routers one dials, so that calls do not collide. A daemon that
dies leaves its routes in the kernel, and its neighbours keep theirs, until it is back (graceful restart).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

from fabric.bird.bgp import Bgp, BgpChannel, BgpOptions, BgpTemplate, DynamicBgp
from fabric.bird.config import Block, Channel, Config, Device, Direct, Kernel, Log
from fabric.bird.language import Filter, by_filter
from fabric.netstate.objects import IPNetwork
from fabric.topology.addressing import Ranges
from fabric.topology.routed import Neighbor, Speaker
from fabric.topology.wiring import natural

HostPeering = Literal["internal", "external", "none"]
"""Which sessions a router takes from the nodes of its segments: of its own AS, of others, none."""
HOLD_SECONDS, KEEPALIVE_SECONDS = 9, 3
RESTART_SECONDS, RECOVERY_SECONDS = 60, 10
"""How long neighbours keep a dead daemon's routes; how long a new one waits for those that are away."""
LOG_BYTES_MAX = 1 << 20
NODES = "nodes_"
"""Protocols that are not called after a router have a `_`, which no router's name has."""
_ROUTERS, _TO_ROUTERS, _TO_NODES, _FROM_NODES = "routers_", "to_routers", "to_nodes", "from_nodes"


def config(speaker: Speaker, ranges: Ranges, host_peering: HostPeering, log_path: str = "") -> Config:
    """Return what the daemon of one router reads; `log_path` as the daemon sees it, "" is stderr."""
    family: Literal["ipv4", "ipv6"] = "ipv4" if ranges.hosts.version == 4 else "ipv6"
    blocks: list[Block] = [
        Device("device_"),
        Direct("direct_", families=(family,)),
        Kernel(
            "kernel_",
            Channel(family, export="where source = RTS_BGP"),
            persist=True,
            graceful_restart=True,
            merge_paths=True,
        ),
        _to_routers(speaker.networks),
        BgpTemplate(
            _ROUTERS,
            _options(speaker.asn),
            (BgpChannel(family, export=by_filter(_TO_ROUTERS)),),
        ),
        *(_session(speaker, it) for it in speaker.neighbors),
    ]
    if host_peering != "none" and speaker.host_subnets:
        blocks += _nodes(speaker, ranges, host_peering, family)
    return Config(
        speaker.router_id,
        tuple(blocks),
        hostname=speaker.name,
        logs=(Log(log_path, ("info", "remote", "warning", "error", "fatal", "bug"), LOG_BYTES_MAX),)
        if log_path
        else (),
        graceful_restart_wait_seconds=RECOVERY_SECONDS,
    )


def _options(asn: int) -> BgpOptions:
    return BgpOptions(
        local_as=asn,
        multihop=False,
        graceful_restart=True,
        graceful_restart_seconds=RESTART_SECONDS,
        hold_seconds=HOLD_SECONDS,
        keepalive_seconds=KEEPALIVE_SECONDS,
        connect_delay_seconds=1,
        connect_retry_seconds=1,
        error_wait_seconds=(1, 5),
    )


def _session(speaker: Speaker, neighbor: Neighbor) -> Bgp:
    return Bgp(
        neighbor.session,
        neighbor.address,
        neighbor.asn,
        template=_ROUTERS,
        options=BgpOptions(
            description=neighbor.name,
            local_as=speaker.asn,
            local_address=neighbor.local_address,
            passive=natural(speaker.name) > natural(neighbor.name),
        ),
    )


def _nodes(
    speaker: Speaker,
    ranges: Ranges,
    kind: Literal["internal", "external"],
    family: Literal["ipv4", "ipv6"],
) -> Iterator[Block]:
    """Sessions of nodes: a router reflects what comes from one of its own AS, and takes itself as next hop
    towards it for what comes from other ASes."""
    own = (ranges.hosts, ranges.links, ranges.loopbacks)
    yield Filter(_FROM_NODES, f"if net.len = 0 || net ~ {_within(own)} then reject;\naccept;")
    yield Filter(
        _TO_NODES,
        f"if net ~ {_exactly(speaker.host_subnets)} then reject;\n"
        f"if source = RTS_BGP || net ~ {_exactly(speaker.networks)} then accept;\nreject;",
    )
    channel = BgpChannel(
        family,
        import_=by_filter(_FROM_NODES),
        export=by_filter(_TO_NODES),
        next_hop="self ebgp" if kind == "internal" else None,
        gateway="recursive",
    )
    options = replace(_options(speaker.asn), rr_client=True if kind == "internal" else None)
    for number, subnet in enumerate(speaker.host_subnets, 1):
        yield DynamicBgp(f"{NODES}{number}", subnet, kind, f"node_{number}_", options, (channel,))


def _to_routers(networks: Iterable[IPNetwork]) -> Filter:
    return Filter(
        _TO_ROUTERS,
        f"if source = RTS_BGP then accept;\n"
        f"if source = RTS_DEVICE && net ~ {_exactly(networks)} then accept;\nreject;",
    )


def _exactly(networks: Iterable[IPNetwork]) -> str:
    return f"[ {', '.join(map(str, networks))} ]"


def _within(networks: Iterable[IPNetwork]) -> str:
    return f"[ {', '.join(f'{it}+' for it in networks)} ]"
