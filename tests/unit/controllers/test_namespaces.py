import asyncio

import pytest
from support.control_plane import control_plane

from fabric.api.kinds import CONFIG_MAP, NAMESPACE, POD, SECRET, SERVICE_ACCOUNT
from fabric.api.objects import condition
from fabric.controllers.namespaces import remaining_conditions
from fabric.errors import Forbidden, NotFound


async def test_a_deleted_namespace_takes_everything_in_it_along():
    async with control_plane() as plane:
        await plane.add_namespace("team")
        await plane.add_pod("pod-1", namespace="team")
        for kind in (CONFIG_MAP, SECRET):
            for number in range(3):
                body = {"metadata": {"name": f"thing-{number}", "namespace": "team"}}
                await plane.client.create(kind, body)
        await plane.client.delete(NAMESPACE, "team")
        await asyncio.sleep(1)
        assert "team" not in await plane.names(NAMESPACE)
        for kind in (POD, CONFIG_MAP, SECRET, SERVICE_ACCOUNT):
            assert await plane.names(kind, "team") == set()


async def test_it_waits_for_what_holds_on_and_says_what_that_is():
    async with control_plane() as plane:
        await plane.add_namespace("team")
        body = {"metadata": {"name": "held", "namespace": "team", "finalizers": ["fabric.dev/hold"]}}
        await plane.client.create(CONFIG_MAP, body)
        await plane.client.delete(NAMESPACE, "team")
        await asyncio.sleep(30)
        namespace = await plane.client.get(NAMESPACE, "team")
        assert namespace["status"]["phase"] == "Terminating"
        assert condition(namespace, "NamespaceContentRemaining")["message"] == (
            "Some resources are remaining: configmaps has 1 resource instances"
        )
        assert condition(namespace, "NamespaceFinalizersRemaining")["message"] == (
            "Some content in the namespace has finalizers remaining: fabric.dev/hold in 1 resource instances"
        )
        with pytest.raises(Forbidden):
            await plane.client.create(CONFIG_MAP, {"metadata": {"name": "late", "namespace": "team"}})
        change = {"metadata": {"finalizers": None}}
        await plane.client.patch(CONFIG_MAP, "held", change, namespace="team")
        await asyncio.sleep(0.1)
        with pytest.raises(NotFound):
            await plane.client.get(NAMESPACE, "team")


async def test_a_namespace_waits_for_its_pods_grace():
    async with control_plane() as plane:
        await plane.add_namespace("team")
        await plane.add_node("node-1")
        await plane.add_pod("pod-1", "node-1", namespace="team")
        await plane.client.delete(NAMESPACE, "team")
        await asyncio.sleep(5)
        assert await plane.names(POD, "team") == {"pod-1"}
        await plane.client.delete(POD, "pod-1", "team", grace_period_seconds=0)
        await asyncio.sleep(0.1)
        assert "team" not in await plane.names(NAMESPACE)


async def test_every_namespace_has_a_default_service_account():
    async with control_plane() as plane:
        assert await plane.names(SERVICE_ACCOUNT, "kube-system") == {"default"}
        await plane.add_namespace("team")
        await asyncio.sleep(0.1)
        assert await plane.names(SERVICE_ACCOUNT, "team") == {"default"}
        await plane.client.delete(SERVICE_ACCOUNT, "default", "team")
        await asyncio.sleep(0.1)
        assert await plane.names(SERVICE_ACCOUNT, "team") == {"default"}


def test_the_conditions_of_an_empty_namespace_say_nothing():
    assert {message for _, message in remaining_conditions({POD: ()}).values()} == {""}
