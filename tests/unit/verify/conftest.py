import pytest
from support.command_line import topology

from fabric.cluster import spec as specs
from fabric.cluster.paths import ClusterPaths
from fabric.topology.load import loads


@pytest.fixture
def cluster(monkeypatch, tmp_path):
    """Make the paths and the spec of a cluster that is only files."""
    monkeypatch.setenv("FABRIC_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("FABRIC_STATE_DIR", str(tmp_path / "state"))

    def make(spec="nodes: 2, network: {plugin: flannel}"):
        paths = ClusterPaths("lab")
        paths.make()
        chosen = specs.choose(loads(topology("lab", spec), tmp_path / "t.yaml"), None, api_port=1, workers=1)
        return paths, chosen

    return make
