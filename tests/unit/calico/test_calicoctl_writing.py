"""create, apply, replace, delete, validate: what is written, and what is said of it."""

from __future__ import annotations

import json

import pytest
from support.calico_ipam import owner, pool, put_resources
from support.calicoctl import Ctl

from calico.ipam.allocator import Ipam
from calico.ipam.configuration import Configuration, read_configuration, write_configuration
from calico.ipam.snapshot import read_snapshot
from calico.resources import datastore
from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.bgp_peers import BGPPeer
from calico.resources.endpoints import WorkloadEndpoint, endpoint_name
from calico.resources.felix import FelixConfiguration
from calico.resources.nodes import Node
from calico.resources.pools import IPPool
from fabric.api.kinds import NODE
from fabric.store.port import Put

HEAD = "apiVersion: projectcalico.org/v3\nkind: {}\nmetadata: {{name: {}}}\nspec: {}\n"
POOL = HEAD.format("IPPool", "pool-1", "{cidr: 10.244.0.0/24}")
PEER = HEAD.format("BGPPeer", "tor", "{peerIP: 192.0.2.1, asNumber: 65001}")
NO_CIDR = HEAD.format("IPPool", "pool-2", "{natOutgoing: true}")
KEY = "/calico/resources/v3/projectcalico.org/ippools/pool-1"
NOT_THERE = "resource does not exist: IPPool(pool-1) with error: <nil>"


@pytest.fixture
async def ctl():
    return await Ctl().began()


async def stored(ctl: Ctl, name: str = "pool-1") -> IPPool | None:
    return await datastore.get(ctl.store, IPPool, name)


async def test_what_is_created_is_there_with_its_defaults(ctl):
    assert await ctl.does("create", "-f", "-", stdin=POOL) == "Successfully created 1 'IPPool' resource(s)\n"
    made = await stored(ctl)
    assert made.spec.block_size == 26 and made.metadata.uid
    assert made.metadata.creation_timestamp == "2026-01-01T12:00:00Z"


async def test_creating_twice_fails_unless_it_may_be_passed_over(ctl):
    await ctl.does("create", "-f", "-", stdin=POOL)
    assert await ctl.refuses("create", "-f", "-", stdin=POOL) == (
        "failed to create 'IPPool' resource: [resource already exists: IPPool(pool-1)]"
    )
    said = await ctl.does("create", "-f", "-", "--skip-exists", stdin=POOL)
    assert said == "Successfully created 1 'IPPool' resource(s)\n"


async def test_some_of_several_are_created(ctl):
    answer = await ctl("create", "-f", "-", stdin=f"{POOL}---\n{PEER}---\n{NO_CIDR}")
    assert answer.code == 1
    assert answer.out == "Partial success: created the first 2 out of 3 resources:\n"
    assert answer.err == "hit error: [error with field IPPool.spec.cidr = '' (must be specified)]\n"
    none = await ctl.refuses("create", "-f", "-", stdin=f"{POOL}---\n{NO_CIDR}")
    assert none.startswith(
        "failed to create any 'IPPool' resources: [resource already exists: IPPool(pool-1) "
    )
    mixed = await ctl.refuses("create", "-f", "-", stdin=f"{PEER}---\n{NO_CIDR}")
    assert mixed.startswith("failed to create any resources: [")


async def test_apply_creates_then_replaces_the_spec_and_keeps_labels(ctl):
    await ctl.does("apply", "-f", "-", stdin=POOL.replace("{name: pool-1}", "{name: pool-1, labels: {a: b}}"))
    before = await stored(ctl)
    changed = POOL.replace("cidr", "natOutgoing: true, cidr")
    assert (
        await ctl.does("apply", "-f", "-", stdin=changed) == "Successfully applied 1 'IPPool' resource(s)\n"
    )
    after = await stored(ctl)
    assert after.spec.nat_outgoing and after.labels == {"a": "b"}
    assert after.metadata.uid == before.metadata.uid


async def test_replace_needs_what_it_replaces_and_stops_at_the_first_error(ctl):
    assert await ctl.refuses("replace", "-f", "-", stdin=POOL) == (
        f"failed to replace 'IPPool' resource: [{NOT_THERE}]"
    )
    await ctl.does("create", "-f", "-", stdin=PEER)
    answer = await ctl("replace", "-f", "-", stdin=f"{PEER}---\n{POOL}---\n{PEER}")
    assert answer.out == "Partial success: replaced the first 1 out of 3 resources:\n"
    assert answer.err == f"hit error: [{NOT_THERE}]\n"


async def test_a_stale_resource_version_is_a_conflict(ctl):
    await ctl.does("create", "-f", "-", stdin=POOL)
    seen = await ctl.does("get", "ippool", "pool-1", "-o", "yaml")
    await ctl.does("patch", "ippool", "pool-1", "-p", '{"spec":{"disabled":true}}')
    assert await ctl.refuses("replace", "-f", "-", stdin=seen) == (
        "failed to replace 'IPPool' resource: [update conflict: IPPool(pool-1)]"
    )
    fresh = await ctl.does("get", "ippool", "pool-1", "-o", "json")
    await ctl.does("replace", "-f", "-", stdin=fresh)


async def test_pools_are_judged_beside_the_others_as_kubectls_are(ctl):
    await ctl.does("create", "-f", "-", stdin=POOL)
    wide = POOL.replace("pool-1", "pool-2")
    said = await ctl.refuses("create", "-f", "-", stdin=wide)
    assert "IPPool(pool-2) CIDR overlaps with IPPool(pool-1) CIDR 10.244.0.0/24" in said
    outside = wide.replace("10.244", "10.10")
    assert "is outside the cluster's pod CIDR 10.244.0.0/16" in await ctl.refuses(
        "create", "-f", "-", stdin=outside
    )
    moved = POOL.replace("10.244.0.0", "10.244.1.0")
    assert "IPPool CIDR cannot be modified" in await ctl.refuses("apply", "-f", "-", stdin=moved)
    smaller = POOL.replace("cidr", "blockSize: 28, cidr")
    assert "IPPool BlockSize cannot be modified" in await ctl.refuses("replace", "-f", "-", stdin=smaller)


async def test_a_deleted_pool_is_disabled_and_drained_before_it_goes(ctl):
    await put_resources(ctl.store, pool())
    ipam = Ipam(ctl.store, ctl.clock, "node-1")
    (address,) = await ipam.auto_assign(owner())
    before = await ctl.store.revision()
    assert await ctl.does("delete", "pool", "pool-1") == "Successfully deleted 1 'IPPool' resource(s)\n"
    snapshot = await read_snapshot(ctl.store)
    assert not snapshot.affinities and await ipam.addresses(owner().handle) == (address,)
    seen = await anext(aiter(ctl.store.watch(KEY, from_revision=before + 1)))
    assert json.loads(seen[0].kv.value)["spec"]["disabled"] is True and seen[-1].type == "delete"


async def test_deleting_what_is_not_there(ctl):
    await ctl.does("create", "-f", "-", stdin=POOL)
    answer = await ctl("delete", "ippools", "pool-1", "pool-9")
    assert (answer.code, answer.out) == (1, "Successfully deleted 1 'IPPool' resource(s)\n")
    assert answer.err == (
        "Failed to delete 'IPPool' resource: resource does not exist: IPPool(pool-9) with error: <nil>\n"
    )
    assert await ctl.does("delete", "-s", "-f", "-", stdin=POOL) == (
        "Successfully deleted 1 'IPPool' resource(s)\n"
    )
    assert (await ctl("delete", "ippool")).err.endswith("resource name may not be empty\n")


async def test_a_file_says_what_to_delete(ctl):
    await ctl.does("create", "-f", "-", stdin=f"{POOL}---\n{PEER}")
    assert await ctl.does("delete", "-f", "-", stdin=f"{POOL}---\n{PEER}") == (
        "Successfully deleted 2 resource(s)\n"
    )
    assert (await ctl.store.range("/calico/resources/v3/projectcalico.org/bgppeers")).kvs == ()


async def test_what_is_the_clusters_own_is_not_written(ctl):
    information = HEAD.format("ClusterInformation", "default", "{clusterGUID: x}")
    for verb in ("create", "apply"):
        said = await ctl.refuses(verb, "-f", "-", stdin=information)
        assert (
            f"operation {verb} is not supported on ClusterInformation(default): resource is readonly" in said
        )
    assert "operation delete is not supported on ClusterInformation(default)" in await ctl.refuses(
        "delete", "clusterinfo", "default"
    )
    await put_resources(ctl.store, pool())
    await Ipam(ctl.store, ctl.clock, "node-1").auto_assign(owner())
    (name,) = (await ctl.does("get", "affinity", "-o", "custom-columns=NAME")).split()[1:]
    assert "operation label is not supported on BlockAffinity" in await ctl.refuses(
        "label", "affinity", name, "a=b"
    )


async def test_the_ipams_configuration_is_written_where_the_ipam_looks(ctl):
    text = HEAD.format("IPAMConfiguration", "default", "{strictAffinity: true}")
    await ctl.does("create", "-f", "-", stdin=text)
    assert await read_configuration(ctl.store) == Configuration(strict_affinity=True)
    await ctl.does("patch", "ipamconfig", "default", "-p", '{"spec":{"maxBlocksPerHost":2}}')
    assert await read_configuration(ctl.store) == Configuration(True, True, 2)
    await write_configuration(ctl.store, Configuration())
    await ctl.does("apply", "-f", "-", stdin=text)
    await ctl.does("delete", "ipamconfig", "default")
    assert await ctl.refuses("get", "ipamconfig", "default") == (
        "resource does not exist: IPAMConfiguration(default) with error: <nil>"
    )


async def test_a_node_of_the_cluster_stays_and_a_stranger_goes_with_all_that_is_its_own(ctl):
    await put_resources(ctl.store, pool(), Node.named("node-1"), Node.named("node-9"))
    ctl.api.put(NODE, {"metadata": {"name": "node-1"}})
    assert "the node is part of the cluster" in await ctl.refuses("delete", "node", "node-1")
    ipam = Ipam(ctl.store, ctl.clock, "node-9")
    (address,) = await ipam.auto_assign(owner("pod-1", "node-9"))
    name = endpoint_name("node-9", "pod-1")
    endpoint = WorkloadEndpoint.named(
        name, "default", node="node-9", pod="pod-1", ip_networks=(f"{address}/32",)
    )
    peers = [
        BGPPeer.named(f"of-{node}", node=node, peer_ip="192.0.2.1", as_number=1)
        for node in ("node-1", "node-9")
    ]
    own = (FelixConfiguration.named("node.node-9"), BGPConfiguration.named("node.node-9"))
    await put_resources(ctl.store, endpoint, *peers, *own)
    assert await ctl.does("delete", "node", "node-9") == "Successfully deleted 1 'Node' resource(s)\n"
    kept = {kv.key.rpartition("/")[2] for kv in (await ctl.store.range("/calico/resources")).kvs}
    assert kept == {"default", "pool-1", "node-1", "of-node-1"}
    snapshot = await read_snapshot(ctl.store)
    assert not snapshot.affinities and not snapshot.handles


async def test_validate_needs_no_cluster(ctl):
    assert await ctl.does("validate", "-f", "-", stdin=f"{POOL}---\n{PEER}") == (
        "Successfully validated 2 resource(s)\n"
    )
    assert (await ctl.refuses("validate", "-f", "-", stdin=NO_CIDR)).startswith(
        "failed to validate 'IPPool' resource: ["
    )
    assert not ctl.asked_for_a_cluster


async def test_resources_are_in_the_namespace_that_is_said(ctl):
    name = endpoint_name("node-1", "pod-1")
    text = HEAD.format(
        "WorkloadEndpoint", name, "{node: node-1, pod: pod-1, endpoint: eth0, orchestrator: k8s}"
    )
    await ctl.does("create", "-n", "team", "-f", "-", stdin=text)
    await ctl.does("create", "-f", "-", stdin=text)
    assert [it.metadata.namespace for it in await datastore.listed(ctl.store, WorkloadEndpoint)] == [
        "default",
        "team",
    ]
    other = text.replace("{name:", "{namespace: team, name:")
    said = await ctl.refuses("apply", "-n", "default", "-f", "-", stdin=other)
    assert "resource namespace does not match client namespace. team != default" in said
    assert "IPPool is not namespaced" in await ctl.refuses("create", "-n", "team", "-f", "-", stdin=POOL)
    await ctl.does("delete", "wep", name, "-n", "team")


async def test_a_key_that_somebody_spoilt_is_named(ctl):
    await ctl.store.txn([], [Put(KEY, b"no json")])
    assert f"{KEY} cannot be read" in await ctl.refuses("get", "ippool", "pool-1")


async def test_where_there_is_no_calico_it_says_so():
    assert await Ctl().refuses("get", "nodes") == (
        "cluster lab has no Calico datastore: its network plugin is calico"
    )


@pytest.mark.parametrize("verb", ["create", "apply", "replace", "validate"])
async def test_a_slip_in_a_key_is_refused_by_each_way_in(ctl, verb):
    slip = HEAD.format("BGPConfiguration", "default", "{nodeToNodeMeshEnable: false}")
    said = await ctl.refuses(verb, "-f", "-", stdin=slip)
    assert "BGPConfiguration.spec.nodeToNodeMeshEnable = 'false'" in said
    assert "did you mean nodeToNodeMeshEnabled?" in said
    assert "IPPool.specc" in await ctl.refuses(verb, "-f", "-", stdin=POOL + "specc: {}\n")
    assert "metadata.name = 'A_b'" in await ctl.refuses(verb, "-f", "-", stdin=POOL.replace("pool-1", "A_b"))


async def test_a_field_that_changes_nothing_is_told_and_kept(ctl):
    text = HEAD.format("FelixConfiguration", "default", "{healthPort: 9099, vxlanMTU: 1400}")
    answer = await ctl("apply", "-f", "-", stdin=text)
    assert answer.code == 0 and "Successfully applied 1 'FelixConfiguration' resource(s)" in answer.out
    (line,) = answer.err.splitlines()
    assert line.startswith("Warning: spec.healthPort: it changes nothing: ")
