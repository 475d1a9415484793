"""Resources judged together: what each may be alone, and not beside the others."""

from __future__ import annotations

from ipaddress import ip_interface, ip_network

from support.calico_ipam import pool

from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.bgp_peers import BGPPeer
from calico.resources.consistency import (
    changed_pool,
    conflicting_blocks,
    isolated_nodes,
    overlapping_pools,
    peering,
    pool_findings,
    pools_outside,
)
from calico.resources.nodes import Node, NodeBGP


def node(number, cluster_id="", **labels):
    address = ip_interface(f"192.168.0.{10 + number}/24")
    bgp = NodeBGP(ipv4_address=address, route_reflector_cluster_id=cluster_id)
    return Node.named(f"node-{number}", labels=labels, bgp=bgp)


def said(findings):
    return [f"{name} {refusal}" for name, refusal in findings]


def test_pools_that_overlap_name_each_other():
    pools = [
        pool("pool-1", "10.244.0.0/16"),
        pool("pool-2", "10.245.0.0/16"),
        pool("pool-3", "10.244.8.0/24"),
    ]
    assert said(overlapping_pools(pools)) == [
        "pool-3 spec.cidr = '10.244.8.0/24' "
        "(IPPool(pool-3) CIDR overlaps with IPPool(pool-1) CIDR 10.244.0.0/16)"
    ]


def test_a_pool_must_lie_inside_the_clusters_pod_cidr():
    pods = [ip_network("10.244.0.0/16"), ip_network("fd00:10:244::/48")]
    good = [pool("pool-1", "10.244.8.0/24"), pool("pool-6", "fd00:10:244:1::/64", 122)]
    load_balancer = pool("pool-lb", "192.0.2.0/24", allowed_uses=("LoadBalancer",))
    assert said(pools_outside([*good, load_balancer], pods)) == []
    assert said(pools_outside([pool("pool-2", "10.0.0.0/8")], pods)) == [
        "pool-2 spec.cidr = '10.0.0.0/8' "
        "(IPPool CIDR is outside the cluster's pod CIDR 10.244.0.0/16, fd00:10:244::/48)"
    ]


def test_all_findings_about_pools_come_at_once():
    pools = [pool("pool-1", "10.0.0.0/16", 33), pool("pool-2", "10.0.1.0/24")]
    found = pool_findings(pools, [ip_network("10.244.0.0/16")])
    assert [(name, refusal.path) for name, refusal in found] == [
        ("pool-1", "spec.blockSize"),
        ("pool-2", "spec.cidr"),
        ("pool-1", "spec.cidr"),
        ("pool-2", "spec.cidr"),
    ]


def test_a_pools_cidr_and_block_size_stay_as_they_are():
    old, new = pool(cidr="10.244.0.0/24"), pool(cidr="10.244.0.0/23", block_size=29)
    assert [r.path for r in changed_pool(old, new)] == ["spec.cidr", "spec.blockSize"]
    assert list(changed_pool(old, old)) == []


def test_blocks_of_an_earlier_pool_bind_the_block_size():
    left = [ip_network("10.244.0.64/26")]
    assert [r.path for r in conflicting_blocks(pool(block_size=28), left)] == ["spec.blockSize"]
    assert list(conflicting_blocks(pool(block_size=26), left)) == []
    assert list(conflicting_blocks(pool(cidr="10.245.0.0/24"), left)) == []


def test_a_peer_that_points_at_nothing_is_named():
    peers = [
        BGPPeer.named("peer-1", node="node-9", peer_ip="192.0.2.1", as_number=65001),
        BGPPeer.named("peer-2", node_selector="rack == '1'", peer_selector="has(rr)", filters=("gone",)),
    ]
    assert [(name, r.path) for name, r in peering(peers, [node(1, rack="1")], [])] == [
        ("peer-1", "spec.node"),
        ("peer-2", "spec.peerSelector"),
        ("peer-2", "spec.filters[0]"),
    ]


def test_a_node_outside_the_mesh_needs_a_peer():
    nodes = [node(1), node(2, "244.0.0.1", rr="true")]
    off = BGPConfiguration.named("default", node_to_node_mesh_enabled=False)
    reflect = BGPPeer.named("peer-1", node_selector="all()", peer_selector="has(rr)")
    assert [name for name, _ in isolated_nodes(nodes, [], None)] == ["node-2"]
    assert [name for name, _ in isolated_nodes(nodes, [], off)] == ["node-1", "node-2"]
    assert list(isolated_nodes(nodes, [reflect], off)) == []
