"""FelixConfiguration's fields that change how pods are reached, on Linux."""

from __future__ import annotations

import pytest
from support.clusters import Cluster, pod

FELIX = {
    "apiVersion": "projectcalico.org/v3",
    "kind": "FelixConfiguration",
    "metadata": {"name": "default"},
    "spec": {"routeSource": "WorkloadIPs", "interfacePrefix": "azv"},
}
NETWORK = {"plugin": "calico", "backend": "vxlan", "options": {"resources": [FELIX]}}
ROUTES = """\
default via 192.168.0.1 dev eth0 proto static
10.244.84.129 dev azv83dbd022cd5 scope link
10.244.247.0 via 10.244.247.0 dev vxlan.calico onlink
10.244.247.1 via 10.244.247.0 dev vxlan.calico onlink
192.168.0.0/16 dev eth0 proto kernel scope link src 192.168.0.11
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    pods = [pod("pod-1", "node-1"), pod("pod-2", "node-2")]
    with Cluster.running(tmp_path_factory.mktemp("cluster"), pods=pods, network=NETWORK) as cluster:
        yield cluster


def test_a_node_has_a_route_to_each_pod_and_none_to_a_block(cluster):
    said = cluster.exec("node:node-1", "ip", "route").stdout
    assert "".join(f"{line.rstrip()}\n" for line in said.splitlines()) == ROUTES


@pytest.mark.parametrize("sender", ["pod-2", "node:node-1", "node:node-2"])
def test_pods_are_reached_from_pods_and_from_nodes(cluster, sender):
    done = cluster.exec(sender, "ping", "-q", "-c", "1", "-W", "5", "10.244.84.129")
    assert "1 received" in done.stdout, done.stdout + done.stderr
