import asyncio
import re

import pytest
from support.registry import config_map, new_registry, pod

from fabric.api.kinds import CONFIG_MAP, LEASE, NAMESPACE, NODE, POD, SECRET
from fabric.apiserver.options import ListOptions, WriteOptions
from fabric.control.client import JSON_PATCH, MERGE
from fabric.errors import AlreadyExists, BadRequest, Conflict, Forbidden, Invalid, MethodNotAllowed, NotFound
from fabric.store.memory import MemoryStore


async def test_a_created_object_has_identity_and_can_be_read_at_once(client):
    made = await client.create(CONFIG_MAP, config_map(color="blue"), namespace="default")
    meta = made["metadata"]
    assert re.fullmatch(r"[0-9a-f-]{36}", meta["uid"])
    assert meta["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert meta["namespace"] == "default"
    assert int(meta["resourceVersion"]) > 0
    assert await client.get(CONFIG_MAP, "map-1", "default") == made


async def test_creating_twice_says_already_exists_in_kubernetes_words(client):
    await client.create(POD, pod(), namespace="default")
    with pytest.raises(AlreadyExists, match=r'^pods "pod-1" already exists$') as caught:
        await client.create(POD, pod(), namespace="default")
    assert caught.value.details == {"name": "pod-1", "kind": "pods"}


async def test_what_is_not_there_is_not_found_by_every_verb(client):
    nobody = {"metadata": {"name": "nobody", "namespace": "default"}}
    for kind, name in ((LEASE, "leases.coordination.k8s.io"), (CONFIG_MAP, "configmaps")):
        for request in (
            client.get(kind, "nobody", "default"),
            client.patch(kind, "nobody", {}, namespace="default"),
            client.delete(kind, "nobody", "default"),
            *([client.update(kind, nobody)] if kind == CONFIG_MAP else []),
        ):
            with pytest.raises(NotFound, match=f'^{name} "nobody" not found$'):
                await request


async def test_generate_name_adds_five_characters_that_are_easy_to_read(client):
    names = set()
    for _ in range(20):
        made = await client.create(POD, {**pod(), "metadata": {"generateName": "web-"}}, namespace="default")
        names.add(made["metadata"]["name"])
    assert len(names) == 20
    assert all(re.fullmatch(r"web-[bcdfghjklmnpqrstvwxz2456789]{5}", name) for name in names)


async def test_a_namespace_must_exist(client):
    with pytest.raises(NotFound, match='namespaces "nowhere" not found'):
        await client.create(POD, pod(), namespace="nowhere")


async def test_nothing_new_enters_a_namespace_that_is_terminating(client):
    await client.create(NAMESPACE, {"metadata": {"name": "team"}})
    await client.delete(NAMESPACE, "team")
    with pytest.raises(Forbidden) as caught:
        await client.create(POD, pod(), namespace="team")
    assert caught.value.message == (
        'pods "pod-1" is forbidden: unable to create new content in namespace team '
        "because it is being terminated"
    )
    assert caught.value.details["causes"][0]["reason"] == "NamespaceTerminating"


async def test_the_initial_namespaces_are_there_and_stay_the_same_over_a_restart():
    store = MemoryStore()
    async with new_registry(store) as first:
        before = await first.get(NAMESPACE, "", "kube-system")
    async with new_registry(store) as second:
        assert await second.get(NAMESPACE, "", "kube-system") == before
    await store.close()


async def test_an_update_from_an_old_version_is_a_conflict(client):
    old = await client.create(CONFIG_MAP, config_map(), namespace="default")
    await client.patch(CONFIG_MAP, "map-1", {"data": {"a": "b"}}, namespace="default")
    with pytest.raises(Conflict) as caught:
        await client.update(CONFIG_MAP, {**old, "data": {"c": "d"}})
    assert caught.value.message == (
        'Operation cannot be fulfilled on configmaps "map-1": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


async def test_an_update_without_a_version_overwrites(client):
    await client.create(CONFIG_MAP, config_map(a="1"), namespace="default")
    fresh = config_map(b="2")
    fresh["metadata"]["namespace"] = "default"
    assert (await client.update(CONFIG_MAP, fresh))["data"] == {"b": "2"}


async def test_an_update_keeps_what_only_the_server_writes(client):
    made = await client.create(CONFIG_MAP, config_map(), namespace="default")
    changed = {**made, "metadata": {**made["metadata"], "creationTimestamp": "1999-01-01T00:00:00Z"}}
    changed["data"] = {"a": "b"}
    after = await client.update(CONFIG_MAP, changed)
    assert after["metadata"]["creationTimestamp"] == made["metadata"]["creationTimestamp"]
    assert after["metadata"]["uid"] == made["metadata"]["uid"]


async def test_an_update_of_another_object_of_that_name_is_a_conflict(client):
    made = await client.create(CONFIG_MAP, config_map(), namespace="default")
    other = {"metadata": {**made["metadata"], "uid": "another", "resourceVersion": ""}}
    with pytest.raises(Conflict, match=r"Precondition failed: UID in precondition: another"):
        await client.update(CONFIG_MAP, other)


async def test_a_write_that_changes_nothing_makes_no_revision(client):
    made = await client.create(CONFIG_MAP, config_map(a="1"), namespace="default")
    assert await client.update(CONFIG_MAP, made) is await client.get(CONFIG_MAP, "map-1", "default")
    same = await client.patch(CONFIG_MAP, "map-1", {"data": {"a": "1"}}, namespace="default")
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_the_status_and_the_rest_are_written_by_different_doors(client):
    await client.create(POD, {**pod(), "status": {"phase": "Running"}}, namespace="default")
    assert (await client.get(POD, "pod-1", "default"))["status"]["phase"] == "Pending"
    both = {"metadata": {"labels": {"a": "b"}}, "status": {"phase": "Running"}}
    made = await client.patch(POD, "pod-1", both, namespace="default")
    assert (made["metadata"]["labels"], made["status"]["phase"]) == ({"a": "b"}, "Pending")
    changes_spec = {"spec": {"restartPolicy": "Never"}, "status": {"phase": "Running"}}
    made = await client.patch(POD, "pod-1", changes_spec, namespace="default", subresource="status")
    assert (made["spec"]["restartPolicy"], made["status"]["phase"]) == ("Always", "Running")


async def test_the_generation_counts_changes_of_the_spec_only(client):
    await client.create(POD, pod(), namespace="default")
    status = {"status": {"phase": "Running"}}
    made = await client.patch(POD, "pod-1", status, namespace="default", subresource="status")
    assert made["metadata"]["generation"] == 1
    made = await client.patch(POD, "pod-1", {"spec": {"activeDeadlineSeconds": 9}}, namespace="default")
    assert made["metadata"]["generation"] == 2


async def test_a_node_brings_its_status_with_it_as_kubelets_do(client):
    node = {
        "metadata": {"name": "node-1"},
        "spec": {"podCIDR": "10.244.1.0/24"},
        "status": {"capacity": {"cpu": 4}},
    }
    made = await client.create(NODE, node)
    assert made["status"] == {"capacity": {"cpu": "4"}, "allocatable": {"cpu": "4"}}
    assert made["spec"]["podCIDRs"] == ["10.244.1.0/24"]


async def test_fifty_concurrent_patches_all_land(client):
    await client.create(CONFIG_MAP, config_map(), namespace="default")
    patches = [
        client.patch(CONFIG_MAP, "map-1", {"data": {f"key-{i}": str(i)}}, namespace="default")
        for i in range(50)
    ]
    await asyncio.gather(*patches)
    made = await client.get(CONFIG_MAP, "map-1", "default")
    assert made["data"] == {f"key-{i}": str(i) for i in range(50)}


async def test_patches_through_two_servers_of_one_store_all_land():
    store = MemoryStore()
    async with new_registry(store) as one, new_registry(store) as other:
        await one.create(CONFIG_MAP, "default", config_map(), WriteOptions())
        page = await one.list(CONFIG_MAP, "default", ListOptions())
        await other.list(CONFIG_MAP, "default", ListOptions(resource_version=page.resource_version))
        await asyncio.gather(
            *(
                registry.patch(
                    CONFIG_MAP, "default", "map-1", {"data": {f"{name}{i}": "x"}}, MERGE, WriteOptions()
                )
                for i in range(25)
                for name, registry in (("one", one), ("other", other))
            )
        )
        page = await one.list(CONFIG_MAP, "default", ListOptions())
    assert len(page.items[0]["data"]) == 50
    await store.close()


async def test_a_patch_that_names_an_old_version_is_a_conflict(client):
    made = await client.create(CONFIG_MAP, config_map(), namespace="default")
    await client.patch(CONFIG_MAP, "map-1", {"data": {"a": "1"}}, namespace="default")
    old = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {"a": "2"}}
    with pytest.raises(Conflict, match="the object has been modified"):
        await client.patch(CONFIG_MAP, "map-1", old, namespace="default")


async def test_a_json_patch_whose_test_fails_is_invalid(client):
    await client.create(CONFIG_MAP, config_map(a="1"), namespace="default")
    steps = [{"op": "test", "path": "/data/a", "value": "2"}, {"op": "remove", "path": "/data/a"}]
    with pytest.raises(Invalid, match="the server rejected our request"):
        await client.patch(CONFIG_MAP, "map-1", steps, namespace="default", patch_type=JSON_PATCH)


async def test_a_dry_run_answers_as_if_and_writes_nothing(registry):
    dry = WriteOptions(dry_run=True)
    made = await registry.create(CONFIG_MAP, "default", config_map(a="1"), dry)
    assert made["metadata"]["uid"]
    with pytest.raises(NotFound):
        await registry.get(CONFIG_MAP, "default", "map-1")
    await registry.create(CONFIG_MAP, "default", config_map(a="1"), WriteOptions())
    made = await registry.patch(CONFIG_MAP, "default", "map-1", {"data": {"a": "2"}}, MERGE, dry)
    assert made["data"] == {"a": "2"}
    assert (await registry.get(CONFIG_MAP, "default", "map-1"))["data"] == {"a": "1"}


async def test_a_secret_given_as_text_is_kept_as_base64(client):
    secret = {"metadata": {"name": "secret-1"}, "stringData": {"password": "blue"}, "data": {"a": "YQ=="}}
    made = await client.create(SECRET, secret, namespace="default")
    assert (made["type"], made["data"]) == ("Opaque", {"a": "YQ==", "password": "Ymx1ZQ=="})
    assert "stringData" not in made
    with pytest.raises(Invalid, match="field is immutable"):
        await client.patch(SECRET, "secret-1", {"type": "other"}, namespace="default")


async def test_a_body_of_another_kind_or_namespace_is_a_bad_request(client):
    with pytest.raises(BadRequest, match=r"the kind in the data \(ConfigMap\)"):
        await client.create(POD, config_map(), namespace="default")
    elsewhere = {**pod(), "metadata": {"name": "pod-1", "namespace": "kube-system"}}
    with pytest.raises(BadRequest, match="the namespace of the provided object"):
        await client.create(POD, elsewhere, namespace="default")


@pytest.mark.parametrize(
    "said", [{"kind": ""}, {"apiVersion": ""}, {"kind": None, "apiVersion": None}], ids=str
)
async def test_an_object_stays_of_its_kind_whatever_a_patch_leaves_out(client, said):
    made = await client.create(CONFIG_MAP, config_map(), namespace="default")
    found = await client.patch(CONFIG_MAP, "map-1", said, namespace="default")
    assert (found["kind"], found["apiVersion"]) == ("ConfigMap", "v1") == (made["kind"], made["apiVersion"])


async def test_a_subresource_that_a_kind_does_not_have_is_not_allowed(client):
    await client.create(CONFIG_MAP, config_map(), namespace="default")
    with pytest.raises(MethodNotAllowed):
        await client.patch(CONFIG_MAP, "map-1", {}, namespace="default", subresource="status")


async def test_what_a_caller_does_to_its_object_afterwards_changes_nothing_here(client):
    mine = config_map(a="1")
    await client.create(CONFIG_MAP, mine, namespace="default")
    mine["data"]["a"] = "2"
    assert (await client.get(CONFIG_MAP, "map-1", "default"))["data"] == {"a": "1"}


async def test_what_go_omits_when_it_is_empty_is_not_kept(client):
    spec = {"taints": [], "unschedulable": False, "podCIDR": ""}
    meta = {"name": "node-1", "labels": {}, "finalizers": []}
    made = await client.create(NODE, {"metadata": meta, "spec": spec, "status": {"capacity": {}}})
    assert (made["spec"], made["status"]) == ({}, {})
    assert not {"labels", "finalizers"} & made["metadata"].keys()
    await client.patch(NODE, "node-1", {"spec": {"unschedulable": True, "taints": [TAINT]}})
    patched = await client.patch(NODE, "node-1", {"spec": {"unschedulable": False, "taints": []}})
    assert patched["spec"] == {}


async def test_empty_values_that_say_something_are_kept(client):
    """Pointers to an empty value, structs, and fields that Go writes whatever they hold."""
    body = pod(automountServiceAccountToken=False, hostNetwork=False, terminationGracePeriodSeconds=0)
    body["spec"]["volumes"] = [{"name": "v", "emptyDir": {"medium": ""}}]
    body["spec"]["containers"][0] |= {"resources": {}, "stdin": False, "env": [{"name": "A", "value": ""}]}
    body["spec"]["containers"][0]["securityContext"] = {"runAsUser": 0, "privileged": False}
    spec = (await client.create(POD, body, namespace="default"))["spec"]
    assert (spec["automountServiceAccountToken"], spec["terminationGracePeriodSeconds"]) == (False, 0)
    assert "hostNetwork" not in spec
    assert spec["volumes"][0] == {"name": "v", "emptyDir": {}}
    container = spec["containers"][0]
    assert container["resources"] == {} and "stdin" not in container
    assert container["env"] == [{"name": "A"}]
    assert container["securityContext"] == {"runAsUser": 0, "privileged": False}


TAINT = {"key": "a", "effect": "NoSchedule"}
