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


@pytest.fixture(scope="module")
def vxlan(tmp_path_factory):
    """The four pods on two nodes with VXLAN."""
    yield from running(tmp_path_factory, "vxlan")


@pytest.fixture(scope="module")
def host_gw(tmp_path_factory):
    """The four pods on two nodes with host-gw."""
    yield from running(tmp_path_factory, "host-gw")


@pytest.fixture(scope="module", params=["vxlan", "host_gw"])
def either(request):
    """The four pods on two nodes, once with VXLAN and once with host-gw."""
    return request.getfixturevalue(request.param)


def running(tmp_path_factory, backend):
    """A cluster that is up, and down again when the module has ended."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), backend=backend, pods=PODS)
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
