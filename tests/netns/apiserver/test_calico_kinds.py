"""kubectl on projectcalico.org/v3: the same resources as calicoctl's, in the same store."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network

import pytest
from support.api_server import api_server
from support.calico_ipam import noon_clock, pool
from support.kubectl import Kubectl, kubectl_1_20

from calico import served
from calico.resources import datastore
from calico.resources.endpoints import ClusterInformation
from calico.resources.pools import IPPool
from fabric.api.kinds import BUILT_IN
from fabric.plugin.contract import NetworkConfig

CONFIG = NetworkConfig((ip_network("10.244.0.0/16"),), ())
POOL = """
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pool-1}
spec: {cidr: 10.244.0.0/24, natOutgoing: true}
"""
PEER = """
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: tor}
spec: {peerIP: 192.0.2.1, asNumber: 65001, nodeSelector: rack == '1', ttlSecurity: 1}
"""


@pytest.fixture
async def running(tmp_path):
    async with api_server(tmp_path, (*BUILT_IN, *served.kinds(CONFIG))) as started:
        yield started


@pytest.fixture
def kubectl(running, tmp_path):
    return Kubectl(kubectl_1_20(), tmp_path / "home", running.kubeconfig)


def rows(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines()]


async def test_a_pool_is_applied_left_alone_changed_and_deleted(running, kubectl):
    said = "ippool.projectcalico.org/pool-1"
    assert await kubectl("apply", "-f", "-", stdin=POOL) == f"{said} created\n"
    assert await kubectl("apply", "-f", "-", stdin=POOL) == f"{said} unchanged\n"
    changed = POOL.replace("natOutgoing: true", "disabled: true")
    assert await kubectl("apply", "-f", "-", stdin=changed) == f"{said} configured\n"
    stored = await datastore.get(running.store, IPPool, "pool-1")
    assert stored is not None and stored.spec.disabled and not stored.spec.nat_outgoing
    assert await kubectl("delete", "ippool", "pool-1") == 'ippool.projectcalico.org "pool-1" deleted\n'
    assert await datastore.get(running.store, IPPool, "pool-1") is None


async def test_tables_show_what_calicos_api_server_shows(running, kubectl):
    await datastore.create(running.store, pool(vxlan_mode="Always"), noon_clock())
    said = await kubectl("get", "ippools.projectcalico.org")
    heading, row = rows(said)
    assert heading == ["NAME", "CREATED", "AT"]
    assert row == ["pool-1", "2026-01-01T12:00:00Z"]
    assert await kubectl("get", "ippools", "-o", "wide") == said


async def test_a_bad_pool_is_refused_with_its_fields(kubectl):
    bad = POOL.replace("natOutgoing: true", "ipipMode: Always, vxlanMode: Always, blockSize: 40")
    answer = await kubectl.attempt("apply", "-f", "-", stdin=bad)
    assert answer.code == 1
    assert 'The IPPool "pool-1" is invalid:' in answer.err
    for said in (
        "* spec.blockSize: '40' (IPv4 block size must be between 20 and 32)",
        "* spec.vxlanMode: 'Always' (Cannot enable both VXLAN and IPIP on the same IPPool)",
    ):
        assert said in answer.err
    outside = await kubectl.attempt("apply", "-f", "-", stdin=POOL.replace("10.244.0.0", "10.0.0.0"))
    assert "spec.cidr" in outside.err and "outside the cluster's pod CIDR 10.244.0.0/16" in outside.err
    unknown = await kubectl.attempt("apply", "-f", "-", stdin=POOL.replace("natOutgoing", "natOutside"))
    assert 'unknown field "natOutside" in org.projectcalico.v3.IPPool.spec' in unknown.err


async def test_a_slip_is_refused_and_a_field_of_calicos_own_is_carried(kubectl):
    head = "apiVersion: projectcalico.org/v3\nkind: {}\nmetadata: {{name: default}}\nspec: {}\n"
    slip = head.format("BGPConfiguration", "{nodeToNodeMeshEnable: false}")
    answer = await kubectl.attempt("apply", "-f", "-", stdin=slip)
    where = "org.projectcalico.v3.BGPConfiguration.spec"
    assert answer.code == 1 and f'unknown field "nodeToNodeMeshEnable" in {where}' in answer.err
    felix = head.format("FelixConfiguration", "{bpfLogFilters: {all: tcp}, healthPort: 9099}")
    answer = await kubectl.attempt("apply", "-f", "-", stdin=felix)
    assert answer.code == 0 and "Warning: spec.healthPort: it changes nothing" in answer.err
    found = await kubectl.json("get", "felixconfiguration", "default")
    given = {"bpfLogFilters": {"all": "tcp"}, "healthPort": 9099}
    assert found["spec"] == given | {
        "bpfConnectTimeLoadBalancing": "TCP",
        "bpfHostNetworkedNATWithoutCTLB": "Enabled",
        "floatingIPs": "Disabled",
    }


async def test_a_peer_is_edited_patched_and_labelled(running, kubectl, tmp_path):
    await kubectl("create", "-f", "-", stdin=PEER)
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/asNumber: 65001/asNumber: 65002/' \"$1\"\n")
    editor.chmod(0o755)
    kubectl.environment["KUBE_EDITOR"] = str(editor)
    assert await kubectl("edit", "bgppeer", "tor") == "bgppeer.projectcalico.org/tor edited\n"
    await kubectl("patch", "bgppeer", "tor", "-p", '{"spec":{"ttlSecurity":null}}')
    await kubectl("label", "bgppeers", "tor", "rack=1")
    found = await kubectl.json("get", "bgppeer", "tor")
    assert found["spec"]["asNumber"] == 65002 and "ttlSecurity" not in found["spec"]
    assert found["metadata"]["labels"] == {"rack": "1"}
    table = rows(await kubectl("get", "bgpp", "-l", "rack=1"))
    assert table == [["NAME", "CREATED", "AT"], ["tor", found["metadata"]["creationTimestamp"]]]


async def test_a_watch_sees_what_calicoctl_does(running, kubectl):
    async with kubectl.running("get", "ippools", "-w", "--no-headers", "-o", "name") as process:
        await datastore.create(running.store, pool(), noon_clock())
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        assert line == b"ippool.projectcalico.org/pool-1\n"


async def test_explain_knows_the_fields(kubectl):
    out = await kubectl("explain", "ippool.spec")
    assert "VERSION:  projectcalico.org/v3" in out and "blockSize\t<integer>" in out
    assert "cidr\t<string> -required-" in out
    about = await kubectl("explain", "bgppeer")
    assert "Who speaks BGP with whom beyond the node-to-node mesh." in about


async def test_some_kinds_are_read_only(running, kubectl):
    information = ClusterInformation.named("default", cluster_type="k8s,bgp", datastore_ready=True)
    await datastore.create(running.store, information, noon_clock())
    found = await kubectl.json("get", "clusterinformation", "default")
    assert (found["spec"]["clusterType"], found["spec"]["datastoreReady"]) == ("k8s,bgp", True)
    answer = await kubectl.attempt("delete", "clusterinformation", "default")
    assert answer.code == 1 and "MethodNotAllowed" in answer.err


async def test_discovery_lists_the_group_and_core_nodes_stay_kubernetes(kubectl):
    out = rows(await kubectl("api-resources", "--api-group=projectcalico.org", "--no-headers"))
    names = {row[0] for row in out}
    assert {"ippools", "bgppeers", "felixconfigurations", "blockaffinities"} <= names
    assert not {"nodes", "workloadendpoints"} & names
    assert "No resources found" in (await kubectl.attempt("get", "nodes")).err
