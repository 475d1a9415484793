"""Host ports in a whole cluster, under Flannel and Calico: from another node, from its own, from the pod."""

from __future__ import annotations

import os
import signal

import pytest
from support.clusters import Cluster, pod
from support.eventually import eventually

PORTS = [
    {"containerPort": 8080, "hostPort": 18080},
    {"containerPort": 9000, "hostPort": 19000, "protocol": "UDP"},
]
POD = pod("pod-1", "node-1", containers=[{"name": "main", "image": "echo", "ports": PORTS}])
NETWORK = {"flannel": "cbr0", "calico": "k8s-pod-network"}
"""The name of the CNI network, by plugin."""


@pytest.fixture(scope="module", params=NETWORK)
def cluster(request, tmp_path_factory):
    """Two nodes; pod-1 on node-1 has host ports, pod-2 on node-2 has none."""
    folder, pods = tmp_path_factory.mktemp("cluster"), [POD, pod("pod-2", "node-2")]
    with Cluster.running(folder, network={"plugin": request.param}, pods=pods) as cluster:
        cluster.network = NETWORK[request.param]
        yield cluster


def http(cluster, where, address):
    """Return who answers at the host port, or nothing."""
    url = f"http://{address}:18080/hostname"
    return cluster.exec(where, "curl", "-s", "--max-time", "2", url).stdout.strip()


def nat(cluster):
    saved = cluster.exec("node:node-1", "iptables-save", "-t", "nat").stdout
    return [line for line in saved.splitlines() if line.startswith("-A") and "CNI-" in line]


@pytest.mark.parametrize(
    ("where", "address"),
    [
        ("node:node-2", "192.168.0.11"),
        ("pod-2", "192.168.0.11"),
        ("node:node-1", "192.168.0.11"),
        ("node:node-1", "127.0.0.1"),
        ("pod-1", "192.168.0.11"),
    ],
)
def test_a_host_port_answers(cluster, where, address):
    assert http(cluster, where, address) == "pod-1"


def test_the_rules_name_the_nodes_network(cluster):
    entries = [line for line in nat(cluster) if line.startswith("-A CNI-HOSTPORT-DNAT")]
    assert len(entries) == 2
    assert all(f'name: \\"{cluster.network}\\"' in line for line in entries)


async def test_a_killed_worker_takes_no_rule_along(cluster):
    before = nat(cluster)
    pid = cluster.pid("worker-1")
    os.kill(pid, signal.SIGKILL)
    assert nat(cluster) == before
    assert await eventually(lambda: cluster.pid("worker-1") not in (0, pid))
    for _ in range(10):
        assert http(cluster, "node:node-2", "192.168.0.11") == "pod-1"
        assert nat(cluster) == before
