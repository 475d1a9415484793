"""Clusters on which policies are tried with real packets."""

from __future__ import annotations

import pytest
from support.policy_cluster import PolicyCluster

NETWORKS = {
    "vxlan": {"plugin": "calico", "backend": "vxlan"},
    "ipip": {"plugin": "calico", "options": {"ipipMode": "Always", "vxlanMode": "Never"}},
    "bgp": {"plugin": "calico", "options": {"ipipMode": "Never", "vxlanMode": "Never"}},
    "canal": {"plugin": "canal", "backend": "vxlan"},
}
"""Sections `network` of topologies."""


@pytest.fixture(
    scope="module",
    params=[("vxlan", "nft"), ("vxlan", "legacy"), ("ipip", "nft"), ("canal", "nft")],
    ids=lambda it: "-".join(it),
)
def any_network(request, tmp_path_factory):
    """The cluster on each network, and with both flavours of iptables."""
    network, flavour = request.param
    with PolicyCluster.running(tmp_path_factory.mktemp("cluster"), NETWORKS[network], flavour) as up:
        yield up


@pytest.fixture
def net(any_network: PolicyCluster):
    """The cluster without any policy, of each network."""
    yield any_network
    any_network.reset()


@pytest.fixture(scope="module")
def vxlan(tmp_path_factory):
    """The cluster of Calico with VXLAN."""
    with PolicyCluster.running(tmp_path_factory.mktemp("cluster"), NETWORKS["vxlan"]) as up:
        yield up


@pytest.fixture
def calico(vxlan: PolicyCluster):
    """The cluster of Calico with VXLAN, without any policy."""
    yield vxlan
    vxlan.reset()
