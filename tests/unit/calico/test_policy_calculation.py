"""The calculation of policies by itself: what goes in as Kubernetes' objects comes out as nodes' rules."""

from __future__ import annotations

from ipaddress import ip_interface, ip_network

import pytest

from calico.plugin import CalicoPlugin
from fabric.plugin.contract import NetworkConfig, NodeFacts

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
POLICY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "deny-all", "namespace": "default"},
    "spec": {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]},
}


def pod(name: str, node: str, address: str):
    metadata = {"name": name, "namespace": "default"}
    spec, status = {"nodeName": node}, {"podIPs": [{"ip": address}]}
    return {"kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


@pytest.fixture
def calculation():
    nodes = [
        NodeFacts(f"node-{number}", (ip_interface(f"192.168.0.{number}/24"),), "eth0", 1500)
        for number in (1, 2)
    ]
    config = NetworkConfig((ip_network("10.244.0.0/16"),), (ip_network("10.96.0.0/16"),))
    return CalicoPlugin().policy_calculation(config, nodes)


def test_a_policy_has_its_chain_and_its_set_on_the_node_of_its_pod_until_it_goes(calculation):
    def found():
        return {node: dict(parts) for node, parts in calculation.compute().items()}

    for obj in (NAMESPACE, pod("pod-1", "node-1", "10.244.1.1"), pod("pod-2", "node-3", "10.244.3.2")):
        calculation.put(obj)
    before = found()
    calculation.put(POLICY)
    after = found()
    assert after["node-2"] == before["node-2"]
    assert "rules:KubernetesNetworkPolicy default/deny-all" in after["node-1"]
    (members,) = [it.members for part, (it, *_) in after["node-1"].items() if part.startswith("set:")]
    assert members == {"10.244.1.1", "10.244.3.2"}, "a pod of another process' node is a member"
    calculation.drop(POLICY)
    assert found() == before
    calculation.drop(pod("pod-1", "node-1", "10.244.1.1"))
    calculation.drop(NAMESPACE)
    assert found()["node-1"].keys() == before["node-2"].keys()
