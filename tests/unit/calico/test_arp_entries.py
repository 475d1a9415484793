"""How many ARP entries a topology's BGP sessions take, told before anything is built."""

from __future__ import annotations

import pytest
from support.calico_nodes import config, facts

from calico.plugin import CalicoPlugin
from fabric.cluster.arp_limit import bgp_entries

MESH_OFF = {
    "kind": "BGPConfiguration",
    "metadata": {"name": "default"},
    "spec": {"nodeToNodeMeshEnabled": False},
}


def by_reflectors():
    spec = {"nodeSelector": "all()", "peerSelector": "rr == 'yes'"}
    peer = {"kind": "BGPPeer", "metadata": {"name": "reflectors"}, "spec": spec}
    resources = [{"apiVersion": "projectcalico.org/v3"} | it for it in (MESH_OFF, peer)]
    rules = [{"nodeSelector": "rr == 'yes'", "routeReflectorClusterID": "244.0.0.1"}]
    return config(resources=resources, nodes=rules)


def nodes(count, **where):
    return [facts(number, **where, rr="yes" if number <= 2 else "no") for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("section", "found", "needed"),
    [
        (config(), nodes(100), 100 * 99),
        (by_reflectors(), nodes(100), 2 * 99 + 98 * 2),
        (config("vxlan"), nodes(100), 0),
        # A rack of three beside one of two: each node has its rack's others, and the gateway for the rest.
        (config(), [facts(n, rack=1 if n <= 3 else 2) for n in range(1, 6)], 3 * (2 + 1) + 2 * (1 + 1)),
    ],
    ids=["mesh", "two reflectors", "no BGP", "racks"],
)
def test_each_end_of_a_session_needs_one(section, found, needed):
    assert bgp_entries(CalicoPlugin().bgp_speakers(section, found), found) == needed
