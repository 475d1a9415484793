"""The controllers of the cluster: the datastore has what Kubernetes' API says, whoever changes which."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network

import pytest
from support.calico_nodes import NOON
from support.memory_api import MemoryApi
from support.owned_task import running

from calico import workloads
from calico.kube_controllers.controllers import KubeControllers
from calico.resources import datastore
from calico.resources.endpoints import Profile, WorkloadEndpoint, endpoint_name
from calico.resources.policies import NetworkPolicy
from calico.resources.table import kind_of, store_key
from fabric.api.kinds import NAMESPACE, NETWORK_POLICY, POD, SERVICE_ACCOUNT
from fabric.api.objects import Key
from fabric.control.clock import LoopClock
from fabric.control.informers import Informers
from fabric.errors import ServerUnavailable
from fabric.plugin.contract import ClusterContext, NetworkConfig
from fabric.plugin.reflector import Reflectors
from fabric.store.memory import MemoryStore
from fabric.store.port import Delete, Put

LONG = 120.0
"""Seconds in which every retry is through."""


class Place:
    """An API, a datastore, and controllers that run in `controllers()`."""

    def __init__(self):
        self.api, self.store = MemoryApi(), MemoryStore()
        self.clock = LoopClock(NOON)

    @asynccontextmanager
    async def controllers(self):
        informers, reflectors = Informers(self.api), Reflectors(self.store)
        config = NetworkConfig((ip_network("10.244.0.0/16"),), ())
        context = ClusterContext(config, self.store, self.api, informers, reflectors)
        own = KubeControllers(context, self.clock)
        async with running(informers.run(), reflectors.run(), own.run()):
            await asyncio.sleep(1)
            yield

    def put(self, kind, name, namespace="", **more):
        metadata = {"name": name, "labels": more.pop("labels", {})}
        self.api.put(kind, {"metadata": metadata | ({"namespace": namespace} if namespace else {}), **more})

    def put_policy(self, **spec):
        self.put(NETWORK_POLICY, "web", "shop", spec={"podSelector": {}, **spec})

    async def policy(self):
        return await datastore.get(self.store, NetworkPolicy, "knp.default.web", "shop")

    async def spoil(self, how):
        """Do to the policy's key what somebody with access to the datastore may do."""
        key = store_key(kind_of(NetworkPolicy), "knp.default.web", "shop")
        if how == "delete":
            await self.store.txn([], [Delete(key)])
        elif how == "garbage":
            await self.store.txn([], [Put(key, b"{")])
        else:
            policy = await self.policy()
            await datastore.update(self.store, replace(policy, spec=replace(policy.spec, types=("Egress",))))

    async def labels(self):
        name = endpoint_name("node-1", "web")
        return (await datastore.get(self.store, WorkloadEndpoint, name, "shop")).labels

    def put_pod(self, **labels):
        self.put(POD, "web", "shop", labels=labels, spec={"nodeName": "node-1"})

    async def add_endpoint(self, **labels):
        pod = self.api.objects[POD, Key("shop", "web")]
        found = workloads.labels_of_pod({**pod, "metadata": {**pod["metadata"], "labels": labels}})
        name = endpoint_name("node-1", "web")
        endpoint = WorkloadEndpoint.named(name, "shop", labels=found, node="node-1", pod="web")
        await datastore.create(self.store, endpoint, self.clock)


@pytest.fixture
async def place():
    return Place()


async def test_policies_namespaces_and_accounts_are_in_the_datastore(place):
    place.put_policy()
    place.put(NAMESPACE, "shop", labels={"stage": "live"})
    async with place.controllers():
        place.put(SERVICE_ACCOUNT, "robot", "shop", labels={"role": "bot"})
        await asyncio.sleep(1)
    assert (await place.policy()).spec.types == ("Ingress",)
    found = {it.name: it.spec.labels_to_apply for it in await datastore.listed(place.store, Profile)}
    assert found == {
        "kns.shop": {"pcns.stage": "live", "pcns.projectcalico.org/name": "shop"},
        "ksa.shop.robot": {"pcsa.role": "bot", "pcsa.projectcalico.org/name": "robot"},
    }


async def test_a_change_and_a_deletion_follow(place):
    async with place.controllers():
        place.put_policy()
        await asyncio.sleep(1)
        place.put_policy(policyTypes=["Egress"])
        await asyncio.sleep(1)
        assert (await place.policy()).spec.types == ("Egress",)
        place.api.remove(NETWORK_POLICY, Key("shop", "web"))
        await asyncio.sleep(1)
        assert await place.policy() is None


async def test_what_was_deleted_while_no_controller_ran_goes(place):
    place.put_policy()
    async with place.controllers():
        pass
    place.api.remove(NETWORK_POLICY, Key("shop", "web"))
    assert await place.policy() is not None
    async with place.controllers():
        assert await place.policy() is None


@pytest.mark.parametrize("how", ["change", "delete", "garbage"])
async def test_what_a_stranger_does_to_a_policy_is_made_right(place, how):
    place.put_policy()
    async with place.controllers():
        right = (await place.policy()).spec
        await place.spoil(how)
        await asyncio.sleep(LONG)
        assert (await place.policy()).spec == right


async def test_what_is_not_of_kubernetes_stays(place):
    own = NetworkPolicy.named("own", "shop", selector="all()", types=("Ingress",))
    await datastore.create(place.store, own, place.clock)
    await datastore.create(place.store, Profile.named("own"), place.clock)
    async with place.controllers():
        await asyncio.sleep(LONG)
    assert await datastore.get(place.store, NetworkPolicy, "own", "shop") is not None
    assert await datastore.get(place.store, Profile, "own") is not None


async def test_an_endpoint_has_its_pods_labels_whoever_comes_first(place):
    place.put_pod(app="web")
    async with place.controllers():
        await place.add_endpoint(app="old")
        await asyncio.sleep(1)
        assert (await place.labels())["app"] == "web"
        place.put_pod(app="new", tier="1")
        await asyncio.sleep(1)
        found = await place.labels()
        assert found["app"] == "new" and found["projectcalico.org/namespace"] == "shop"
        place.put_pod()
        await asyncio.sleep(1)
        assert "app" not in await place.labels()


async def test_while_the_api_is_away_nothing_is_deleted(place):
    place.put_policy()
    async with place.controllers():
        place.api.refusals = [ServerUnavailable("away")] * 20
        place.api.break_watches()
        await asyncio.sleep(5)
        assert await place.policy() is not None
