"""Kinds of a plugin: at keys of the plugin's own, as it writes them, and by its rules."""

from __future__ import annotations

import asyncio
import json

import orjson
import pytest
import pytest_asyncio
from support.registry import config_map, new_registry

from fabric.api.kinds import CONFIG_MAP
from fabric.apiserver import tables
from fabric.apiserver.local import LocalClient
from fabric.apiserver.options import ListOptions, WriteOptions
from fabric.control.client import STRATEGIC
from fabric.errors import BadRequest, Conflict, Invalid, NotFound
from fabric.plugin.served import READ_ONLY, JsonCodec, PrinterColumn, ServedKind
from fabric.store.memory import MemoryStore
from fabric.store.port import Delete, Put

POOLS = "/plugin/pools/"


class PoolRules:
    """A size of 8 where none is said; sizes of all pools differ; a pool is drained before it goes."""

    async def admit(self, store, new, old):
        admitted = {**new, "spec": {"size": 8} | (new.get("spec") or {})}
        size = admitted["spec"]["size"]
        for kv in (await store.range(POOLS)).kvs:
            other = json.loads(kv.value)
            if other["metadata"]["name"] != new["metadata"]["name"] and other["spec"]["size"] == size:
                cause = {"reason": "FieldValueInvalid", "field": "spec.size", "message": "is taken"}
                raise Invalid("size is taken", details={"causes": [cause]})
        return old if admitted == old else admitted

    async def before_delete(self, store, obj):
        drained = {**obj, "spec": {**obj["spec"], "drained": True}}
        key = POOLS + obj["metadata"]["name"]
        result = await store.txn([], [Put(key, orjson.dumps(drained))])
        meta = {**obj["metadata"], "resourceVersion": str(result.revision)}
        return {**drained, "metadata": meta}


class AffinityCodec:
    """`<prefix><host>/<block>` holds a state alone; the object's name joins both."""

    prefix = "/plugin/affinities/"

    def tail(self, name):
        return name.replace("-", "/", 1)

    def name(self, tail):
        return tail.replace("/", "-", 1) if "/" in tail else None

    def decode(self, value, tail):
        return {"metadata": {"name": self.name(tail)}, "spec": {"state": value.decode()}}

    def encode(self, obj):
        return obj["spec"]["state"].encode()


POOL = ServedKind(
    "plugin.example",
    "v1",
    "Pool",
    "pools",
    False,
    codec=JsonCodec(POOLS),
    rules=PoolRules(),
    columns=(
        PrinterColumn("Size", lambda obj: obj["spec"]["size"], type="integer"),
        PrinterColumn("Mode", lambda obj: "Never", is_wide=True),
    ),
    properties={
        "spec": {
            "type": "object",
            "properties": {"size": {"type": "integer"}, "drained": {"type": "boolean"}},
        }
    },
)
AFFINITY = ServedKind(
    "plugin.example", "v1", "Affinity", "affinities", False, codec=AffinityCodec(), verbs=READ_ONLY
)


def pool(name="pool-1", **spec):
    return {"apiVersion": "plugin.example/v1", "kind": "Pool", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def store():
    return MemoryStore()


@pytest_asyncio.fixture
async def registry(store):
    async with new_registry(store, POOL, AFFINITY) as running:
        yield running


@pytest_asyncio.fixture
async def client(registry):
    return LocalClient(registry)


async def test_an_object_stands_at_the_plugins_key_with_its_defaults(client, store):
    made = await client.create(POOL, pool())
    assert made["spec"] == {"size": 8} and made["metadata"]["uid"]
    assert "generation" not in made["metadata"]
    kv = await store.get("/plugin/pools/pool-1")
    assert json.loads(kv.value)["spec"] == {"size": 8}
    assert made["metadata"]["resourceVersion"] == str(kv.mod_revision)
    assert await client.get(POOL, "pool-1") == made


async def test_what_another_door_writes_is_seen_by_reads_and_watches_at_once(client, store):
    listed = await client.list(POOL)
    events = client.watch(POOL, resource_version=listed.resource_version)
    first = asyncio.ensure_future(anext(events))
    await store.txn([], [Put(f"{POOLS}pool-2", orjson.dumps(pool("pool-2", size=4)))])
    event = await first
    assert (event.type, event.object["spec"]) == ("ADDED", {"size": 4})
    assert (await client.get(POOL, "pool-2"))["spec"] == {"size": 4}
    await store.txn([], [Delete(f"{POOLS}pool-2")])
    assert (await anext(events)).type == "DELETED"
    with pytest.raises(NotFound, match=r'pools\.plugin\.example "pool-2" not found'):
        await client.get(POOL, "pool-2")


async def test_all_kinds_are_at_one_revision_whatever_else_the_plugin_writes(client, registry, store):
    await store.txn([], [Put("/plugin/else", b"no object")])
    result = await store.txn([], [Put(f"{POOLS}pool-1", orjson.dumps(pool(size=1)))])
    await asyncio.sleep(0.1)
    for kind in (POOL, CONFIG_MAP):
        page = await registry.list(kind, "", ListOptions(resource_version=str(result.revision)))
        assert page.resource_version == str(result.revision)


async def test_the_rules_see_all_objects_of_the_kind_also_of_writes_in_flight(client):
    outcomes = await asyncio.gather(
        *(client.create(POOL, pool(f"pool-{i}")) for i in range(3)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes].count(Invalid) == 2
    with pytest.raises(Invalid, match="taken") as caught:
        await client.create(POOL, pool("other"))
    assert caught.value.details["causes"][0]["field"] == "spec.size"


async def test_a_change_that_changes_nothing_writes_nothing(client, store):
    made = await client.create(POOL, pool())
    before = await store.revision()
    assert await client.patch(POOL, "pool-1", {"spec": {"size": None}}) == made
    assert await store.revision() == before
    changed = await client.patch(POOL, "pool-1", {"spec": {"size": 3}}, patch_type=STRATEGIC)
    assert changed["spec"] == {"size": 3}


async def test_a_stale_version_is_refused(client):
    made = await client.create(POOL, pool())
    await client.patch(POOL, "pool-1", {"spec": {"size": 3}})
    with pytest.raises(Conflict):
        await client.update(POOL, made)


async def test_what_hangs_on_an_object_is_let_go_before_it_goes(client, store):
    await client.create(POOL, pool())
    seen = []
    events = store.watch(POOLS)
    await client.delete(POOL, "pool-1")
    while not seen or seen[-1].type != "delete":
        seen += await anext(events)
    assert [event.type for event in seen] == ["put", "delete"]
    assert json.loads(seen[0].kv.value)["spec"]["drained"] is True


async def test_unknown_fields_and_wrong_types_are_refused_by_the_schema(registry):
    strict = WriteOptions(field_validation="Strict")
    with pytest.raises(BadRequest, match=r'unknown field "spec\.colour"'):
        await registry.create(POOL, "", pool(colour="blue"), strict)
    with pytest.raises(Invalid, match=r"spec\.size.*must be of type integer"):
        await registry.create(POOL, "", pool(size="big"), strict)
    with pytest.raises(Invalid, match=r"metadata\.labels"):
        wrong = {**pool(), "metadata": {"name": "pool-1", "labels": "app"}}
        await registry.create(POOL, "", wrong, strict)


async def test_a_codec_may_hide_the_object_in_its_key(client, store):
    await store.txn([], [Put("/plugin/affinities/node-1/10.0.0.0", b"pending")])
    await store.txn([], [Put("/plugin/affinities/stray", b"no affinity")])
    (found,) = (await client.list(AFFINITY)).items
    assert (found["metadata"]["name"], found["spec"]) == ("node-1-10.0.0.0", {"state": "pending"})


async def test_what_cannot_be_read_is_left_out(client, store):
    for name, value in (("a", b"no json"), ("b", b"[]"), ("c", b'{"metadata":{}}'), ("d", b'{"spec":{}}')):
        await store.txn([], [Put(POOLS + name, value)])
    await store.txn([], [Put(f"{POOLS}pool-1", orjson.dumps(pool(size=1)))])
    await asyncio.sleep(0.1)
    assert [obj["metadata"]["name"] for obj in (await client.list(POOL)).items] == ["pool-1"]


async def test_a_restarted_server_finds_them_and_pages_of_the_past_are_read_as_the_plugin_writes(store):
    for i in range(5):
        await store.txn([], [Put(f"/plugin/affinities/node-{i}/b", b"confirmed")])
    async with new_registry(store, POOL, AFFINITY) as registry:
        first = await registry.list(AFFINITY, "", ListOptions(limit=2))
        await store.txn([], [Put("/plugin/affinities/node-9/b", b"pending")])
        await registry.create(CONFIG_MAP, "default", config_map(), WriteOptions())
        rest = await registry.list(AFFINITY, "", ListOptions(continue_=first.continue_))
        names = [obj["metadata"]["name"] for obj in (*first.items, *rest.items)]
        assert names == [f"node-{i}-b" for i in range(5)]


def test_a_plugins_columns_stand_between_name_and_age():
    shown = [(column.name, column.priority) for column in tables.columns_of(POOL)]
    assert shown == [("Name", 0), ("Size", 0), ("Age", 0), ("Mode", 1)]
