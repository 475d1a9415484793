"""Calico's kinds in the API server: at Calico's keys, by Calico's rules, and the same through both doors."""

from __future__ import annotations

import asyncio
import json
from ipaddress import ip_network

import pytest
import pytest_asyncio
from support.calico_ipam import noon_clock, owner, pool, put_resources
from support.registry import new_registry

from calico import served
from calico.columns import COLUMNS
from calico.ipam import keys
from calico.ipam.allocator import Ipam
from calico.ipam.configuration import Configuration, read_configuration, write_configuration
from calico.ipam.snapshot import read_snapshot
from calico.resources import datastore
from calico.resources.envelope import API_VERSION
from calico.resources.pools import IPPool
from calico.resources.table import RESOURCE_TYPES
from fabric.api.objects import Object
from fabric.apiserver import openapi, tables
from fabric.apiserver.local import LocalClient
from fabric.apiserver.options import WriteOptions
from fabric.errors import AlreadyExists, BadRequest, Conflict, Invalid, NotFound
from fabric.plugin.contract import NetworkConfig
from fabric.store.memory import MemoryStore
from fabric.store.port import Put

CONFIG = NetworkConfig((ip_network("10.244.0.0/16"),), ())
KINDS = {kind.kind: kind for kind in served.kinds(CONFIG)}
POOL = KINDS["IPPool"]
KEY = "/calico/resources/v3/projectcalico.org/ippools/pool-1"


def obj(kind: str, name: str, **spec) -> Object:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def store():
    return MemoryStore()


@pytest_asyncio.fixture
async def client(store):
    async with new_registry(store, *KINDS.values()) as registry:
        yield LocalClient(registry)


def causes(caught) -> list[tuple[str, str]]:
    return [(cause["field"], cause["message"]) for cause in caught.value.details["causes"]]


async def test_what_kubectl_applies_stands_as_calicoctl_writes_it(client, store):
    made = await client.create(POOL, obj("IPPool", "pool-1", cidr="10.244.0.0/24", natOutgoing=True))
    assert made["spec"]["blockSize"] == 26 and made["spec"]["allowedUses"] == ["Workload", "Tunnel"]
    kv = await store.get(KEY)
    resource = datastore.decode(IPPool, kv)
    assert kv.value == datastore.encode(resource)
    assert resource.to_object() == made


async def test_what_calicoctl_writes_is_seen_by_kubectl_at_once(client, store):
    made = await datastore.create(store, pool(), noon_clock())
    await asyncio.sleep(0.1)
    assert await client.get(POOL, "pool-1") == made.to_object()
    await datastore.delete(store, IPPool, "pool-1")
    await asyncio.sleep(0.1)
    with pytest.raises(NotFound):
        await client.get(POOL, "pool-1")


async def test_each_door_refuses_to_overwrite_what_the_other_wrote_since(client, store):
    made = await client.create(POOL, obj("IPPool", "pool-1", cidr="10.244.0.0/24"))
    seen = await datastore.get(store, IPPool, "pool-1")
    await client.patch(POOL, "pool-1", {"spec": {"disabled": True}})
    with pytest.raises(Conflict, match="update conflict"):
        await datastore.update(store, seen)
    with pytest.raises(Conflict):
        await client.update(POOL, made)


async def test_bad_pools_are_refused_with_the_fields_path(client, store):
    await client.create(POOL, obj("IPPool", "pool-1", cidr="10.244.0.0/24"))
    with pytest.raises(Invalid) as caught:
        await client.create(POOL, obj("IPPool", "pool-2", cidr="10.244.0.128/25"))
    assert causes(caught) == [
        (
            "spec.cidr",
            "'10.244.0.128/25' (IPPool(pool-2) CIDR overlaps with IPPool(pool-1) CIDR 10.244.0.0/24)",
        )
    ]
    for spec, field, message in (
        ({"cidr": "10.0.0.0/24"}, "spec.cidr", "outside the cluster's pod CIDR 10.244.0.0/16"),
        ({"cidr": "10.244.1.0/24", "blockSize": 33}, "spec.blockSize", "between 20 and 32"),
        (
            {"cidr": "10.244.1.0/24", "ipipMode": "Always", "vxlanMode": "Always"},
            "spec.vxlanMode",
            "Cannot enable both VXLAN and IPIP",
        ),
        ({"cidr": "10.244.1.0/24", "nodeSelector": "has("}, "spec.nodeSelector", "invalid selector"),
    ):
        with pytest.raises(Invalid) as caught:
            await client.create(POOL, obj("IPPool", "pool-2", **spec))
        ((where, what),) = causes(caught)
        assert where == field and message in what


@pytest.mark.parametrize("metadata", [[], 5, "x", True])
async def test_a_patch_that_makes_metadata_something_else_is_refused_and_no_bug(client, metadata):
    await client.create(POOL, obj("IPPool", "pool-1", cidr="10.244.0.0/24"))
    with pytest.raises((BadRequest, Invalid)):
        await client.patch(POOL, "pool-1", {"metadata": metadata})
    assert (await client.get(POOL, "pool-1"))["metadata"]["name"] == "pool-1"


async def test_a_field_that_calico_does_not_have_is_unknown_and_one_of_its_own_is_carried(store):
    strict = WriteOptions(field_validation="Strict")
    async with new_registry(store, *KINDS.values()) as registry:
        for kind, name, slip in (
            ("BGPConfiguration", "default", {"nodeToNodeMeshEnable": False}),
            ("BGPPeer", "tor", {"peerSelector": "all()", "nodeSelectr": "all()"}),
            ("FelixConfiguration", "default", {"wireguardEnable": True}),
        ):
            with pytest.raises(
                BadRequest, match=f'strict decoding error: unknown field "spec.{[*slip][-1]}"'
            ):
                await registry.create(KINDS[kind], "", obj(kind, name, **slip), strict)
        felix = obj("FelixConfiguration", "default", bpfLogFilters={"all": "tcp"}, healthPort=9099)
        made = await registry.create(KINDS["FelixConfiguration"], "", felix, strict)
        assert made["spec"].items() >= felix["spec"].items()
        felix["spec"] = {"bpfEnabled": "yes"}
        with pytest.raises(Invalid, match=r"spec\.bpfEnabled: Invalid value"):
            await registry.create(KINDS["FelixConfiguration"], "", felix, strict)
        felix["spec"] = {"bpfAttachType": "tc"}
        felix["metadata"]["name"] = "node.node-1"
        with pytest.raises(Invalid, match=r"spec.bpfAttachType = 'tc' \(must be one of: TC, TCX"):
            await registry.create(KINDS["FelixConfiguration"], "", felix, strict)


@pytest.mark.parametrize("field", ["failsafeInboundHostPorts", "failsafeOutboundHostPorts"])
async def test_no_failsafe_ports_are_stored_as_an_empty_list_and_not_as_none_said(store, field):
    async with new_registry(store, *KINDS.values()) as registry:
        felix, options = obj("FelixConfiguration", "default", **{field: []}), WriteOptions()
        made = await registry.create(KINDS["FelixConfiguration"], "", felix, options)
        assert made["spec"].get(field) == []


async def test_what_a_newer_calico_wrote_outlives_a_label_by_kubectl(client, store):
    kind = KINDS["BGPConfiguration"]
    newer = obj("BGPConfiguration", "default", ofTomorrow={"a": 1})
    await store.txn(
        [], [Put(KEY.replace("ippools/pool-1", "bgpconfigurations/default"), json.dumps(newer).encode())]
    )
    await asyncio.sleep(0.1)
    await client.patch(kind, "default", {"metadata": {"labels": {"a": "b"}}})
    assert (await client.get(kind, "default"))["spec"] == {"ofTomorrow": {"a": 1}}


async def test_pools_that_come_at_the_same_moment_do_not_overlap(client):
    outcomes = await asyncio.gather(
        *(client.create(POOL, obj("IPPool", f"pool-{i}", cidr="10.244.0.0/24")) for i in range(4)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Invalid) for outcome in outcomes) == 3


async def test_a_pools_cidr_stays_and_its_blocks_keep_their_size(client, store):
    await client.create(POOL, obj("IPPool", "pool-1", cidr="10.244.0.0/24", blockSize=28))
    with pytest.raises(Invalid) as caught:
        await client.patch(POOL, "pool-1", {"spec": {"cidr": "10.244.0.0/23", "blockSize": 29}})
    assert [field for field, _ in causes(caught)] == ["spec.cidr", "spec.blockSize"]
    await Ipam(store, noon_clock(), "node-1").auto_assign(owner())
    await client.delete(POOL, "pool-1")
    with pytest.raises(Invalid, match="conflicts with existing allocations"):
        await client.create(POOL, obj("IPPool", "pool-1", cidr="10.244.0.0/24"))


async def test_a_pool_that_goes_takes_its_affinities_along_and_leaves_pods_their_addresses(client, store):
    await put_resources(store, pool())
    await asyncio.sleep(0.1)
    ipam = Ipam(store, noon_clock(), "node-1")
    (address,) = await ipam.auto_assign(owner())
    await client.delete(POOL, "pool-1")
    snapshot = await read_snapshot(store)
    assert snapshot.affinities == {}
    (block,) = snapshot.blocks.values()
    assert not block.host and await ipam.addresses(owner().handle) == (address,)
    assert await datastore.get(store, IPPool, "pool-1") is None


async def test_affinities_are_seen_and_not_written(client, store):
    await put_resources(store, pool())
    await Ipam(store, noon_clock(), "node-1").auto_assign(owner())
    await asyncio.sleep(0.1)
    (found,) = (await client.list(KINDS["BlockAffinity"])).items
    assert found["metadata"]["name"].startswith("node-1-10-244-0-")
    assert found["spec"]["state"] == "confirmed" and found["spec"]["node"] == "node-1"
    assert set(KINDS["BlockAffinity"].verbs) == {"get", "list", "watch"}


async def test_the_ipams_configuration_is_one_object_of_another_form(client, store):
    kind = KINDS["IPAMConfiguration"]
    await write_configuration(store, Configuration(strict_affinity=True))
    await asyncio.sleep(0.1)
    assert (await client.get(kind, "default"))["spec"]["strictAffinity"] is True
    await client.patch(kind, "default", {"spec": {"maxBlocksPerHost": 3}})
    assert await read_configuration(store) == Configuration(strict_affinity=True, max_blocks_per_host=3)
    await client.delete(kind, "default")
    assert await store.get(keys.CONFIG) is None
    await client.create(kind, obj("IPAMConfiguration", "default", strictAffinity=False))
    with pytest.raises(AlreadyExists):
        await client.create(kind, obj("IPAMConfiguration", "default"))
    with pytest.raises(Invalid, match="other than 'default'"):
        await client.create(kind, obj("IPAMConfiguration", "other"))


async def test_what_cannot_be_read_is_left_out(client, store):
    await put_resources(store, pool())
    for name, value in (("a", b"no json"), ("b", b"[]"), ("c", b'{"metadata":{"name":"c"},"spec":{}}')):
        await store.txn([], [Put(KEY.replace("pool-1", name), value)])
    await store.txn([], [Put(KEY.replace("pool-1", "d"), datastore.encode(pool("e")))])
    await store.txn([], [Put(f"{keys.HOSTS}node-1/ipv4/block/10.244.0.0-28", b"{}")])
    await store.txn([], [Put(keys.CONFIG, b"[]")])
    await asyncio.sleep(0.1)
    assert [item["metadata"]["name"] for item in (await client.list(POOL)).items] == ["pool-1"]
    for name in ("BlockAffinity", "IPAMConfiguration"):
        assert not (await client.list(KINDS[name])).items


async def test_an_object_written_by_hand_can_be_edited_and_deleted(client, store):
    bare = {"metadata": {"name": "pool-1"}, "spec": {"cidr": "10.244.0.0/24"}}
    await store.txn([], [Put(KEY, json.dumps(bare).encode())])
    await asyncio.sleep(0.1)
    found = await client.get(POOL, "pool-1")
    assert found["spec"]["blockSize"] == 26
    changed = await client.update(POOL, {**found, "spec": {**found["spec"], "natOutgoing": True}})
    assert changed["spec"]["natOutgoing"] is True
    await client.delete(POOL, "pool-1")
    assert await store.get(KEY) is None


def test_every_kind_but_nodes_and_endpoints_is_served_with_a_schema_and_columns():
    assert set(KINDS) == set(RESOURCE_TYPES) - {"Node", "WorkloadEndpoint"}
    assert set(COLUMNS) == set(RESOURCE_TYPES)
    definitions = openapi.v3(KINDS.values())["components"]["schemas"]
    spec = definitions["org.projectcalico.v3.IPPool"]["properties"]["spec"]
    assert spec["required"] == ["cidr"] and spec["properties"]["ipipMode"]["enum"] == [
        "Always",
        "CrossSubnet",
        "Never",
    ]


@pytest.mark.parametrize("kind", KINDS.values(), ids=str)
def test_kubectl_shows_of_every_kind_what_calicos_api_server_shows(kind):
    name, created = tables.columns_of(kind)
    assert (name.name, created.name, created.type) == ("Name", "Created At", "date")
    obj = {"metadata": {"creationTimestamp": "2026-01-01T12:00:00Z"}}
    assert created.of(obj, None) == "2026-01-01T12:00:00Z"
    assert created.of({"metadata": {}}, None) == "0001-01-01T00:00:00Z", "views have no time"


def test_an_affinity_of_ipv6_has_a_name_too():
    codec = served.AffinityCodec()
    assert codec.name("node-1/ipv6/block/fd00::40-122") == "node-1-fd00--40-122"
    assert codec.name("node-1/ipv4/block/10.244.1.0-26") == "node-1-10-244-1-0-26"
    assert codec.name("node-1/else") is None
