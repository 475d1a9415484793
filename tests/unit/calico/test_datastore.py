"""Resources in the store: the mod revision is the resource version; nothing unread is overwritten."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support.calico_ipam import noon_clock, pool

from calico.resources import datastore
from calico.resources.pools import IPPool
from fabric.errors import AlreadyExists, Conflict, NotFound
from fabric.store.memory import MemoryStore
from fabric.store.port import Put

KEY = "/calico/resources/v3/projectcalico.org/ippools/pool-1"


async def test_what_is_created_is_read_again():
    store = MemoryStore()
    made = await datastore.create(store, pool(), noon_clock())
    assert made.metadata.creation_timestamp == "2026-01-01T12:00:00Z" and made.metadata.uid
    assert await datastore.get(store, IPPool, "pool-1") == made
    assert await datastore.listed(store, IPPool) == (made,)
    value = json.loads((await store.get(KEY)).value)
    assert value["kind"] == "IPPool" and "resourceVersion" not in value["metadata"]


async def test_errors_are_worded_as_calicoctls():
    store = MemoryStore()
    made = await datastore.create(store, pool(), noon_clock())
    with pytest.raises(AlreadyExists, match=r"resource already exists: IPPool\(pool-1\)"):
        await datastore.create(store, pool(), noon_clock())
    await datastore.update(store, replace(made, spec=pool(disabled=True).spec))
    with pytest.raises(Conflict, match=r"update conflict: IPPool\(pool-1\)"):
        await datastore.update(store, made)
    assert (await datastore.get(store, IPPool, "pool-1")).spec.disabled
    await datastore.delete(store, IPPool, "pool-1")
    with pytest.raises(NotFound, match=r"resource does not exist: IPPool\(pool-1\)"):
        await datastore.delete(store, IPPool, "pool-1")
    with pytest.raises(NotFound):
        await datastore.update(store, made)


async def test_an_update_without_a_resource_version_replaces_whatever_is_there():
    store = MemoryStore()
    await datastore.create(store, pool(), noon_clock())
    await datastore.update(store, pool(nat_outgoing=True))
    assert (await datastore.get(store, IPPool, "pool-1")).spec.nat_outgoing


async def test_a_resource_that_cannot_be_read_does_not_hide_the_others():
    store = MemoryStore()
    made = await datastore.create(store, pool(), noon_clock())
    for name, value in (("a", b"no json"), ("b", b"[]"), ("c", b'{"metadata":{"name":"c"},"spec":{}}')):
        await store.txn([], [Put(KEY.replace("pool-1", name), value)])
    assert await datastore.listed(store, IPPool) == (made,)
