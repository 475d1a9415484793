"""The resources of projectcalico.org/v3: defaults, what is refused and how, JSON there and back."""

from __future__ import annotations

import json

import pytest

from calico.resources import bgp_configuration, felix
from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.bgp_peers import BGPPeer, peer_endpoint
from calico.resources.endpoints import WorkloadEndpoint, endpoint_name, endpoint_parts, interface_name
from calico.resources.envelope import API_VERSION
from calico.resources.felix import FelixConfiguration
from calico.resources.nodes import Node
from calico.resources.pools import IPPool
from calico.resources.refusals import InvalidResource
from calico.resources.table import KINDS, RESOURCE_TYPES, kind_named, parse_key, store_key
from fabric.api.objects import Key


def obj(kind, name="default", namespace="", **spec):
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def refusals(kind, name="default", **spec):
    with pytest.raises(InvalidResource) as raised:
        RESOURCE_TYPES[kind].from_object(obj(kind, name, **spec))
    return [(refusal.path, refusal.reason) for refusal in raised.value.refusals]


def test_a_pool_is_stored_with_its_defaults_filled_in():
    pool = IPPool.from_object(obj("IPPool", "pool-1", cidr="10.244.0.0/16"))
    assert pool.to_object()["spec"] == {
        "cidr": "10.244.0.0/16",
        "vxlanMode": "Never",
        "ipipMode": "Never",
        "blockSize": 26,
        "nodeSelector": "all()",
        "allowedUses": ["Workload", "Tunnel"],
        "assignmentMode": "Automatic",
    }
    assert IPPool.from_object(obj("IPPool", "pool-6", cidr="fd00:10:244::/48")).spec.block_size == 122


def test_empty_fields_of_a_pool_are_their_defaults_as_in_go():
    spec = {"cidr": "10.244.0.0/16", "ipipMode": "", "nodeSelector": "", "blockSize": 0, "allowedUses": []}
    pool = IPPool.from_object(obj("IPPool", "pool-1", **spec))
    assert pool == IPPool.from_object(obj("IPPool", "pool-1", cidr="10.244.0.0/16"))


@pytest.mark.parametrize(
    ("spec", "path", "reason"),
    [
        ({}, "spec.cidr", "must be specified"),
        ({"cidr": "10.244.0.1/16"}, "spec.cidr", "CIDR is not strictly masked; write 10.244.0.0/16"),
        (
            {"cidr": "10.244.0.0/16", "blockSize": 19},
            "spec.blockSize",
            "IPv4 block size must be between 20 and 32",
        ),
        (
            {"cidr": "10.244.0.0/16", "blockSize": 33},
            "spec.blockSize",
            "IPv4 block size must be between 20 and 32",
        ),
        (
            {"cidr": "fd00::/64", "blockSize": 115},
            "spec.blockSize",
            "IPv6 block size must be between 116 and 128",
        ),
        ({"cidr": "10.244.0.0/27"}, "spec.cidr", "IP pool size is too small for use with Calico IPAM"),
        ({"cidr": "169.254.0.0/17"}, "spec.cidr", "overlaps with IPv4 Link Local range 169.254.0.0/16"),
        (
            {"cidr": "10.244.0.0/16", "ipipMode": "Always", "vxlanMode": "CrossSubnet"},
            "spec.vxlanMode",
            "Cannot enable both VXLAN and IPIP on the same IPPool",
        ),
        (
            {"cidr": "fd00::/64", "ipipMode": "Always"},
            "spec.ipipMode",
            "IPIP is not supported on an IPv6 IP pool",
        ),
        (
            {"cidr": "10.244.0.0/16", "ipipMode": "always"},
            "spec.ipipMode",
            "must be one of: Always, CrossSubnet, Never",
        ),
        (
            {"cidr": "10.244.0.0/16", "nodeSelector": "rack = 1"},
            "spec.nodeSelector",
            "expected == at column 6",
        ),
        ({"cidr": "10.244.0.0/16", "natOutgoing": "yes"}, "spec.natOutgoing", "true or false is expected"),
        (
            {"cidr": "10.244.0.0/16", "blocksize": 26},
            "spec.blocksize",
            "unknown field; did you mean blockSize?",
        ),
        (
            {"cidr": "10.244.0.0/16", "allowedUses": ["Pod"]},
            "spec.allowedUses[0]",
            "must be one of: Workload",
        ),
        (
            {"cidr": "10.244.0.0/16", "allowedUses": ["LoadBalancer", "Tunnel"]},
            "spec.allowedUses",
            "cannot be used simultaneously",
        ),
    ],
)
def test_a_pool_is_refused_with_the_fields_path_and_what_is_allowed(spec, path, reason):
    found = refusals("IPPool", "pool-1", **spec)
    assert [p for p, _ in found] == [path] and reason in found[0][1]


def test_the_message_is_worded_as_calicos():
    with pytest.raises(InvalidResource) as raised:
        IPPool.from_object(obj("IPPool", "pool-1", cidr="10.244.0.0/16", blockSize=19))
    assert str(raised.value) == (
        "error with field IPPool.spec.blockSize = '19' (IPv4 block size must be between 20 and 32)"
    )
    with pytest.raises(InvalidResource, match=r"error with the following fields:\n-  IPPool.spec.cidr = ''"):
        IPPool.from_object(obj("IPPool", "pool-1", ipipMode=1))


@pytest.mark.parametrize(
    ("kind", "name", "spec", "path"),
    [
        ("BGPPeer", "peer-1", {"peerIP": "192.0.2.1"}, "spec.asNumber"),
        ("BGPPeer", "peer-1", {"asNumber": 64512}, "spec.peerIP"),
        ("BGPPeer", "peer-1", {"peerIP": "leaf-1", "asNumber": 64512}, "spec.peerIP"),
        ("BGPPeer", "peer-1", {"peerIP": "192.0.2.1", "asNumber": 2**32}, "spec.asNumber"),
        ("BGPPeer", "peer-1", {"node": "n", "nodeSelector": "all()", "peerSelector": "all()"}, "spec.node"),
        ("BGPPeer", "peer-1", {"peerSelector": "all()", "peerIP": "192.0.2.1"}, "spec.peerIP"),
        ("BGPPeer", "peer-1", {"peerSelector": "rack ==", "nodeSelector": "all()"}, "spec.peerSelector"),
        ("BGPConfiguration", "node.node-1", {"nodeToNodeMeshEnabled": False}, "spec.nodeToNodeMeshEnabled"),
        ("BGPConfiguration", "other", {}, "metadata.name"),
        (
            "BGPConfiguration",
            "default",
            {"communities": [{"name": "a", "value": "x"}]},
            "spec.communities[0].value",
        ),
        (
            "BGPConfiguration",
            "default",
            {"prefixAdvertisements": [{"cidr": "10.0.0.0/8", "communities": ["none"]}]},
            "spec.prefixAdvertisements[0].communities",
        ),
        ("BGPFilter", "filter-1", {"exportV4": [{"action": "Drop"}]}, "spec.exportV4[0].action"),
        (
            "BGPFilter",
            "filter-1",
            {"importV4": [{"action": "Accept", "cidr": "10.0.0.0/8"}]},
            "spec.importV4[0].matchOperator",
        ),
        (
            "BGPFilter",
            "filter-1",
            {"importV4": [{"action": "Accept", "cidr": "fd00::/8", "matchOperator": "In"}]},
            "spec.importV4[0].cidr",
        ),
        ("IPAMConfiguration", "mine", {}, "metadata.name"),
        ("IPReservation", "some", {"reservedCIDRs": ["10.0.0.300"]}, "spec.reservedCIDRs[0]"),
        ("Node", "node-1", {"bgp": {"asNumber": 64512}}, "spec.bgp"),
        ("FelixConfiguration", "default", {"vxlanPort": 0}, "spec.vxlanPort"),
        ("FelixConfiguration", "default", {"routeRefreshInterval": "soon"}, "spec.routeRefreshInterval"),
        ("FelixConfiguration", "default", {"interfacePrefix": "longer"}, "spec.interfacePrefix"),
        ("FelixConfiguration", "default", {"interfacePrefix": "cali,et"}, "spec.interfacePrefix"),
        ("FelixConfiguration", "default", {"interfacePrefix": "cali,"}, "spec.interfacePrefix"),
        ("FelixConfiguration", "default", {"externalNodesList": ["host-1"]}, "spec.externalNodesList[0]"),
        ("WorkloadEndpoint", "pod-1", {"node": "node-1", "pod": "pod-1"}, "metadata.name"),
        ("BlockAffinity", "some", {"state": "lost", "node": "node-1", "cidr": "10.0.0.0/26"}, "spec.state"),
    ],
)
def test_each_kind_refuses_what_calico_refuses(kind, name, spec, path):
    assert [p for p, _ in refusals(kind, name, **spec)] == [path]


@pytest.mark.parametrize(
    "given",
    [
        obj("BGPPeer", "peer-1", peerIP="192.0.2.1:179", asNumber=65001, sourceAddress="None", filters=["f"]),
        obj("BGPPeer", "peer-2", nodeSelector="all()", peerSelector="has(rr)", sourceAddress="UseNodeIP"),
        obj(
            "BGPConfiguration",
            nodeToNodeMeshEnabled=False,
            asNumber=64513,
            serviceClusterIPs=[{"cidr": "10.96.0.0/12"}],
        ),
        obj(
            "FelixConfiguration",
            bpfEnabled=False,
            vxlanVNI=4097,
            removeExternalRoutes=False,
            bpfConnectTimeLoadBalancing="Disabled",
            bpfHostNetworkedNATWithoutCTLB="Disabled",
            floatingIPs="Enabled",
        ),
        obj("IPAMConfiguration", strictAffinity=True, autoAllocateBlocks=False, maxBlocksPerHost=4),
        obj("IPReservation", "some", reservedCIDRs=["10.244.0.0/30"]),
        obj(
            "Node",
            "node-1",
            addresses=[{"address": "192.168.0.11/32", "type": "CalicoNodeIP"}],
            bgp={"asNumber": 64512, "ipv4Address": "192.168.0.11/24", "routeReflectorClusterID": "244.0.0.1"},
            orchRefs=[{"nodeName": "node-1", "orchestrator": "k8s"}],
        ),
        obj("BGPFilter", "f", exportV4=[{"cidr": "10.0.0.0/8", "matchOperator": "In", "action": "Reject"}]),
        obj(
            "WorkloadEndpoint",
            "node--1-k8s-pod--1-eth0",
            "default",
            orchestrator="k8s",
            node="node-1",
            pod="pod-1",
            endpoint="eth0",
            ipNetworks=["10.244.1.2/32"],
            profiles=["kns.default"],
            interfaceName="cali0123456789a",
        ),
        obj("Profile", "kns.default", ingress=[{"action": "Allow"}], labelsToApply={"pcns.a": "b"}),
        obj("Profile", "kns.other", ingress=[{"action": "Allow", "source": {"nets": ["10.0.0.0/8"]}}]),
        obj("ClusterInformation", clusterType="k8s", datastoreReady=True),
    ],
)
def test_json_comes_back_as_it_went_in(given):
    resource_type = RESOURCE_TYPES[given["kind"]]
    resource = resource_type.from_object(given)
    status = {"status": {}} if resource_type is Node else {}
    assert resource.to_object() == status | given
    assert resource_type.from_object(json.loads(json.dumps(resource.to_object()))) == resource


def test_a_configuration_of_one_node_wins_field_by_field():
    default = BGPConfiguration.named("default", as_number=64999, node_to_node_mesh_enabled=False)
    node = BGPConfiguration.named("node.node-1", listen_port=1790)
    spec = bgp_configuration.effective(default, node)
    assert (spec.as_number, spec.listen_port, spec.node_to_node_mesh_enabled) == (64999, 1790, False)
    assert bgp_configuration.effective(None, None).as_number == 64512
    assert felix.effective(FelixConfiguration.named("default", vxlan_vni=7), None).vxlan_vni == 7
    assert felix.effective(None).vxlan_port == 4789


def test_an_as_number_may_be_written_with_a_dot():
    assert (
        BGPPeer.from_object(obj("BGPPeer", "p", peerIP="192.0.2.1", asNumber="1.10")).spec.as_number == 65546
    )


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("192.0.2.1", ("192.0.2.1", 0)),
        ("192.0.2.1:1790", ("192.0.2.1", 1790)),
        ("2001:db8::1", ("2001:db8::1", 0)),
        ("[2001:db8::1]:179", ("2001:db8::1", 179)),
        ("192.0.2.1:70000", None),
        ("leaf-1:179", None),
    ],
)
def test_a_peers_address_may_carry_a_port(text, endpoint):
    found = peer_endpoint(text)
    assert (found and (str(found[0]), found[1])) == endpoint


def test_an_endpoints_name_doubles_the_dashes_inside_its_parts():
    name = endpoint_name("node-1", "pod-1")
    assert name == "node--1-k8s-pod--1-eth0"
    assert endpoint_parts(name) == ("node-1", "k8s", "pod-1", "eth0")
    with pytest.raises(ValueError, match="is no WorkloadEndpoint name"):
        endpoint_parts("pod-1")
    assert len(interface_name("default", "pod-1")) == 15
    assert WorkloadEndpoint.named(name, "default", node="node-1", pod="pod-1").refusals() == []


def test_every_kind_has_its_place_in_the_store():
    for kind in KINDS:
        namespace = "default" if kind.namespaced else ""
        key = store_key(kind, "some", namespace)
        assert key.startswith("/calico/resources/v3/projectcalico.org/")
        assert parse_key(key) == (kind, Key(namespace, "some"))
        assert kind_named(kind.kind) == kind_named(kind.plural.upper()) == kind
    assert store_key(kind_named("wep"), "e", "default").endswith("/workloadendpoints/default/e")
    with pytest.raises(ValueError, match="needs a namespace"):
        store_key(kind_named("wep"), "e")
    assert parse_key("/calico/resources/v3/projectcalico.org/pods/a") is None
    assert parse_key("/registry/pods/default/a") is None


def test_labels_and_unknown_metadata_are_kept():
    given = obj("Node", "node-1")
    given["metadata"] |= {"labels": {"rack": "1"}, "generation": 3}
    node = Node.from_object(given)
    assert node.labels == {"rack": "1"}
    assert node.to_object()["metadata"] == given["metadata"]
