"""A mesh with a password: its sessions wait for the Secret, and come up when it is there."""

import json

import pytest
from support.clusters import fabric
from support.eventually import eventually
from support.shipped import Shipped

from fabric.api.kinds import SECRET
from fabric.cluster.paths import ClusterPaths
from fabric.control.http import HttpClient


@pytest.fixture
def mesh(tmp_path):
    """Four nodes whose mesh has the password `mesh` of the Secret `bgp`, which is not there yet."""
    cluster = Shipped(tmp_path, "calico-bgp")
    password = {"secretKeyRef": {"name": "bgp", "key": "mesh"}}
    cluster.document["spec"]["network"]["options"]["resources"] = [
        {
            "apiVersion": "projectcalico.org/v3",
            "kind": "BGPConfiguration",
            "metadata": {"name": "default"},
            "spec": {"nodeMeshPassword": password},
        }
    ]
    cluster.write_document()
    try:
        cluster.report = cluster.up("--no-check")
        yield cluster
    finally:
        cluster.close()


def established(cluster):
    done = fabric("bgp", cluster.name, "-o", "json")
    assert done.returncode == 0, done.stderr
    return sum(it["state"] == "Established" for it in json.loads(done.stdout))


async def test_the_mesh_comes_up_when_its_secret_is_there(mesh):
    assert established(mesh) == 0
    conf = mesh.exec("node:node-1", "cat", "/etc/calico/confd/config/bird.cfg").stdout
    assert "# The node-to-node mesh is left out: there is no Secret bgp with a key mesh" in conf
    client = HttpClient.unix(ClusterPaths(mesh.name).api_socket)
    secret = {"metadata": {"name": "bgp", "namespace": "kube-system"}, "stringData": {"mesh": "sesame"}}
    await client.create(SECRET, {"apiVersion": "v1", "kind": "Secret", **secret}, namespace="kube-system")
    await client.close()
    await eventually(lambda: established(mesh) == 12)
    assert 'password "sesame";' in mesh.exec("node:node-1", "cat", "/etc/calico/confd/config/bird.cfg").stdout
