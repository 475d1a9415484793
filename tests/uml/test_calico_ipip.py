"""Calico's IPIP in a guest whose kernel has the driver: tunl0 is the kernel's, and the wire is the same."""

import json
from collections.abc import Iterator

import pytest
from scapy.layers.inet import ICMP, IP
from support.capture import Capture, mark
from support.cluster_namespaces import namespaces_of
from support.shipped import Shipped

pytestmark = pytest.mark.uml
MTU = 1480


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shipped]:
    """The shipped topology with IPIP everywhere."""
    cluster = Shipped(tmp_path_factory.mktemp("cluster"), "calico-ipip")
    try:
        cluster.report = cluster.up()
        yield cluster
    finally:
        cluster.close()
    assert cluster.leftovers() == []


def test_every_pod_reaches_every_pod_and_nothing_carries_the_tunnel_but_the_kernel(cluster: Shipped):
    assert cluster.report["reachability"]["reached"] == 12
    (tunnel,) = json.loads(cluster.exec("node:node-1", "ip", "-j", "-d", "link", "show", "tunl0").stdout)
    assert (tunnel["linkinfo"]["info_kind"], tunnel["mtu"]) == ("ipip", MTU)
    assert not any("user space" in node["network"] for node in cluster.status()["nodes"])


def test_a_full_size_packet_crosses_in_protocol_4_with_its_ttl_and_df_outside_too(cluster: Shipped):
    sign, spaces = mark(), namespaces_of(cluster)
    with Capture({"node-1": spaces["node-1"].pid}) as capture:
        ping = ("ping", "-n", "-c", "1", "-W", "5", "-M", "do", "-s", str(MTU - 28), "-p", sign.hex())
        done = cluster.exec("pod-1", *ping, cluster.address("pod-3"))
        assert done.returncode == 0, done.stdout + done.stderr
        frames = capture.frames().of("node-1", "eth0", holding=sign)
    sent = next(it for it in frames.packets if it[IP].payload[ICMP].type == 8)
    inner = sent[IP].payload
    assert (sent[IP].proto, sent[IP].ttl, str(sent[IP].flags)) == (4, 63, "DF")
    assert (sent[IP].src, sent[IP].dst) == ("192.168.0.11", "192.168.0.12")
    assert (inner.src, inner.dst) == (cluster.address("pod-1"), cluster.address("pod-3"))
