"""The feed: what the datastore has is calculated, and a key that cannot be read holds up no other."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from support.calico_nodes import NOON
from support.owned_task import running

from calico.calc import reading
from calico.calc.feed import Feed
from calico.calc.objects import PolicyId
from calico.resources import datastore
from calico.resources.endpoints import WorkloadEndpoint, endpoint_name
from calico.resources.policies import GlobalNetworkPolicy
from calico.resources.table import kind_of, store_key
from calico.resources.tiers import own_tiers
from calico.syncer import PREFIX
from fabric.control import parking
from fabric.control.clock import LoopClock
from fabric.plugin.reflector import Reflector
from fabric.store.memory import MemoryStore
from fabric.store.port import Put


class Place:
    """A datastore with a pod on node-1, and the feed of a process that follows this node."""

    def __init__(self):
        self.store, self.clock = MemoryStore(), LoopClock(NOON)
        self.calls = []

    @asynccontextmanager
    async def followed(self):
        name = endpoint_name("node-1", "web")
        networks = {"ip_networks": ("10.244.0.1/32",), "interface_name": "cali1"}
        pod = WorkloadEndpoint.named(
            name, "shop", labels={"app": "web"}, node="node-1", pod="web", **networks
        )
        for resource in (*own_tiers(), pod):
            await datastore.create(self.store, resource, self.clock)
        reflector = Reflector(self.store, PREFIX)
        feed = Feed(reflector)
        self.view = feed.calculator.follow("node-1")
        feed.follow("node-1", self, lambda: self.calls.append(self.view.take_changes()))
        async with running(reflector.run()):
            await asyncio.sleep(1)
            yield

    async def policy(self, name, **spec):
        await datastore.create(self.store, GlobalNetworkPolicy.named(name, **spec), self.clock)

    def policies(self):
        return sorted(it.name for it in self.view.rules if isinstance(it, PolicyId))


@pytest.fixture
async def place():
    return Place()


async def test_a_node_hears_of_what_concerns_it_and_of_nothing_else(place):
    async with place.followed():
        await place.policy("web", selector="app == 'web'")
        await asyncio.sleep(1)
        assert place.policies() == ["web"]
        calls = len(place.calls)
        await place.policy("others", selector="app == 'db'")
        await asyncio.sleep(1)
        assert (place.policies(), len(place.calls)) == (["web"], calls)
        await datastore.delete(place.store, GlobalNetworkPolicy, "web")
        await asyncio.sleep(1)
        assert place.policies() == [] and len(place.calls) > calls


async def test_a_key_that_is_spoilt_is_as_if_it_were_not_there(place, caplog):
    key = store_key(kind_of(GlobalNetworkPolicy), "web")
    async with place.followed():
        await place.policy("web", selector="all()")
        await asyncio.sleep(1)
        await place.store.txn([], [Put(key, b"{")])
        await asyncio.sleep(1)
        assert place.policies() == []
        assert f"left out: {key} cannot be read" in caplog.text


async def test_a_key_that_surprises_is_parked_and_holds_up_no_other(place, monkeypatch, caplog):
    monkeypatch.setattr(parking, "_is_on", True)
    thing = reading.thing

    def surprised(resource):
        if resource.name == "a-bad-one":
            raise KeyError("nobody thought of this")
        return thing(resource)

    monkeypatch.setattr(reading, "thing", surprised)
    for name in ("a-bad-one", "good-one"):
        await place.policy(name, selector="all()")
    async with place.followed():
        assert place.policies() == ["good-one"]
    assert "PARKED /calico/resources/v3/projectcalico.org/globalnetworkpolicies/a-bad-one" in caplog.text
