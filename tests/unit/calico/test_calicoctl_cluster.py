"""node status, datastore migrate, convert, version."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
import yaml
from support.calico_ipam import owner, pool, put_resources
from support.calicoctl import Ctl

from calico.calicoctl.node_status import Seen, told
from calico.ipam.allocator import Ipam
from calico.ipam.snapshot import read_snapshot
from calico.resources import datastore
from calico.resources.bgp_peers import BGPPeer
from calico.resources.endpoints import ClusterInformation
from calico.resources.nodes import Node
from calico.resources.pools import IPPool
from calico.version import VERSION
from fabric.api.kinds import NODE
from fabric.bird.protocols import BgpSession, Protocol

NOW = datetime(2026, 1, 1, 12)


@pytest.fixture
async def ctl(tmp_path):
    ctl = await Ctl(folder=tmp_path).began()
    await put_resources(ctl.store, pool(), Node.named("node-1"), Node.named("node-2"))
    await Ipam(ctl.store, ctl.clock, "node-1").auto_assign(owner())
    return ctl


def session(name: str, info: str = "Established", since: str = "11:00:00.5", address: str = "") -> Protocol:
    state = "up" if info == "Established" else "start"
    return Protocol(name, "BGP", "---", state, since, info, bgp=BgpSession(info, address))


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_sessions_are_of_a_type_and_a_family_each():
    birds = (
        session("Mesh_192_168_0_12"),
        session("Global_192_0_2_1", "Active        Socket: Connection refused", "2025-12-24"),
        session("Node_192_0_2_2_port_1790", address="192.0.2.2"),
        session("Mesh_fd00__12"),
        Protocol("kernel1", "Kernel", "master4", "up", "11:00:00"),
        session("uplink"),
    )
    text = told(Seen("node-1", True, birds, NOW), headed=False)
    assert rows(text) == [
        ["PEER ADDRESS", "PEER TYPE", "STATE", "SINCE", "INFO"],
        ["192.168.0.12", "node-to-node mesh", "up", "11:00:00", "Established"],
        ["192.0.2.1", "global", "start", "2025-12-24", "Active Socket: Connection refused"],
        ["192.0.2.2", "node specific", "up", "11:00:00", "Established"],
        ["PEER ADDRESS", "PEER TYPE", "STATE", "SINCE", "INFO"],
        ["fd00::12", "node-to-node mesh", "up", "11:00:00", "Established"],
    ]
    assert text.index("IPv4 BGP status") < text.index("192.0.2.2") < text.index("IPv6 BGP status")


def test_without_sessions_and_without_a_bird_it_says_so():
    assert told(Seen("node-1", True, (), NOW), headed=True) == (
        "node-1\nCalico process is running.\n\nIPv4 BGP status\nNo IPv4 peers found.\n\n"
        "IPv6 BGP status\nNo IPv6 peers found.\n\n"
    )
    assert "The BGP backend process (BIRD) is not running." in told(Seen("node-1", True, None), headed=False)


async def test_a_node_whose_agent_is_not_there_fails_the_command(ctl):
    conditions = [{"type": "NetworkUnavailable", "status": "False"}, {"type": "Ready", "status": "True"}]
    ctl.api.put(NODE, {"metadata": {"name": "node-1"}, "status": {"conditions": conditions}})
    answer = await ctl("node", "status")
    assert answer.out.startswith(
        "node-1\nCalico process is running.\n\nThe BGP backend process (BIRD) is not"
    )
    assert answer.out.endswith("node-2\nCalico process is not running.\n\n")
    assert (answer.code, answer.err) == (1, "Calico process is not running on node-2.\n")
    assert (await ctl.does("node", "status", "--node", "node-1")).startswith("Calico process is running.\n")
    assert await ctl.refuses("node", "status", "--node=node-2") == "Calico process is not running."
    assert "resource does not exist: Node(node-9)" in await ctl.refuses("node", "status", "--node=node-9")


async def test_what_is_exported_can_be_imported_elsewhere(ctl):
    await put_resources(ctl.store, BGPPeer.named("tor", peer_ip="192.0.2.1", as_number=65001))
    assert "datastore is not locked" in await ctl.refuses("datastore", "migrate", "export")
    assert await ctl.does("datastore", "migrate", "lock") == "Datastore locked.\n"
    text = await ctl.does("datastore", "migrate", "export")
    parts = text.split("===\n")
    assert [doc["kind"] for doc in yaml.safe_load_all(parts[0]) if doc][:2] == ["IPPoolList", "BGPPeerList"]
    assert json.loads(parts[1])["spec"]["clusterGUID"] == "abc"
    assert set(json.loads(parts[2])) == {"block_affinities", "blocks", "handles"}

    other = await Ctl().began(cluster_guid="other")
    await put_resources(other.store, Node.named("node-1"))
    assert await other.does("datastore", "migrate", "import", "-f", "-", stdin=text) == (
        "[WARNING] Node(node-2) is no node of this cluster. Skipping that node.\n"
        "Successfully applied 3 resource(s)\nImporting IPAM resources\n"
        "Successfully applied 3 IPAM resource(s)\n"
        "Datastore information successfully imported. Please refer to the datastore migration documentation "
        "for next steps.\n"
    )
    assert await read_snapshot(other.store) == await read_snapshot(ctl.store)
    assert (await datastore.get(other.store, IPPool, "pool-1")).spec == pool().spec
    information = await datastore.get(other.store, ClusterInformation, "default")
    assert (information.spec.cluster_guid, information.spec.datastore_ready) == ("abc", False)
    assert await other.does("datastore", "migrate", "unlock") == "Datastore unlocked.\n"
    assert "Successfully applied 3 IPAM resource(s)" in await other.does(
        "datastore", "migrate", "import", "-f", "-", stdin=text
    )


async def test_an_import_leaves_what_the_ipam_has(ctl):
    await ctl.does("datastore", "migrate", "lock")
    text = await ctl.does("datastore", "migrate", "export")
    await Ipam(ctl.store, ctl.clock, "node-1").auto_assign(owner("pod-2"))
    before = await read_snapshot(ctl.store)
    answer = await ctl("datastore", "migrate", "import", "-f", "-", stdin=text)
    assert answer.code == 1 and "Partial success: applied 2 out of 3 resources:" in answer.out
    assert answer.err.startswith("hit error: [error trying to create /calico/ipam/v2/assignment/ipv4/block/")
    assert await read_snapshot(ctl.store) == before


async def test_what_was_not_exported_is_not_imported(ctl):
    bring = ("datastore", "migrate", "import", "-f", "-")
    assert "improperly formatted" in await ctl.refuses(*bring, stdin="kind: x")
    assert "error while reading migration file" in await ctl.refuses(*bring, stdin="a: [===\n{}\n===\n{}\n")
    stray = '{"handles": [{"Key": "/registry/pods/x", "Value": {}}]}'
    information = '{"metadata": {"name": "default"}, "spec": {}}'
    answer = await ctl(*bring, stdin=f"===\n{information}\n===\n{stray}")
    assert "/registry/pods/x is no key of the IPAM" in answer.err
    assert "a file is needed" in await ctl.refuses("datastore", "migrate", "import")


V1 = """
apiVersion: v1
kind: ipPool
metadata: {cidr: 10.244.0.0/16}
spec: {ipip: {enabled: true, mode: cross-subnet}, nat-outgoing: true}
---
apiVersion: v1
kind: bgpPeer
metadata: {scope: node, node: Node_1, peerIP: 192.0.2.1}
spec: {asNumber: 65001}
---
apiVersion: v1
kind: bgpPeer
metadata: {scope: global, peerIP: fd00::1}
spec: {asNumber: 65001}
---
apiVersion: v1
kind: node
metadata: {name: node-1}
spec: {bgp: {ipv4Address: 192.168.0.11, asNumber: 64512}}
---
apiVersion: v1
kind: workloadEndpoint
metadata: {node: node-1, orchestrator: k8s, workload: team.pod-1, name: eth0, labels: {app: web}}
spec: {ipNetworks: [10.244.0.1/32], interfaceName: cali1, profiles: [kns.team]}
"""


async def test_old_resources_become_new_ones_that_are_valid(ctl):
    found = json.loads(await ctl.does("convert", "-f", "-", "-o", "json", stdin=V1))
    assert [(it["kind"], it["metadata"]["name"]) for it in found] == [
        ("IPPool", "10-244-0-0-16"),
        ("BGPPeer", "node-1.192-0-2-1"),
        ("BGPPeer", "fd00-0000-0000-0000-0000-0000-0000-0001"),
        ("Node", "node-1"),
        ("WorkloadEndpoint", "node--1-k8s-pod--1-eth0"),
    ]
    assert found[0]["spec"]["ipipMode"] == "CrossSubnet" and found[0]["spec"]["natOutgoing"] is True
    assert found[3]["spec"]["bgp"]["ipv4Address"] == "192.168.0.11/32"
    assert found[4]["metadata"] | {"name": ""} == {"name": "", "namespace": "team", "labels": {"app": "web"}}
    assert "Successfully validated 5 resource(s)" in await ctl.does(
        "validate", "-f", "-", stdin=json.dumps(found)
    )


async def test_what_cannot_be_converted_is_said(ctl):
    convert = ("convert", "-f", "-")
    policy = "apiVersion: v1\nkind: policy\nmetadata: {name: x}\n"
    assert "conversion for the resource type 'policy' is not supported" in await ctl.refuses(
        *convert, stdin=policy
    )
    assert "v1 is converted" in await ctl.refuses(*convert, stdin=policy.replace("v1", "v9"))
    bad = "apiVersion: v1\nkind: ipPool\nmetadata: {cidr: ten}\n"
    assert "Converted manifest resource(s) failed validation" in await ctl.refuses(*convert, stdin=bad)
    assert "cidr: ten" in await ctl.does(*convert, "--ignore-validation", stdin=bad)
    assert "unrecognized output format 'ps'" in await ctl.refuses(*convert, "-o", "ps", stdin=V1)
    peer = "apiVersion: v1\nkind: bgpPeer\nmetadata: {peerIP: 192.0.2.1}\n"
    assert "missing 'scope'" in await ctl.refuses(*convert, stdin=peer)
    assert not ctl.asked_for_a_cluster


async def test_versions(ctl):
    assert await ctl.does("version", "--client") == f"Client Version:    {VERSION}\n"
    assert not ctl.asked_for_a_cluster
    assert (await ctl.does("version")).splitlines()[1:] == [
        "Cluster Version:   v3",
        "Cluster Type:      k8s,bgp",
    ]
