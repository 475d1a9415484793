"""What a process knows of the datastore: one moment, in which what did not change is the same object."""

from __future__ import annotations

import asyncio
import json

import pytest
from support.calico_ipam import put_resources
from support.calico_nodes import block, node, pool
from support.flaky_store import FlakyStore
from support.owned_task import running

from calico.ipam import keys
from calico.syncer import PREFIX, Syncer
from fabric.plugin.reflector import Reflector
from fabric.store.port import Delete, Put

NODES = "/calico/resources/v3/projectcalico.org/nodes/"


@pytest.fixture
async def store():
    found = FlakyStore()
    await put_resources(found, pool(), node(1), node(2))
    await put_block(found, block(1))
    return found


async def put_block(store, made):
    await store.txn([], [Put(keys.block(made.cidr), made.to_json())])


class Reader:
    """A syncer, and how often it told of a change."""

    def __init__(self, store):
        reflector = Reflector(store, PREFIX)
        self.syncer = Syncer(reflector)
        self.times = 0
        self.running = running(reflector.run())
        self.syncer.follow(self, self._told)

    def _told(self):
        self.times += 1


async def test_a_pod_that_comes_or_goes_is_no_news_and_a_borrowed_address_is(store):
    reader = Reader(store)
    async with reader.running:
        await asyncio.sleep(1)
        before, times = reader.syncer.snapshot, reader.times
        await put_block(store, block(1, holders={3: "node-1"}))
        await asyncio.sleep(1)
        assert reader.times == times and reader.syncer.snapshot.blocks is before.blocks
        await put_block(store, block(1, holders={3: "node-2"}))
        await asyncio.sleep(1)
        assert reader.times == times + 1
        (place,) = reader.syncer.snapshot.blocks.values()
        assert [(str(address), holder) for address, holder in place.borrowed] == [("10.244.1.3/32", "node-2")]
        assert reader.syncer.snapshot.resources is before.resources


async def test_a_forgotten_revision_costs_a_new_snapshot_in_which_only_what_changed_is_new(store):
    reader = Reader(store)
    async with reader.running:
        await asyncio.sleep(1)
        before, times = reader.syncer.snapshot, reader.times
        store.down = True
        await asyncio.sleep(1)
        await put_resources(store.inner, node(3))
        await store.inner.txn([], [Delete(NODES + "node-2")])
        await put_resources(store.inner, node(4))
        await store.inner.compact(await store.inner.revision())
        store.down = False
        await asyncio.sleep(10)
        after = reader.syncer.snapshot
        assert set(after.nodes) == {"node-1", "node-3", "node-4"}
        assert after.nodes["node-1"] is before.nodes["node-1"]
        assert after.pools is before.pools and after.blocks is before.blocks
        assert reader.times == times + 1


async def test_while_the_store_is_away_the_view_stays_and_afterwards_nothing_is_said_of_it(store):
    reader = Reader(store)
    async with reader.running:
        await asyncio.sleep(1)
        before = reader.syncer.snapshot
        store.down = True
        await asyncio.sleep(30)
        assert "away" in reader.syncer.last_error and reader.syncer.snapshot is before
        store.down = False
        await asyncio.sleep(10)
        assert reader.syncer.last_error == "", "although nothing changed since"


@pytest.mark.parametrize(
    "value",
    [
        b"no json",
        b"[" * 100_000,
        b"[]",
        b"null",
        b'{"metadata": 5}',
        b'{"metadata": {"name": "node-2"}}',
        b'{"metadata": {"name": "node-9"}, "spec": 7}',
        b'{"metadata": {"name": "node-9"}, "spec": {"bgp": {"ipv4Address": "fd00::1/64"}}}',
        b'{"metadata": {"name": "node-9"}, "spec": {"ipv4VXLANTunnelAddr": "fd00::1"}}',
    ],
)
async def test_a_node_that_somebody_wrote_by_hand_and_wrong_is_left_out(store, value, caplog):
    reader = Reader(store)
    async with reader.running:
        await asyncio.sleep(1)
        await store.txn([], [Put(NODES + "node-9", value)])
        await put_resources(store, node(3))
        await asyncio.sleep(1)
        assert set(reader.syncer.snapshot.nodes) == {"node-1", "node-2", "node-3"}
    assert NODES + "node-9 cannot be read" in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        lambda doc: doc | {"allocations": [0.0, *doc["allocations"][1:]]},
        lambda doc: doc | {"allocations": [7, *doc["allocations"][1:]]},
        lambda doc: doc | {"allocations": "x" * 64},
        lambda doc: doc | {"allocations": 64},
        lambda doc: doc | {"attributes": [{"handle_id": "h", "secondary": ["node"]}]},
        lambda doc: doc | {"attributes": [{"handle_id": 7, "secondary": {}}]},
        lambda doc: doc | {"affinity": {"host": "node-1"}},
        lambda doc: doc | {"affinityClaimTime": "yesterday"},
        lambda doc: doc | {"unallocated": [64]},
        lambda doc: doc | {"cidr": 7},
        lambda doc: doc | {"cidr": "10.244.1.0/26"},
        lambda doc: doc | {"sequenceNumber": float("inf")},
        lambda doc: [doc],
    ],
)
async def test_a_block_of_nonsense_is_left_out_and_stops_nobody(store, change, caplog):
    made = block(2, holders={0: "node-1"})
    await store.txn([], [Put(keys.block(made.cidr), json.dumps(change(json.loads(made.to_json()))).encode())])
    reader = Reader(store)
    async with reader.running:
        await asyncio.sleep(1)
        assert set(reader.syncer.snapshot.blocks) == {block(1).cidr}
    assert "left out: /calico/ipam/v2/assignment/ipv4/block/10.244.2.0-26" in caplog.text


async def test_without_a_resource_of_a_kind_its_table_is_the_same_over_all_changes(store):
    reader = Reader(store)
    async with reader.running:
        await asyncio.sleep(1)
        before = reader.syncer.snapshot.peers
        await put_resources(store, node(3))
        await asyncio.sleep(1)
        assert reader.syncer.snapshot.peers is before
