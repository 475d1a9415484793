import asyncio
from collections.abc import AsyncIterator
from typing import Any

from support.control_plane import ControlPlane, control_plane, controllers_on, owner_ref
from support.flaky_client import FlakyClient
from support.registry import START, new_registry

from fabric.api.kinds import CONFIG_MAP, LEASE, NODE, POD, Kind
from fabric.apiserver.local import LocalClient
from fabric.control.client import Client, WatchEvent
from fabric.control.clock import LoopClock
from fabric.control.informer import BACKOFF


class PodEventsHeld(FlakyClient):
    """A client whose watch of pods waits for `go_on` with each event."""

    def __init__(self, inner: Client) -> None:
        super().__init__(inner)
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def watch(self, kind: Kind, namespace: str = "", **options: Any) -> AsyncIterator[WatchEvent]:
        async for event in super().watch(kind, namespace, **options):
            if kind == POD:
                await self.go_on.wait()
            yield event


async def test_what_an_object_owned_goes_with_it():
    async with control_plane() as plane:
        owner = await plane.add_config_map("owner")
        child = await plane.add_config_map("child", owner)
        await plane.add_config_map("grandchild", child)
        await plane.add_pod("pod-1", ownerReferences=[owner_ref(child)])
        await plane.add_config_map("stranger")
        await plane.client.delete(CONFIG_MAP, "owner", "default")
        await asyncio.sleep(1)
        assert await plane.names(CONFIG_MAP, "default") == {"stranger"}
        assert await plane.names(POD) == set()


async def test_an_object_lives_while_one_owner_does():
    async with control_plane() as plane:
        owners = [await plane.add_config_map(name) for name in ("owner-1", "owner-2")]
        await plane.add_config_map("child", *owners)
        await plane.client.delete(CONFIG_MAP, "owner-1", "default")
        await asyncio.sleep(1)
        child = await plane.client.get(CONFIG_MAP, "child", "default")
        assert child["metadata"]["ownerReferences"] == [owner_ref(owners[1])]
        await plane.client.delete(CONFIG_MAP, "owner-2", "default")
        await asyncio.sleep(1)
        assert await plane.names(CONFIG_MAP, "default") == set()


async def test_in_the_foreground_the_owner_goes_last():
    async with control_plane() as plane:
        owner = await plane.add_config_map("owner")
        await plane.add_config_map("held", owner, finalizers=["fabric.dev/hold"])
        await plane.add_config_map("child", owner)
        await plane.client.delete(CONFIG_MAP, "owner", "default", propagation="Foreground")
        await asyncio.sleep(1)
        assert await plane.names(CONFIG_MAP, "default") == {"owner", "held"}
        await plane.client.patch(CONFIG_MAP, "held", {"metadata": {"finalizers": None}}, namespace="default")
        await asyncio.sleep(1)
        assert await plane.names(CONFIG_MAP, "default") == set()


async def test_a_dependent_that_does_not_block_is_not_waited_for():
    async with control_plane() as plane:
        owner = await plane.add_config_map("owner")
        await plane.add_config_map("held", owner, blocking=False, finalizers=["fabric.dev/hold"])
        await plane.client.delete(CONFIG_MAP, "owner", "default", propagation="Foreground")
        await asyncio.sleep(1)
        assert await plane.names(CONFIG_MAP, "default") == {"held"}


async def test_orphans_live_on_without_the_reference():
    async with control_plane() as plane:
        owner = await plane.add_config_map("owner")
        await plane.add_config_map("child", owner)
        await plane.client.delete(CONFIG_MAP, "owner", "default", propagation="Orphan")
        await asyncio.sleep(1)
        assert await plane.names(CONFIG_MAP, "default") == {"child"}
        child = await plane.client.get(CONFIG_MAP, "child", "default")
        assert not child["metadata"].get("ownerReferences")


async def test_a_circle_in_the_foreground_goes_as_a_whole():
    async with control_plane() as plane:
        first = await plane.add_config_map("first")
        second = await plane.add_config_map("second", first)
        change = {"metadata": {"ownerReferences": [owner_ref(second)]}}
        await plane.client.patch(CONFIG_MAP, "first", change, namespace="default")
        await plane.client.delete(CONFIG_MAP, "first", "default", propagation="Foreground")
        await asyncio.sleep(1)
        assert await plane.names(CONFIG_MAP, "default") == set()


async def test_an_owner_that_never_was_has_nothing():
    async with control_plane() as plane:
        owner = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "nobody", "uid": "11111111-2222-3333-4444-555555555555"},
        }
        await plane.add_config_map("child", owner)
        await asyncio.sleep(1)
        assert await plane.names(CONFIG_MAP, "default") == set()


async def test_a_new_object_of_the_owners_name_is_not_the_owner():
    async with control_plane() as plane:
        await plane.add_config_map("child", await plane.add_config_map("owner"))
        await plane.client.delete(CONFIG_MAP, "owner", "default")
        await plane.add_config_map("owner")
        await asyncio.sleep(1)
        assert await plane.names(CONFIG_MAP, "default") == {"owner"}


async def test_an_object_is_never_released_from_its_last_owner():
    async with new_registry() as registry:
        client = PodEventsHeld(LocalClient(registry))
        async with controllers_on(client, clock := LoopClock(START)):
            plane = ControlPlane(LocalClient(registry), clock)
            keeper = await plane.add_config_map("keeper")
            going = await plane.add_config_map("going", finalizers=["fabric.dev/hold"])
            await plane.add_pod("child", ownerReferences=[owner_ref(o, False) for o in (keeper, going)])
            await asyncio.sleep(1)
            client.go_on.clear()
            await plane.client.delete(CONFIG_MAP, "going", "default", propagation="Foreground")
            await asyncio.sleep(1)
            await plane.client.delete(CONFIG_MAP, "keeper", "default")
            await asyncio.sleep(1)
            client.go_on.set()
            await asyncio.sleep(1)
            assert await plane.names(POD) == set()


async def test_an_owner_that_ends_before_the_informers_see_it_is_found_out():
    async with new_registry() as registry:
        client = FlakyClient(LocalClient(registry))
        async with controllers_on(client, clock := LoopClock(START)):
            await asyncio.sleep(BACKOFF.seconds_max + 1)
            plane = ControlPlane(client, clock)
            client.break_watches(forgotten_kinds=[NODE])
            await plane.add_node("node-1")
            await asyncio.sleep(BACKOFF.first_seconds / 2)
            assert await plane.names(LEASE) == {"node-1"}
            await client.delete(NODE, "node-1")
            await asyncio.sleep(30)
            assert await plane.names(LEASE) == set()


async def test_an_owner_of_an_unknown_kind_is_trusted_to_be_there():
    async with control_plane() as plane:
        owner = {"apiVersion": "x.dev/v1", "kind": "Widget", "metadata": {"name": "w", "uid": "u"}}
        await plane.add_config_map("child", owner)
        await asyncio.sleep(60)
        assert await plane.names(CONFIG_MAP, "default") == {"child"}


async def test_a_nodes_lease_goes_with_the_node():
    async with control_plane() as plane:
        await plane.add_node("node-1")
        assert await plane.names(LEASE) == {"node-1"}
        await plane.client.delete(NODE, "node-1")
        await asyncio.sleep(1)
        assert await plane.names(LEASE) == set()
