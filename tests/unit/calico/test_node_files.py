"""The node's and the pod's own records of the CNI plugin: results, configuration, annotations."""

from __future__ import annotations

import json
from ipaddress import ip_network

import pytest
import yaml
from support.calico_cni import CniNode, ref
from support.calico_nodes import pool

from calico.ipam.snapshot import read_snapshot
from calico.node_files import NodeFiles, conflist
from calico.resources import datastore
from fabric.api.kinds import POD
from fabric.api.objects import sandbox_id


@pytest.fixture
async def node(tmp_path):
    found = CniNode(tmp_path)
    await datastore.create(found.store, pool(), found.clock)
    found.pod()
    return found


async def test_a_pod_and_its_nodes_files_tell_of_its_sandbox_as_on_a_real_cluster(node):
    found = await node.cni.add(ref())
    container, network = sandbox_id("uid-1"), str(found.ips[0])
    assert len(container) == 64
    pod = await node.api.get(POD, "pod-1", "default")
    assert pod["metadata"]["annotations"] == {
        "cni.projectcalico.org/containerID": container,
        "cni.projectcalico.org/podIP": network,
        "cni.projectcalico.org/podIPs": network,
    }
    assert list((await read_snapshot(node.store)).handles) == [f"k8s-pod-network.{container}"]
    (file,) = (node.root / "var/lib/cni/results").iterdir()
    cache = json.loads(file.read_text())
    named = (cache["kind"], cache["containerId"], cache["networkName"])
    assert named == ("cniCacheV1", container, "k8s-pod-network")
    assert ["K8S_POD_INFRA_CONTAINER_ID", container] in cache["cniArgs"]
    assert cache["result"]["ips"] == [{"address": network, "version": "4"}]


@pytest.mark.parametrize("own_addresses, name", [(True, "10-calico.conflist"), (False, "10-canal.conflist")])
def test_the_configuration_of_the_cni_stands_where_a_runtime_looks_for_it(tmp_path, own_addresses, name):
    configured = conflist("node-1", 0, own_addresses=own_addresses)
    NodeFiles(tmp_path, "node-1", ip_network("10.96.0.0/12"), configured).install(1450)
    found = json.loads((tmp_path / "etc/cni/net.d" / name).read_text())
    assert (found["name"], found["cniVersion"]) == ("k8s-pod-network", "0.3.1")
    assert [plugin["type"] for plugin in found["plugins"]] == ["calico", "portmap"]
    assert found["plugins"][0]["nodename"] == "node-1"
    kubeconfig = yaml.safe_load((tmp_path / "etc/cni/net.d/calico-kubeconfig").read_text())
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://10.96.0.1:443"
    assert (tmp_path / "var/lib/calico/mtu").read_text() == "1450"
