"""Configurations that use every word of the vocabulary: golden text, and read by the real daemon."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address, ip_network

from fabric.bird.bgp import Bgp, BgpChannel, BgpOptions, BgpTemplate
from fabric.bird.config import Channel, Config, Device, Direct, Kernel, Log, Static, StaticRoute
from fabric.bird.language import Filter, Function, Text, block, by_filter, onlink_through, statements, where

_TEMPLATE = BgpTemplate(
    "bgp_template",
    BgpOptions(
        description="Connection to BGP peer",
        local_as=64512,
        local_address=ip_address("192.168.0.11"),
        multihop=True,
        graceful_restart=True,
        long_lived_graceful_restart=False,
        connect_delay_seconds=2,
        connect_retry_seconds=5,
        error_wait_seconds=(5, 30),
    ),
    (BgpChannel(export=by_filter("calico_export"), gateway="recursive", add_paths="on"),),
)


def _mesh(last: int, **options: object) -> Bgp:
    return Bgp(
        f"Mesh_192_168_0_{last}",
        ip_address(f"192.168.0.{last}"),
        64512,
        template="bgp_template",
        options=BgpOptions(**options),  # type: ignore[arg-type]
    )


_TUNNEL = statements(
    "if source = RTS_DEVICE then reject;\n"
    + block("if source = RTS_BGP && net ~ [ 10.244.0.0/16+ ] then", (onlink_through("lo"),))
    + "\naccept;"
)

_NODE = Config(
    IPv4Address("192.168.0.11"),
    hostname="node-1",
    logs=(Log(classes=("warning", "error", "fatal")), Log("/tmp/node-1.log", bytes_max=1_000_000)),
    debug=("states", "events"),
    graceful_restart_wait_seconds=30,
    blocks=(
        Function("is_mine", "", "return net ~ [ 10.244.1.0/26 ];"),
        Filter("calico_export", "if is_mine() then accept;\nreject;"),
        Device(),
        Direct(interfaces=("-cali*", "-kube-ipvs*", "*")),
        Kernel(
            learn=True,
            persist=True,
            graceful_restart=True,
            merge_paths=True,
            channel=Channel(export=_TUNNEL),
        ),
        Static(routes=(StaticRoute(ip_network("10.244.1.0/26")),)),
        _TEMPLATE,
        _mesh(12),
        _mesh(13, passive=True),
        _mesh(14, password="a secret", rr_client=True, rr_cluster_id=IPv4Address("244.0.0.1")),
    ),
)

_TIMERS = BgpOptions(
    local_as=65001,
    local_port=1790,
    multihop=2,
    hold_seconds=9,
    keepalive_seconds=3,
    ttl_security=True,
    allow_local_as=1,
    graceful_restart="aware",
    graceful_restart_seconds=90,
    disabled=True,
    extra=("interpret communities off",),
)
_LIMITED = BgpChannel(
    export=where("source = RTS_STATIC"),
    next_hop="keep",
    add_paths="rx",
    import_limit=1000,
    import_keep_filtered=True,
    graceful_restart=True,
)

_LEAF = Config(
    IPv4Address("10.0.0.1"),
    blocks=(
        Text("define RACK = 1;"),
        Text("ipv4 table rack;"),
        Device(scan_seconds=5),
        Direct(families=("ipv4", "ipv6")),
        Kernel(
            "kernel_rack", Channel(table="rack", export="all"), kernel_table=100, merge_paths=4, metric=100
        ),
        Kernel("kernel_six", Channel("ipv6", export="all")),
        Static(
            "services",
            (
                StaticRoute(ip_network("10.96.0.0/16"), "unreachable"),
                StaticRoute(ip_network("10.97.0.0/16"), "prohibit"),
                StaticRoute(ip_network("10.98.0.0/16"), "eth0"),
                StaticRoute(ip_network("10.99.0.0/16"), ip_address("192.168.0.1")),
            ),
            Channel(table="rack", preference=150, import_=where("net.len = 16")),
        ),
        Static("static_six", (StaticRoute(ip_network("fd00:1::/64")),), Channel("ipv6")),
        Bgp("spine_1", ip_address("10.0.1.1"), 65000, 1790, options=_TIMERS, channels=(_LIMITED,)),
        Bgp(
            "spine_2",
            ip_address("fd00::2"),
            65001,
            options=BgpOptions(local_as=65001, multihop=False),
            channels=(
                BgpChannel("ipv6", export="all", next_hop="self", gateway="direct"),
                BgpChannel(import_="none", next_hop="self ebgp"),
            ),
        ),
    ),
)

CONFIGS = {
    "node": _NODE,
    "leaf": _LEAF,
    "least": Config(IPv4Address("192.168.0.1")),
}
