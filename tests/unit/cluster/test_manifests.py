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
from fabric.errors import BadInput, FabricError
from fabric.plugin.served import READ_ONLY, JsonLayout, ServedKind
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


def test_an_unknown_kind_is_refused_before_anything_is_built():
    with pytest.raises(BadInput, match=r"t\.yaml:3: no kind 'Widget'"):
        manifests.known(
            [Manifest({"apiVersion": "v1", "kind": "Widget", "metadata": {"name": "x"}}, "t.yaml:3")],
            KindTable(),
        )


POOL = ServedKind("plugin.example", "v1", "Pool", "pools", False, layout=JsonLayout("/plugin/pools/"))
SEEN = ServedKind(
    "plugin.example", "v1", "Seen", "seens", False, layout=JsonLayout("/plugin/seens/"), verbs=READ_ONLY
)


def of_plugin(kind: str, name: str = "one") -> Manifest:
    return Manifest({"apiVersion": "plugin.example/v1", "kind": kind, "metadata": {"name": name}}, "t.yaml:9")


async def test_kinds_of_the_plugin_are_applied_and_pruned_where_they_can_be():
    table = KindTable((*kinds.BUILT_IN, POOL, SEEN))
    store = MemoryStore()
    async with new_registry(store, POOL, SEEN) as registry:
        client = LocalClient(registry)
        await manifests.apply(client, [of_plugin("Pool"), of_plugin("Pool", "two")], table)
        await manifests.apply(client, [of_plugin("Pool")], table)
        assert [kv.key for kv in (await store.range("/plugin/")).kvs] == ["/plugin/pools/one"]


def test_a_kind_that_only_the_plugin_writes_is_refused():
    with pytest.raises(BadInput, match=r"t\.yaml:9: no kind 'Seen' in 'plugin\.example/v1'; served: .*Pool"):
        manifests.known([of_plugin("Pool"), of_plugin("Seen")], KindTable((*kinds.BUILT_IN, POOL, SEEN)))
