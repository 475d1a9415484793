"""A whole cluster in a guest: a delay that the topology gives to a wire is in the pods' round trips."""

import re
from collections.abc import Iterator

import pytest
from support.clusters import Cluster, pod

pytestmark = pytest.mark.uml
UNDERLAY = {
    "kind": "graph",
    "switches": [{"name": "hall"}],
    "controlPlane": "hall",
    "links": [{"between": ["node-1", "hall"], "delay": "30ms"}, {"between": ["node-2", "hall"]}],
}
PODS = [pod("pod-1", "node-1"), pod("pod-2", "node-1"), pod("pod-3", "node-2")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster.running(tmp_path_factory.mktemp("cluster"), pods=PODS, underlay=UNDERLAY) as cluster:
        yield cluster


def least_round_trip_ms(cluster: Cluster, other: str) -> float:
    address = cluster.get(f"/api/v1/namespaces/default/pods/{other}")["status"]["podIP"]
    done = cluster.exec("pod-1", "ping", "-c", "3", "-i", "0.2", address)
    found = re.search(r"rtt min/avg/max/mdev = ([\d.]+)/", done.stdout)
    assert found, done.stdout + done.stderr
    return float(found[1])


def test_pods_behind_a_slow_wire_are_far_apart_and_those_of_one_node_are_not(cluster: Cluster):
    assert 60 <= least_round_trip_ms(cluster, "pod-3") < 120
    assert least_round_trip_ms(cluster, "pod-2") < 30
