"""What would make BIRD refuse a node's whole file: refused where it is written, cut, or left out alone."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_interface

import pytest
from support.calico_bgp import cluster, configuration, mesh, peer
from support.calico_nodes import node

from calico.bgp.config import bird_config
from calico.resources.nodes import Node
from calico.resources.refusals import InvalidResource
from calico.resources.table import RESOURCE_TYPES


def text(snapshot, name="node-1"):
    return str(bird_config(snapshot, name, {}))


def rule(**spec):
    return {"importV4": [{"action": "Reject", "cidr": "10.0.0.0/16", "matchOperator": "In", **spec}]}


@pytest.mark.parametrize(
    ("kind", "name", "spec", "path"),
    [
        ("BGPConfiguration", "default", {"asNumber": 0}, "spec.asNumber"),
        ("BGPConfiguration", "default", {"ignoredInterfaces": ['eth"1']}, "spec.ignoredInterfaces[0]"),
        ("BGPConfiguration", "default", {"programClusterRoutes": "disabled"}, "spec.programClusterRoutes"),
        (
            "BGPConfiguration",
            "default",
            {"nodeMeshMaxRestartTime": "9" * 400 + "s"},
            "spec.nodeMeshMaxRestartTime",
        ),
        ("FelixConfiguration", "default", {"programClusterRoutes": "disabled"}, "spec.programClusterRoutes"),
        ("BGPFilter", "some", rule(prefixLength={"max": 8}), "spec.importV4[0].prefixLength.max"),
        ("BGPFilter", "some", rule(prefixLength={"min": 28, "max": 24}), "spec.importV4[0].prefixLength.max"),
        ("BGPFilter", "some", rule(prefixLength={"min": 64}), "spec.importV4[0].prefixLength.min"),
        ("BGPPeer", "some", {"peerIP": "fe80::2", "asNumber": 1}, "spec.peerIP"),
        ("BGPPeer", "some", {"peerIP": "fe80::2%x\nfoo", "asNumber": 1}, "spec.peerIP"),
        (
            "Node",
            "some",
            {"bgp": {"ipv4Address": "192.0.2.1/24", "routeReflectorClusterID": "fd00::1"}},
            "spec.bgp.routeReflectorClusterID",
        ),
    ],
)
def test_what_no_bird_conf_can_say_is_refused(kind, name, spec, path):
    with pytest.raises(InvalidResource) as refused:
        RESOURCE_TYPES[kind].from_object({"metadata": {"name": name}, "spec": spec})
    assert path in str(refused.value)


def test_times_are_cut_to_what_bgp_can_say():
    asked = peer("slow", peerIP="192.0.2.1", asNumber=65001, keepaliveTime="7h", maxRestartTime="20000h")
    said = text(mesh(2, asked, configuration(nodeMeshMaxRestartTime="2h")))
    assert re.findall(r"(hold|keepalive) time (\d+)", said) == [("hold", "65535"), ("keepalive", "21845")]
    assert set(re.findall(r"graceful restart time (\d+)", said)) == {"4095"}


def test_two_nodes_that_say_one_address_are_one_peer():
    """As while a node gets another name: the old Node is removed when the new one is there."""
    renamed = replace(node(2), metadata=replace(node(2).metadata, name="node-3"))
    snapshot = cluster(node(1), node(2), renamed)
    assert re.findall(r"protocol bgp (\S+)", text(snapshot)) == ["Mesh_192_168_0_12"]
    assert re.findall(r"protocol bgp (\S+)", text(snapshot, "node-3")) == ["Mesh_192_168_0_11"]


def test_a_link_local_address_of_a_node_is_none_that_others_dial():
    snapshot = cluster(*(_with_ipv6(number, f"fe80::{number}/64") for number in (1, 2)))
    assert re.findall(r"protocol bgp (\S+)", text(snapshot)) == ["Mesh_192_168_0_12"]
    assert "fe80" not in text(snapshot)


def test_the_usual_port_is_no_other_session():
    peers = (
        peer(name, peerIP=ip, asNumber=65001) for name, ip in (("a", "192.0.2.1"), ("b", "192.0.2.1:179"))
    )
    found = re.findall(r"protocol bgp (\S+)", text(mesh(1, *peers)))
    assert found == ["Global_192_0_2_1"]


def _with_ipv6(number: int, address: str) -> Node:
    made = node(number)
    assert made.spec.bgp is not None
    bgp = replace(made.spec.bgp, ipv6_address=ip_interface(address))
    return replace(made, spec=replace(made.spec, bgp=bgp))
