"""What a topology may say of Calico; what it cannot say is refused with the field's path and the remedy."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from random import Random

import pytest
from support.calico_nodes import config, facts

from calico.ipam.walk import NOTHING_RESERVED, Walk
from calico.plugin import CalicoPlugin
from calico.resources.pools import IPPoolSpec
from calico.settings import settings
from calico.topology_check import problems, registered
from fabric.cluster.validation import check_network
from fabric.errors import BadInput
from fabric.topology.load import loads

API = "projectcalico.org/v3"


def resource(kind, name="default", **spec):
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}


def pool_of(section):
    (pool,) = settings(section)[0].pools
    return pool


@pytest.mark.parametrize("backend, mode", [("", "CrossSubnet"), ("bird", "CrossSubnet"), ("vxlan", "Always")])
def test_the_pod_cidr_becomes_a_pool_that_works_on_any_underlay(backend, mode):
    pool = pool_of(config(backend))
    assert (pool.name, str(pool.spec.cidr)) == ("default-ipv4-ippool", "10.244.0.0/16")
    assert (pool.spec.vxlan_mode, pool.spec.ipip_mode, pool.spec.nat_outgoing) == (mode, "Never", True)
    assert not problems(config(backend), [facts(1), facts(2)])


def test_keys_of_the_default_pool_are_those_of_an_ippool():
    pool = pool_of(config(ipipMode="Always", blockSize=28, natOutgoing=False))
    assert (pool.spec.ipip_mode, pool.spec.vxlan_mode, pool.spec.block_size) == ("Always", "Never", 28)
    assert not pool.spec.nat_outgoing


@pytest.mark.parametrize(
    "section, path, words",
    [
        (config("host-gw"), "backend", "allowed: bird, vxlan, none"),
        (config(ipMode="Always"), "options.ipMode", "allowed: ipipMode"),
        (config(blockSize=19), "options.blockSize", "between 20 and 32"),
        (config(blockSize=33), "options.blockSize", "between 20 and 32"),
        (config(blockSize="26"), "options.blockSize", "whole number"),
        (config(ipipMode="always"), "options.ipipMode", "Always, CrossSubnet, Never"),
        (config(ipipMode="Always", vxlanMode="Always"), "options.vxlanMode", "both VXLAN and IPIP"),
        (config(ipPools=[]), "options.ipPools", "a list of pools"),
        (config(ipPools=[{"cidr": "10.244.0.1/16"}]), "options.ipPools[0].cidr", "write 10.244.0.0/16"),
        (config(ipPools=[{"blockSize": 26}]), "options.ipPools[0].cidr", "must be specified"),
        (
            config(ipPools=[{"cidr": "10.0.0.0/24"}]),
            "options.ipPools[0].cidr",
            "outside the cluster's pod CIDR",
        ),
        (
            config(ipPools=[{"cidr": "10.244.0.0/17"}, {"cidr": "10.244.64.0/18"}]),
            "options.ipPools[1].cidr",
            "overlaps",
        ),
        (
            config(ipPools=[{"name": "a", "cidr": "10.244.0.0/24"}, {"name": "a", "cidr": "10.244.1.0/24"}]),
            "options.ipPools[1]",
            "names of a kind must differ",
        ),
        (config(ipPools=[{"cidr": "10.244.0.0/28"}]), "options.ipPools[0].cidr", "too small"),
        (
            config(ipPools=[{"cidr": "10.244.0.0/16", "disabled": True}]),
            "options.ipPools",
            "no pool is enabled",
        ),
        (config(ipPools=[{"cidr": "10.244.0.0/16"}], blockSize=26), "options.blockSize", "each of ipPools"),
        (
            config(ipPools=[{"cidr": "10.244.0.0/16", "nodeSelector": "rack ="}]),
            "options.ipPools[0].nodeSelector",
            "invalid selector",
        ),
        (
            config("vxlan", ipipMode="Always"),
            "options.ipipMode",
            '"Always" (default-ipv4-ippool: backend vxlan runs',
        ),
        (
            config("vxlan", ipPools=[{"cidr": "10.244.0.0/16"}]),
            "options.ipPools[0].vxlanMode",
            '"Never" (pool-1: backend vxlan runs no BGP',
        ),
        (config(blockSize=True), "options.blockSize", "true (must be a whole number: from 20 to 32 for IPv4"),
        (
            config(resources=[resource("BGPConfiguration", serviceClusterIPs=[{"cidr": "10.0.0.300"}])]),
            "options.resources[0].spec.serviceClusterIPs[0].cidr",
            '"10.0.0.300" (must be a valid subnet',
        ),
        (config(nodes=[{"nodeSelector": "rack == '9'"}]), "options.nodes[0].nodeSelector", "selects none"),
        (config(nodes=[{"asNumber": "none"}]), "options.nodes[0].asNumber", "AS Number"),
        (config(nodes=[{"rack": 1}]), "options.nodes[0].rack", "unknown field"),
        (config(resources=[{"kind": "Pod"}]), "options.resources[0]", "nodes register themselves"),
        (config(resources=[resource("Node", "node-1")]), "options.resources[0]", "options.nodes"),
        (config(subnetFile=3), "options.subnetFile", "the name of a file"),
        (
            config(resources=[resource("BGPPeer", "tor", peerIP="192.168.0.1")]),
            "options.resources[0].spec.asNumber",
            "ASNumber must be specified",
        ),
        (
            config(
                resources=[resource("BGPPeer", "tor", peerIP="192.168.0.1", asNumber=65001, node="node-9")]
            ),
            "options.resources[0].spec.node",
            "no such node",
        ),
        (
            config(
                resources=[
                    resource("BGPPeer", "rr", nodeSelector="all()", peerSelector="route-reflector == 'true'")
                ]
            ),
            "options.resources[0].spec.peerSelector",
            "selects none of the nodes",
        ),
        (
            config(resources=[resource("BGPConfiguration", nodeToNodeMeshEnabled=False)]),
            "options.resources",
            "no BGPPeer selects it",
        ),
        (
            config(resources=[resource("BGPConfiguration", nodeToNodeMeshEnable=False)]),
            "options.resources[0].spec.nodeToNodeMeshEnable",
            "did you mean nodeToNodeMeshEnabled?",
        ),
        (
            config(resources=[resource("BGPFilter", "f") | {"specc": {}}]),
            "options.resources[0].specc",
            "did you mean spec?",
        ),
        (config(ipPools=[{"name": "A_b", "cidr": "10.244.0.0/16"}]), "options.ipPools[0].name", "RFC 1123"),
        (config(mtu=1500), "mtu", "from 576 to 1450"),
        (config("none"), "options.subnetFile", "where pods' addresses come from"),
        (
            config(subnetFile="/run/flannel/subnet.env"),
            "options.subnetFile",
            "with backend bird pods' addresses come from pools",
        ),
        (config(cidrs="10.244.0.0/16 fd00:10:244::/56"), "plugin", "underlay address of IPv6"),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_bad_input_is_refused_with_its_path_and_a_remedy(section, path, words):
    found = problems(section, [facts(1), facts(2)])
    assert any(at == path and words in what for at, what in found), found


@pytest.mark.parametrize("kind", ["BlockAffinity", "ClusterInformation", "Profile", "WorkloadEndpoint"])
def test_kinds_that_calico_writes_itself_are_no_resources_to_begin_with(kind):
    ((path, what),) = problems(config(resources=[resource(kind, spec={})]), [facts(1)])
    assert path == "options.resources[0]" and what.endswith("this kind Calico writes itself")
    allowed = (
        "BGPConfiguration, BGPFilter, BGPPeer, FelixConfiguration, GlobalNetworkPolicy, GlobalNetworkSet, "
        "HostEndpoint, IPAMConfiguration, IPPool, IPReservation, NetworkPolicy, NetworkSet, "
        "StagedGlobalNetworkPolicy, StagedKubernetesNetworkPolicy, StagedNetworkPolicy, Tier"
    )
    assert f"of a kind among {allowed};" in what


@pytest.mark.parametrize(
    "section, path, what",
    [
        (
            config(blockSize=33),
            "options.blockSize",
            "33 (IPv4 block size must be between 20 and 32)",
        ),
        (
            config(ipPools=[{"cidr": "10.244.0.0/16", "nodeSelector": 3}]),
            "options.ipPools[0].nodeSelector",
            "3 (a selector is text such as has(rack) or rack == '1')",
        ),
        (
            config(resources=[resource("BGPPeer", "tor", peerIP="192.168.0.1")]),
            "options.resources[0].spec.asNumber",
            "ASNumber must be specified with PeerIP, between 1 and 4294967295",
        ),
        (config(ipPools=[{"cidr": None}]), "options.ipPools[0].cidr", "must be specified"),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_a_mistake_is_told_once_as_the_file_has_it(section, path, what):
    assert [*problems(section, [facts(1)])] == [(path, what)]


def test_a_mistake_deep_in_a_list_is_told_with_its_own_line():
    text = """\
apiVersion: fabric.dev/v1
kind: Topology
metadata: {name: t}
spec:
  nodes: 2
  network:
    plugin: calico
    options:
      resources:
        - apiVersion: projectcalico.org/v3
          kind: BGPConfiguration
          metadata: {name: default}
          spec:
            serviceClusterIPs:
              - cidr: 10.96.0.0/12
              - cidr: 10.0.0.300
"""
    where = "t.yaml:16: spec.network.options.resources[0].spec.serviceClusterIPs[1].cidr: "
    with pytest.raises(BadInput) as refused:
        check_network(loads(text, Path("t.yaml")))
    assert str(refused.value).startswith(where)


def test_a_node_registers_with_what_the_rules_that_select_it_say():
    section = config(
        nodes=[
            {"asNumber": 65000},
            {"nodeSelector": "rack == '2'", "asNumber": 65002},
            {"nodeSelector": "role == 'reflector'", "routeReflectorClusterID": "244.0.0.1"},
        ]
    )
    rules = settings(section)[0].rules
    plain, other = (registered(facts(1, rack=rack), rules).spec.bgp for rack in (1, 2))
    assert (plain.as_number, other.as_number) == (65000, 65002)
    reflector = registered(facts(3, rack=2, role="reflector"), rules).spec.bgp
    assert (reflector.as_number, reflector.route_reflector_cluster_id) == (65002, "244.0.0.1")


@pytest.mark.parametrize(
    "section, features",
    [
        (config(ipipMode="Always"), {"ipip|tun", "iptables", "ipset", "bird"}),
        (config(vxlanMode="Always"), {"vxlan", "iptables", "ipset", "bird"}),
        (config(ipipMode="Never", vxlanMode="Never"), {"iptables", "ipset", "bird"}),
        (config("vxlan"), {"vxlan", "iptables", "ipset"}),
    ],
)
def test_what_the_kernel_must_have_follows_from_the_pools(section, features):
    assert CalicoPlugin().requirements(section) == features


def test_the_plan_has_each_nodes_own_first_block():
    spec = IPPoolSpec(cidr=ip_network("10.244.0.0/16"))
    mine, yours = (
        Walk(spec, f"node-{number}", Random(1)).first_free([], NOTHING_RESERVED) for number in (1, 2)
    )
    found = CalicoPlugin().preview(config(vxlanMode="CrossSubnet"), [facts(1, rack=1), facts(2, rack=2)])
    routes = sorted(str(it) for it in found["node-2"] if str(it).startswith("route"))
    assert routes == [
        f"route {mine} via {mine.network_address} dev vxlan.calico onlink",
        f"route blackhole {yours} proto 80",
    ]
