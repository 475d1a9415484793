"""Clusters in which BGP does one thing each: what a bird.conf is to say of it, and real birds are to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_interface, ip_network
from typing import Any

from calico.bgp.peers import SecretRef
from calico.ipam.blocks import Block
from calico.places import Place
from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.bgp_filters import BGPFilter
from calico.resources.bgp_peers import BGPPeer
from calico.resources.envelope import Resource
from calico.resources.felix import FelixConfiguration
from calico.resources.nodes import Node, NodeBGP
from calico.resources.pools import IPPool
from calico.syncer import Snapshot
from support.calico_nodes import NOON, block, node, pool

REFLECTOR = {"route-reflector": "true"}


def cluster(*resources: Resource, blocks: list[Block] | None = None, revision: int = 1) -> Snapshot:
    """A moment with these resources, one block for each node unless others are given, and one pool."""
    found: dict[type[Resource], dict[str, Resource]] = {}
    for resource in resources:
        found.setdefault(type(resource), {})[resource.name] = resource
    found.setdefault(IPPool, {"pool-1": pool()})
    numbers = [int(name.rpartition("-")[2]) for name in found.get(Node, {})]
    made = [block(number) for number in numbers] if blocks is None else blocks
    return Snapshot(revision, found, {it.cidr: Place.of(it) for it in made})


def mesh(count: int, *resources: Resource) -> Snapshot:
    return cluster(*(node(number) for number in range(1, count + 1)), *resources)


def labelled(made: Node, **labels: str) -> Node:
    return replace(made, metadata=replace(made.metadata, labels={**made.labels, **labels}))


def reflector(number: int, cluster_id: str = "244.0.0.1") -> Node:
    made = node(number, route_reflector_cluster_id=cluster_id)
    return replace(made, metadata=replace(made.metadata, labels={**made.labels, **REFLECTOR}))


def configuration(name: str = "default", **spec: Any) -> BGPConfiguration:
    """Read from JSON, as the store has it."""
    return BGPConfiguration.from_object({"metadata": {"name": name}, "spec": spec})


def peer(name: str, **spec: Any) -> BGPPeer:
    return BGPPeer.from_object({"metadata": {"name": name}, "spec": spec})


def bgp_filter(name: str, **spec: Any) -> BGPFilter:
    return BGPFilter.from_object({"metadata": {"name": name}, "spec": spec})


def reflected(*more: Resource) -> Snapshot:
    """node-1 and node-2 reflect for the three others; the mesh is off, unless `more` says otherwise."""
    return cluster(
        *(reflector(number) for number in (1, 2)),
        *(node(number) for number in (3, 4, 5)),
        configuration(nodeToNodeMeshEnabled=False),
        peer("reflectors", nodeSelector="all()", peerSelector="route-reflector == 'true'"),
        *more,
    )


def racks() -> Snapshot:
    """An AS number to each of two racks, whose nodes peer with their leaf and nobody else."""
    return cluster(
        *(node(number, rack=1, as_number=65001) for number in (1, 2)),
        *(node(number, rack=2, as_number=65002) for number in (3, 4)),
        configuration(nodeToNodeMeshEnabled=False),
        peer("leaf-1", nodeSelector="rack == '1'", peerIP="192.168.1.1", asNumber=65001),
        peer(
            "leaf-2",
            nodeSelector="rack == '2'",
            peerIP="192.168.2.1",
            asNumber=64999,
            numAllowedLocalASNumbers=1,
        ),
    )


def classic(mode: str = "Always") -> Snapshot:
    """IPIP whose routes BIRD writes, because Felix is told not to."""
    felix = FelixConfiguration.named("default", program_cluster_routes="Disabled")
    pools = pool(ipip_mode=mode), pool("10.245.0.0/16", "pool-2", vxlan_mode="Always")
    return cluster(node(1), node(2), felix, *pools)


def filtered() -> Snapshot:
    """A peer with a filter that has every kind of rule."""
    full = bgp_filter(
        "full-example",
        importV4=[
            {
                "cidr": "10.244.0.0/16",
                "matchOperator": "In",
                "prefixLength": {"min": 24, "max": 28},
                "peerType": "iBGP",
                "communities": {"values": ["65000:100"]},
                "asPathPrefix": [65000],
                "priority": 512,
                "interface": "eth*",
                "action": "Accept",
                "operations": [
                    {"setPriority": {"value": 256}},
                    {"addCommunity": {"value": "65000:200"}},
                    {"prependASPath": {"prefix": [65001, 65002]}},
                ],
            },
            {"cidr": "10.99.0.0/16", "matchOperator": "NotIn", "peerType": "eBGP", "action": "Reject"},
            {"source": "RemotePeers", "communities": {"values": ["65000:1:2"]}, "action": "Reject"},
        ],
        exportV4=[
            {"cidr": "10.244.1.0/26", "matchOperator": "Equal", "action": "Reject"},
            {"cidr": "10.98.0.0/16", "matchOperator": "NotEqual", "action": "Accept"},
            {"action": "Reject"},
        ],
    )
    return mesh(
        2,
        full,
        peer("router", peerIP="192.168.0.1:1790", asNumber=65000, filters=["full-example", "gone"]),
    )


def announcing() -> Snapshot:
    """Communities, service networks, a pool that stays inside, and a node that has its own opinion."""
    return mesh(
        3,
        pool(),
        pool("10.246.0.0/16", "private", disable_bgp_export=True),
        configuration(
            asNumber=64600,
            communities=[{"name": "gold", "value": "64600:300"}],
            prefixAdvertisements=[{"cidr": "10.244.0.0/16", "communities": ["gold", "64600:300:1"]}],
            serviceClusterIPs=[{"cidr": "10.96.0.0/16"}],
            serviceExternalIPs=[{"cidr": "192.0.2.0/24"}],
            ignoredInterfaces=["vnic*"],
            listenPort=1790,
            nodeMeshMaxRestartTime="0s",
        ),
        configuration("node.node-1", listenPort=1791, logSeverityScreen="Warning", bindMode="NodeIP"),
    )


def with_options() -> Snapshot:
    """Every option that a BGPPeer has."""
    secret = {"secretKeyRef": {"name": "bgp-secrets", "key": "rack-1"}}
    return mesh(
        2,
        peer(
            "edge",
            node="node-1",
            peerIP="192.0.2.1",
            asNumber=65000,
            localASNumber=65099,
            password=secret,
            maxRestartTime="1m30s",
            keepaliveTime="5s",
            numAllowedLocalASNumbers=2,
            ttlSecurity=3,
            reachableBy="192.168.0.1",
            sourceAddress="None",
            keepOriginalNextHop=True,
        ),
        peer(
            "lost",
            peerIP="192.0.2.2",
            asNumber=64512,
            nextHopMode="Self",
            password={"secretKeyRef": {"name": "no-such", "key": "x"}},
        ),
    )


def two_families() -> Snapshot:
    """Nodes with an address of each family, and a pool of each."""
    both = [
        Node.named(
            f"node-{number}",
            bgp=NodeBGP(
                ipv4_address=ip_interface(f"192.168.0.{10 + number}/16"),
                ipv6_address=ip_interface(f"fd00::{10 + number}/64"),
            ),
        )
        for number in (1, 2)
    ]
    six = Block.claimed(ip_network("fd00:10:244:1::/122"), "node-1", NOON)
    return cluster(*both, pool(), pool("fd00:10:244::/48", "pool-6"), blocks=[block(1), six])


PASSWORDS: Mapping[SecretRef, str] = {SecretRef("bgp-secrets", "rack-1"): "a secret"}

FILES = {
    "mesh-node": (lambda: mesh(4), "node-2"),
    "reflector": (reflected, "node-1"),
    "reflectors-client": (reflected, "node-4"),
    "rack-internal": (racks, "node-1"),
    "rack-external": (racks, "node-3"),
    "ipip-classic": (classic, "node-1"),
    "ipip-classic-cross-subnet": (lambda: classic("CrossSubnet"), "node-1"),
    "filters": (filtered, "node-1"),
    "announcing": (announcing, "node-1"),
    "options": (with_options, "node-1"),
    "two-families": (two_families, "node-1"),
}
"""What the golden files show: a cluster, and one of its nodes."""
