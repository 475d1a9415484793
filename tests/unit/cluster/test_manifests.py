import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.registry import new_registry

from fabric.api import kinds
from fabric.api.kinds import KindTable
from fabric.apiserver.local import LocalClient
from fabric.apiserver.registry import Registry
from fabric.cluster import manifests
from fabric.control.clock import LoopClock
from fabric.errors import FabricError, Invalid
from fabric.plugin.served import READ_ONLY, JsonCodec, ServedKind
from fabric.store.memory import MemoryStore
from fabric.topology.model import Manifest

json_objects = st.recursive(
    st.integers(0, 3), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
)
documents = st.dictionaries(st.sampled_from("abc"), json_objects, max_size=3)


def merged(there, patch):
    """RFC 7386, as its pseudo code has it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(there) if isinstance(there, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


@given(documents, documents)
def test_the_patch_turns_what_was_applied_into_what_is_wanted(last, wanted):
    assert merged(last, manifests.merge_patch(last, wanted)) == wanted


def test_what_somebody_else_wrote_stays():
    patch = manifests.merge_patch({"a": {"x": 1}}, {"a": {"y": 2}})
    assert merged({"a": {"x": 1, "z": 3}}, patch) == {"a": {"y": 2, "z": 3}}


@pytest.fixture
async def client():
    registry = Registry(MemoryStore(), KindTable(), LoopClock())
    await registry.start()
    running = asyncio.ensure_future(registry.run())
    yield LocalClient(registry)
    running.cancel()
    await asyncio.wait([running])


def config_map(name: str, **data: str) -> Manifest:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    return Manifest(obj, f"t.yaml:{len(name)}")


async def test_what_left_the_file_leaves_the_cluster_and_nothing_else_does(client):
    await client.create(kinds.CONFIG_MAP, config_map("users").object, namespace="default")
    await manifests.apply(client, [config_map("one", a="1", b="2"), config_map("two")], KindTable())
    await manifests.apply(client, [config_map("one", a="3")], KindTable())
    found = {m["metadata"]["name"]: m for m in (await client.list(kinds.CONFIG_MAP, "default")).items}
    assert "users" in found
    assert "two" not in found
    assert found["one"]["data"] == {"a": "3"}


async def test_applying_the_same_twice_changes_no_resource_version(client):
    versions = []
    for _ in range(2):
        await manifests.apply(client, [config_map("one", a="1")], KindTable())
        versions.append((await client.get(kinds.CONFIG_MAP, "one", "default"))["metadata"]["resourceVersion"])
    assert versions[0] == versions[1]


async def test_a_refused_manifest_is_named_by_its_line(client):
    bad = Manifest({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "Bad_Name"}}, "t.yaml:7")
    with pytest.raises(FabricError, match=r"t\.yaml:7: ConfigMap default/Bad_Name"):
        await manifests.apply(client, [bad], KindTable())


class NeedsBoth(LocalClient):
    """A client of a server that has the config map `policy` only beside `tier`."""

    async def create(self, kind, obj, **options):
        if obj["metadata"]["name"] == "policy" and not await self._has("tier"):
            raise Invalid("create the tier first")
        return await super().create(kind, obj, **options)

    async def delete(self, kind, name, *args, **options):
        if name == "tier" and await self._has("policy"):
            raise Invalid("a policy is in the tier")
        return await super().delete(kind, name, *args, **options)

    async def _has(self, name):
        return any(it["metadata"]["name"] == name for it in (await self.list(kinds.CONFIG_MAP)).items)


async def test_what_needs_another_manifest_is_applied_after_it_and_pruned_before_it(client):
    strict = NeedsBoth(client._registry)
    given = [config_map("policy"), config_map("tier")]
    await manifests.apply(strict, given, KindTable())
    assert len((await client.list(kinds.CONFIG_MAP, "default")).items) == 2
    with pytest.raises(FabricError, match="a policy is in the tier"):
        await manifests.apply(strict, given[:1], KindTable())
    await manifests.apply(strict, [], KindTable())
    assert not (await client.list(kinds.CONFIG_MAP, "default")).items


POOL = ServedKind("manifests.example", "v1", "Pool", "pools", False, codec=JsonCodec("/plugin/pools/"))
SEEN = ServedKind(
    "manifests.example", "v1", "Seen", "seens", False, codec=JsonCodec("/plugin/seens/"), verbs=READ_ONLY
)


def of_plugin(kind: str, name: str = "one") -> Manifest:
    return Manifest(
        {"apiVersion": "manifests.example/v1", "kind": kind, "metadata": {"name": name}}, "t.yaml:9"
    )


async def test_kinds_of_the_plugin_are_applied_and_pruned_where_they_can_be():
    table = KindTable((*kinds.BUILT_IN, POOL, SEEN))
    store = MemoryStore()
    async with new_registry(store, POOL, SEEN) as registry:
        client = LocalClient(registry)
        await manifests.apply(client, [of_plugin("Pool"), of_plugin("Pool", "two")], table)
        await manifests.apply(client, [of_plugin("Pool")], table)
        assert [kv.key for kv in (await store.range("/plugin/")).kvs] == ["/plugin/pools/one"]


def pod(name: str, **spec) -> Manifest:
    wanted = {"containers": [{"name": "main", "image": "echo"}], **spec}
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": wanted}
    return Manifest(obj, "t.yaml:5")


async def test_what_somebody_changed_or_deleted_is_told_and_put_back(client):
    files = [config_map("one", a="1"), config_map("three"), pod("pod-1")]
    await manifests.put(client, files, KindTable())
    assert await manifests.differences(client, files, KindTable(), {"node-1"}) == []
    await client.patch(kinds.CONFIG_MAP, "one", {"data": {"a": "2", "b": "3"}}, namespace="default")
    await client.delete(kinds.CONFIG_MAP, "three", "default")
    await client.patch(
        kinds.POD,
        "pod-1",
        [{"op": "replace", "path": "/spec/containers/0/image", "value": "nginx"}],
        namespace="default",
        patch_type="application/json-patch+json",
    )
    found = await manifests.differences(client, files, KindTable(), {"node-1"})
    assert sorted(what for _, what in found) == [
        "ConfigMap default/one has another data.a than the file",
        "ConfigMap default/three is gone",
        "Pod default/pod-1 has another spec.containers[0].image than the file",
    ]
    await manifests.put(client, [manifest for manifest, _ in found], KindTable())
    assert await manifests.differences(client, files, KindTable(), {"node-1"}) == []
    assert (await client.get(kinds.CONFIG_MAP, "one", "default"))["data"] == {"a": "1", "b": "3"}


async def test_a_pod_on_a_node_that_left_is_made_anew(client):
    await manifests.put(
        client, [pod("pod-1", nodeName="node-2"), pod("pod-2", nodeName="node-1")], KindTable()
    )
    versions = {p["metadata"]["name"]: p["metadata"]["uid"] for p in (await client.list(kinds.POD)).items}
    files = [pod("pod-1"), pod("pod-2", nodeName="node-1")]
    found = await manifests.differences(client, files, KindTable(), {"node-1"})
    assert [what for _, what in found] == ["Pod default/pod-1 is on a node that left the file"]
    await manifests.put(client, files, KindTable(), nodes={"node-1"})
    there = {p["metadata"]["name"]: p for p in (await client.list(kinds.POD)).items}
    assert there["pod-1"]["metadata"]["uid"] != versions["pod-1"]
    assert "nodeName" not in there["pod-1"]["spec"]
    assert there["pod-2"]["metadata"]["uid"] == versions["pod-2"]


@given(documents, documents)
def test_what_was_patched_is_no_difference(there, wanted):
    assert manifests.difference(merged(there, wanted), wanted) is None


@pytest.mark.parametrize(
    ("there", "wanted", "path"),
    [
        ({"a": 1}, {"a": 2}, "a"),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [2, 1]}}, "a.b"),
        ({}, {"a": {"b": 1}}, "a"),
        ({"l": [{"name": "x", "v": 1}]}, {"l": [{"name": "x", "v": 2}]}, "l[0].v"),
        ({"l": [{"name": "y"}, {"name": "x", "more": 1}]}, {"l": [{"name": "x"}, {"name": "y"}]}, None),
        ({"l": []}, {"l": [{"name": "x"}]}, "l[0]"),
        ({}, {"a": None, "b": {}, "c": [], "d": ""}, None),
    ],
)
def test_the_first_difference_is_named_by_its_path(there, wanted, path):
    assert manifests.difference(there, wanted) == path
