"""A PUT of what is not there: which kinds it creates, and by which rules."""

import asyncio

import pytest

from fabric.api.kinds import CONFIG_MAP, EVENT, LEASE, NAMESPACE, NODE, POD, SECRET, SERVICE_ACCOUNT
from fabric.apiserver.options import DeleteOptions, WriteOptions
from fabric.errors import BadRequest, Conflict, Invalid, NotFound

LEASE_1 = {"metadata": {"name": "lease-1", "namespace": "default"}, "spec": {"holderIdentity": "node-1"}}
EVENT_1 = {
    "metadata": {"name": "event-1", "namespace": "default"},
    "involvedObject": {"kind": "Pod", "namespace": "default", "name": "pod-1"},
    "type": "Normal",
    "reason": "Pulled",
}


def with_metadata(obj, **metadata):
    return {**obj, "metadata": {**obj["metadata"], **metadata}}


@pytest.mark.parametrize(("kind", "obj"), [(LEASE, LEASE_1), (EVENT, EVENT_1)], ids=["lease", "event"])
async def test_a_put_of_what_is_not_there_creates_it_where_upstreams_strategy_says_so(registry, kind, obj):
    name = obj["metadata"]["name"]
    made, is_new = await registry.update(kind, "default", name, obj, WriteOptions())
    assert is_new and await registry.get(kind, "default", name) == made
    assert made["metadata"]["uid"] and made["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
    again, is_new = await registry.update(kind, "default", name, made, WriteOptions())
    assert (again, is_new) == (made, False)


@pytest.mark.parametrize("kind", [CONFIG_MAP, NAMESPACE, NODE, POD, SECRET, SERVICE_ACCOUNT], ids=str)
async def test_a_put_of_any_other_kind_that_is_not_there_is_not_found(registry, kind):
    namespace = "default" if kind.namespaced else ""
    with pytest.raises(NotFound, match='"nobody" not found'):
        await registry.update(kind, namespace, "nobody", {"metadata": {"name": "nobody"}}, WriteOptions())


async def test_what_a_put_creates_is_named_as_its_path_and_checked_as_any_new_object(registry):
    async def put(obj, namespace="default", **options):
        return (await registry.update(LEASE, namespace, "lease-1", obj, WriteOptions(**options)))[0]

    with pytest.raises(
        BadRequest, match=r"the name of the object \(other\) does not match the name on the URL"
    ):
        await put(with_metadata(LEASE_1, name="other"))
    with pytest.raises(BadRequest, match="namespace of the provided object does not match"):
        await put(with_metadata(LEASE_1, namespace="kube-system"))
    with pytest.raises(NotFound, match='namespaces "nowhere" not found'):
        await put(with_metadata(LEASE_1, namespace="nowhere"), "nowhere")
    with pytest.raises(Invalid, match=r"spec\.leaseDurationSeconds"):
        await put({**LEASE_1, "spec": {"leaseDurationSeconds": 0}})
    with pytest.raises(
        Conflict, match=r"Precondition failed: UID in precondition: other, UID in object meta: $"
    ):
        await put(with_metadata(LEASE_1, uid="other"))
    assert (await put(LEASE_1, dry_run=True))["metadata"]["name"] == "lease-1"
    with pytest.raises(NotFound):
        await registry.get(LEASE, "default", "lease-1")
    nameless = await put({"metadata": {"generateName": "web-"}})
    assert (nameless["metadata"]["name"], nameless["metadata"]["namespace"]) == ("lease-1", "default")
    await registry.delete(LEASE, "default", "lease-1", DeleteOptions())
    of_the_past = await put(with_metadata(LEASE_1, resourceVersion="1"))
    assert int(of_the_past["metadata"]["resourceVersion"]) > 1, "upstream takes it for no precondition"


async def test_of_many_puts_of_what_is_not_there_one_creates_it_and_the_others_change_it(registry):
    puts = [
        registry.update(
            LEASE, "default", "lease-1", with_metadata(LEASE_1, labels={"of": str(number)}), WriteOptions()
        )
        for number in range(20)
    ]
    done = await asyncio.gather(*puts)
    assert sum(is_new for _, is_new in done) == 1
    assert len({made["metadata"]["uid"] for made, _ in done}) == 1
    assert len({made["metadata"]["resourceVersion"] for made, _ in done}) == 20
