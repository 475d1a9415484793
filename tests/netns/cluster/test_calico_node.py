"""A Calico node reads as a real one, line by line: routes, nat table, files, and what the API tells of it.

Blocks, MACs, devices and hashes follow from names, so that whole texts can be compared.
"""

from __future__ import annotations

import json
import re

import pytest
from support.clusters import Cluster, pod
from support.eventually import eventually

from fabric.api.kinds import NODE, POD
from fabric.cluster.paths import ClusterPaths
from fabric.control.http import HttpClient

BGP = {
    "apiVersion": "projectcalico.org/v3",
    "kind": "BGPConfiguration",
    "metadata": {"name": "default"},
    "spec": {"asNumber": 65001},
}
OPTIONS = {"vxlan": {}, "ipip": {"ipipMode": "CrossSubnet", "vxlanMode": "Never", "resources": [BGP]}}
TUNNEL = {"vxlan": "vxlan.calico", "ipip": "tunl0"}
OWN = "10.244.84.128"
"""The first address of node-1's block; node-2's, in its rack, is 10.244.247.0, node-3's 10.244.139.64."""
ROUTES = {
    "vxlan": """\
default via 192.168.1.1 dev eth0 proto static
blackhole 10.244.84.128/26 proto 80
10.244.84.129 dev cali83dbd022cd5 scope link
10.244.139.64/26 via 10.244.139.64 dev vxlan.calico onlink
10.244.247.0/26 via 192.168.1.12 dev eth0 proto 80 onlink
192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.11
""",
    "ipip": """\
default via 192.168.1.1 dev eth0 proto static
blackhole 10.244.84.128/26 proto bird
10.244.84.129 dev cali83dbd022cd5 scope link
10.244.139.64/26 via 192.168.2.13 dev tunl0 proto bird onlink
10.244.247.0/26 via 192.168.1.12 dev eth0 proto bird
192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.11
""",
}
NAT = """\
-P PREROUTING ACCEPT
-P INPUT ACCEPT
-P OUTPUT ACCEPT
-P POSTROUTING ACCEPT
-N cali-OUTPUT
-N cali-POSTROUTING
-N cali-PREROUTING
-N cali-fip-dnat
-N cali-fip-snat
-N cali-nat-outgoing
-A PREROUTING -m comment --comment "cali:6gwbT8clXdHdC1b1" -j cali-PREROUTING
-A OUTPUT -m comment --comment "cali:tVnHkvAo15HuiPy0" -j cali-OUTPUT
-A POSTROUTING -m comment --comment "cali:O3lYWMrLQYEMJtB5" -j cali-POSTROUTING
-A cali-OUTPUT -m comment --comment "cali:GBTAv2p5CwevEyJm" -j cali-fip-dnat
-A cali-POSTROUTING -m comment --comment "cali:Z-c7XtVd2Bq7s_hA" -j cali-fip-snat
-A cali-POSTROUTING -m comment --comment "cali:nYKhEzDlr11Jccal" -j cali-nat-outgoing
-A cali-POSTROUTING -o {tunnel} -m comment --comment "cali:{hash}" -m addrtype ! --src-type LOCAL \
--limit-iface-out -m addrtype --src-type LOCAL -j MASQUERADE --random-fully
-A cali-PREROUTING -m comment --comment "cali:r6XmIziWUJsdOK6Z" -j cali-fip-dnat
-A cali-nat-outgoing -m comment --comment "cali:flqWnvo8yq4ULQLa" -m set --match-set cali40masq-ipam-pools \
src -m set ! --match-set cali40all-ipam-pools dst -j MASQUERADE --random-fully
"""
HASH = {"vxlan": "e9dnSgSVNmIcpVhP", "ipip": "SXWvdsbh4Mw7wOln"}


@pytest.fixture(scope="module", params=OPTIONS)
def cluster(request, tmp_path_factory):
    """Two racks, three nodes, a pod on each."""
    network = {"plugin": "calico", "options": OPTIONS[request.param]}
    racks = {"kind": "leaf-spine", "nodesPerRack": 2}
    pods = [pod(f"pod-{number}", f"node-{number}") for number in (1, 2, 3)]
    folder = tmp_path_factory.mktemp(request.param)
    found = Cluster(folder, nodes=3, underlay=racks, network=network, pods=pods)
    found.mode = request.param
    try:
        found.up()
        yield found
    finally:
        found.close()


def on_node(cluster, *command: str) -> str:
    """Standard output without blanks at the ends of lines."""
    done = cluster.exec("node:node-1", *command)
    assert done.returncode == 0, done.stderr
    return re.sub(r" +$", "", done.stdout, flags=re.MULTILINE)


async def test_ip_route_reads_as_on_a_real_node(cluster):
    def all_routes() -> bool:
        assert on_node(cluster, "ip", "route") == ROUTES[cluster.mode]
        return True

    await eventually(all_routes)


def test_the_nat_table_reads_as_on_a_real_node(cluster):
    expected = NAT.format(tunnel=TUNNEL[cluster.mode], hash=HASH[cluster.mode])
    assert on_node(cluster, "iptables", "-t", "nat", "-S") == expected


def test_calicos_files_are_where_a_real_node_has_them(cluster):
    assert on_node(cluster, "ls", "/etc/cni/net.d") == "10-calico.conflist\ncalico-kubeconfig\n"
    assert on_node(cluster, "cat", "/var/lib/calico/nodename") == "node-1"
    assert on_node(cluster, "cat", "/var/lib/calico/mtu") == {"vxlan": "1450", "ipip": "1480"}[cluster.mode]
    assert "router id 192.168.1.11;" in on_node(cluster, "cat", "/etc/calico/confd/config/bird.cfg")
    plugins = json.loads(on_node(cluster, "cat", "/etc/cni/net.d/10-calico.conflist"))["plugins"]
    assert [it["type"] for it in plugins] == ["calico", "portmap"]


def test_status_tells_the_as_number_in_force(cluster):
    told = {node["details"]["as-number"] for node in cluster.status()["nodes"]}
    assert told == {{"vxlan": "(64512)", "ipip": "(65001)"}[cluster.mode]}, "in brackets: the cluster's"


async def test_pods_and_nodes_tell_what_calico_writes_on_them(cluster):
    client = HttpClient.unix(ClusterPaths(cluster.name).api_socket)
    try:
        annotations = (await client.get(POD, "pod-1", "default"))["metadata"]["annotations"]
        node = (await client.get(NODE, "node-1"))["metadata"]["annotations"]
    finally:
        await client.close()
    own = "10.244.84.129/32"
    sandbox = annotations["cni.projectcalico.org/containerID"]
    assert annotations["cni.projectcalico.org/podIP"] == annotations["cni.projectcalico.org/podIPs"] == own
    assert re.fullmatch("[0-9a-f]{64}", sandbox)
    assert on_node(cluster, "ls", "/var/lib/cni/results") == f"k8s-pod-network-{sandbox}-eth0\n"
    assert node["projectcalico.org/IPv4Address"] == "192.168.1.11/24"
    tunnel = {"vxlan": "IPv4VXLANTunnelAddr", "ipip": "IPv4IPIPTunnelAddr"}[cluster.mode]
    assert node[f"projectcalico.org/{tunnel}"] == OWN
