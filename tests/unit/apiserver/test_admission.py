"""Admission: what a new pod names must be there."""

import asyncio

import pytest
import pytest_asyncio
from support.registry import new_registry, pod

from fabric.api.kinds import NAMESPACE, POD, SERVICE_ACCOUNT
from fabric.apiserver import admission
from fabric.apiserver.local import LocalClient
from fabric.errors import Forbidden


@pytest_asyncio.fixture
async def client():
    async with new_registry(plugins=(admission.service_account, admission.runtime_class)) as registry:
        yield LocalClient(registry)


async def account(client, name, namespace="default"):
    await client.create(SERVICE_ACCOUNT, {"metadata": {"name": name}}, namespace=namespace)


async def refusal(client, body):
    with pytest.raises(Forbidden) as caught:
        await client.create(POD, body, namespace="default")
    return caught.value.message


@pytest.mark.parametrize("field", ["serviceAccountName", "serviceAccount"])
async def test_a_pod_that_names_a_missing_service_account_is_forbidden(client, field):
    body = pod(**{field: "builder"})
    assert await refusal(client, body) == (
        'pods "pod-1" is forbidden: error looking up service account default/builder: '
        'serviceaccount "builder" not found'
    )
    await account(client, "builder")
    made = await client.create(POD, body, namespace="default")
    assert (made["spec"]["serviceAccountName"], made["spec"]["serviceAccount"]) == ("builder", "builder")


async def test_a_generated_name_is_told_by_its_beginning(client):
    body = pod(serviceAccountName="builder")
    body["metadata"] = {"generateName": "web-"}
    assert (await refusal(client, body)).startswith('pods "web-" is forbidden: ')


async def test_a_pod_waits_for_the_first_account_of_a_new_namespace_and_not_for_ever(client):
    await client.create(NAMESPACE, {"metadata": {"name": "team"}})
    coming = asyncio.create_task(client.create(POD, pod(), namespace="team"))
    await asyncio.sleep(5)
    assert not coming.done()
    await account(client, "default", "team")
    assert (await coming)["spec"]["serviceAccountName"] == "default"
    assert 'serviceaccount "default" not found' in await refusal(client, pod())


async def test_overhead_without_a_runtime_class_is_forbidden(client):
    await account(client, "default")
    assert await refusal(client, pod(overhead={"cpu": "100m"})) == (
        'pods "pod-1" is forbidden: pod rejected: '
        "Pod Overhead set without corresponding RuntimeClass defined Overhead"
    )
    await client.create(POD, pod(overhead={}), namespace="default")
