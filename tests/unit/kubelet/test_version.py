from fabric.apiserver.documents import VERSION
from fabric.kubelet.config import KUBELET_VERSION


def test_the_kubelet_is_of_the_api_servers_minor_version():
    minor = VERSION.rpartition(".")[0]
    assert KUBELET_VERSION.startswith(f"{minor}.")
