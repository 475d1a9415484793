import asyncio
import json

import pytest
from support.registry import START, config_map, new_registry, running

from fabric.api.kinds import (
    BUILT_IN,
    CONFIG_MAP,
    EVENT,
    LEASE,
    NAMESPACE,
    NETWORK_POLICY,
    NODE,
    POD,
    SECRET,
    SERVICE_ACCOUNT,
    Kind,
    KindTable,
)
from fabric.apiserver.options import ListOptions, WriteOptions
from fabric.apiserver.registry import Registry
from fabric.apiserver.storage_keys import StorageKeys, codec_of, object_key, store_key
from fabric.control.clock import LoopClock
from fabric.errors import Gone, ServerUnavailable, StoreUnavailable
from fabric.store.memory import MemoryStore
from fabric.store.port import ModRevision, Put


async def test_objects_stand_in_the_store_where_etcdctl_would_find_them():
    store = MemoryStore()
    async with new_registry(store) as registry:
        await registry.create(CONFIG_MAP, "default", config_map(a="1"), WriteOptions())
        lease = {"metadata": {"name": "node-1"}, "spec": {"leaseDurationSeconds": 40}}
        await registry.create(LEASE, "kube-node-lease", lease, WriteOptions())
    kept = await store.get("/registry/configmaps/default/map-1")
    assert kept is not None
    body = json.loads(kept.value)
    assert (body["kind"], body["data"]) == ("ConfigMap", {"a": "1"})
    assert "resourceVersion" not in body["metadata"]
    assert await store.get("/registry/leases/kube-node-lease/node-1") is not None
    await store.close()


ETCD_KEYS = {
    NAMESPACE: "/registry/namespaces/a",
    NODE: "/registry/minions/a",
    POD: "/registry/pods/team/a",
    CONFIG_MAP: "/registry/configmaps/team/a",
    SECRET: "/registry/secrets/team/a",
    SERVICE_ACCOUNT: "/registry/serviceaccounts/team/a",
    EVENT: "/registry/events/team/a",
    LEASE: "/registry/leases/team/a",
    NETWORK_POLICY: "/registry/networkpolicies/team/a",
    Kind("", "v1", "Service", "services", True): "/registry/services/specs/team/a",
    Kind("", "v1", "Endpoints", "endpoints", True): "/registry/services/endpoints/team/a",
    Kind("networking.k8s.io", "v1", "Ingress", "ingresses", True): "/registry/ingress/team/a",
    Kind("apps", "v1", "Deployment", "deployments", True): "/registry/deployments/team/a",
}


def test_keys_are_those_of_a_real_clusters_etcd():
    assert set(BUILT_IN) <= set(ETCD_KEYS)
    storage_keys = StorageKeys(KindTable(tuple(ETCD_KEYS)))
    for kind, key in ETCD_KEYS.items():
        name = object_key(kind, "team", "a")
        assert store_key(kind, name) == key
        place = storage_keys.place(key)
        assert place is not None and (place.codec, place.name) == (codec_of(kind), name)
    for stray in ("/registry/unicorns/a", "/registry/pods/", "/registry/services/x/team/a", "/registry/"):
        assert storage_keys.place(stray) is None


async def test_the_resource_version_is_the_stores_revision():
    store = MemoryStore()
    async with new_registry(store) as registry:
        made = await registry.create(CONFIG_MAP, "default", config_map(), WriteOptions())
        assert made["metadata"]["resourceVersion"] == str(await store.revision())
    await store.close()


async def test_what_another_process_writes_is_seen():
    store = MemoryStore()
    async with new_registry(store) as registry:
        events = registry.watch(CONFIG_MAP, "", resource_version=str(await store.revision()))
        value = b'{"metadata":{"name":"map-1","namespace":"default"},"data":{"a":"1"}}'
        key = "/registry/configmaps/default/map-1"
        await store.txn([ModRevision(key, 0)], [Put(key, value)])
        event, _ = await anext(events)
        assert (event.type, event.object["data"]) == ("ADDED", {"a": "1"})
    await store.close()


class CutStore(MemoryStore):
    """A memory store whose watch can be cut off: it waits until `open` is set again, then fails."""

    def __init__(self):
        super().__init__()
        self.cut = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def watch(self, prefix, *, from_revision=0):
        await self.open.wait()
        batches = super().watch(prefix, from_revision=from_revision)
        while True:
            batch, cut = asyncio.ensure_future(anext(batches)), asyncio.ensure_future(self.cut.wait())
            await asyncio.wait((batch, cut), return_when=asyncio.FIRST_COMPLETED)
            cut.cancel()
            if not batch.done():
                batch.cancel()
                raise StoreUnavailable("the watch is cut")
            yield batch.result()


async def test_after_a_cut_the_cache_goes_on_where_it_was():
    store = CutStore()
    async with new_registry(store) as registry:
        events = registry.watch(CONFIG_MAP, "", resource_version=str(await store.revision()))
        store.cut.set()
        await asyncio.sleep(1)
        store.cut.clear()
        await registry.create(CONFIG_MAP, "default", config_map(), WriteOptions())
        assert (await anext(events))[0].type == "ADDED"
    await store.close()


async def test_after_a_cut_and_a_compaction_the_cache_is_read_anew_and_watchers_relist():
    store = CutStore()
    async with new_registry(store) as registry:
        await registry.create(CONFIG_MAP, "default", config_map("gone"), WriteOptions())
        before = str(await store.revision())
        events = registry.watch(CONFIG_MAP, "", resource_version=before)
        waiting = asyncio.create_task(anext(events))
        store.open.clear()
        store.cut.set()
        await asyncio.sleep(1)
        store.cut.clear()
        other = Registry(store, KindTable(), LoopClock(START))
        with pytest.raises(ServerUnavailable, match="did not reach revision"):
            await registry.create(CONFIG_MAP, "default", config_map("kept"), WriteOptions())
        await other.start()
        await store.txn([], [Put("/registry/configmaps/default/kept", config_value("kept"))])
        await store.compact(await store.revision())
        store.open.set()
        with pytest.raises(Gone):
            await waiting
        page = await registry.list(CONFIG_MAP, "", ListOptions())
        assert [obj["metadata"]["name"] for obj in page.items] == ["gone", "kept"]
        assert page.resource_version == str(await store.revision())
    await store.close()


def config_value(name):
    return json.dumps({"metadata": {"name": name, "namespace": "default"}, "data": {"new": "1"}}).encode()


async def test_a_thousand_objects_survive_a_restart_of_the_server():
    store = MemoryStore()
    async with new_registry(store) as first:
        for i in range(1000):
            await first.create(CONFIG_MAP, "default", config_map(f"map-{i:04}"), WriteOptions())
        before = await first.list(CONFIG_MAP, "", ListOptions())
    async with running(Registry(store, KindTable(), LoopClock(START))) as second:
        after = await second.list(CONFIG_MAP, "", ListOptions())
    assert list(after.items) == list(before.items)
    await store.close()
