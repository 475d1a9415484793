import pytest
from support.clusters import Cluster, pod

PODS = [
    pod("pod-1", "node-1"),
    pod("pod-2", "node-1"),
    pod("pod-3", "node-2"),
    pod(
        "pod-4",
        "node-2",
        containers=[
            {"name": "main", "image": "echo"},
            {"name": "second", "image": "busybox", "command": ["sleep", "100000"]},
        ],
    ),
]


@pytest.fixture(scope="module", params=["vxlan", "host-gw"])
def either(request, tmp_path_factory):
    """The four pods on two nodes, once with VXLAN and once with host-gw."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), backend=request.param, pods=PODS)
    try:
        cluster.report = cluster.up()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="module")
def vxlan(tmp_path_factory):
    """The four pods on two nodes with VXLAN."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), pods=PODS)
    try:
        cluster.report = cluster.up()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def fresh(tmp_path):
    """A cluster of two nodes and four pods that is not up yet."""
    cluster = Cluster(tmp_path, pods=PODS)
    try:
        yield cluster
    finally:
        cluster.close()
