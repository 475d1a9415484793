import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.registry import config_map, pod

from fabric.api.kinds import CONFIG_MAP, NAMESPACE, POD
from fabric.api.objects import condition
from fabric.apiserver import decoding, preparation
from fabric.apiserver.options import WriteOptions
from fabric.apiserver.pod_defaults import defaulted, pull_policy
from fabric.control.client import STRATEGIC
from fabric.control.clock import LoopClock
from fabric.errors import ApiError, BadRequest, Conflict, Invalid

BINDING = {"metadata": {"name": "pod-1"}, "target": {"kind": "Node", "name": "node-1"}}


async def test_a_short_manifest_becomes_a_full_pod(client):
    made = await client.create(POD, pod(), namespace="default")
    spec = made["spec"]
    assert spec["restartPolicy"] == "Always"
    assert spec["terminationGracePeriodSeconds"] == 30
    assert spec["dnsPolicy"] == "ClusterFirst"
    assert spec["securityContext"] == {}
    assert spec["schedulerName"] == "default-scheduler"
    assert spec["serviceAccountName"] == "default"
    assert spec["enableServiceLinks"] is True
    assert [(t["key"], t["effect"], t["tolerationSeconds"]) for t in spec["tolerations"]] == [
        ("node.kubernetes.io/not-ready", "NoExecute", 300),
        ("node.kubernetes.io/unreachable", "NoExecute", 300),
    ]
    assert spec["containers"] == [
        {
            "name": "main",
            "image": "busybox:1.36",
            "imagePullPolicy": "IfNotPresent",
            "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
        }
    ]
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


async def test_parts_of_containers_and_volumes_get_their_defaults(client):
    container = {
        "name": "main",
        "image": "nginx",
        "ports": [{"containerPort": 80}],
        "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "resources": {"limits": {"cpu": 1}},
        "livenessProbe": {"httpGet": {"port": 80}},
    }
    volumes = [{"name": "a", "configMap": {"name": "map-1"}}, {"name": "b"}, {"name": "c", "emptyDir": {}}]
    body = pod(volumes=volumes)
    body["spec"]["containers"] = [container]
    spec = (await client.create(POD, body, namespace="default"))["spec"]
    main = spec["containers"][0]
    assert main["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert main["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert main["resources"] == {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}
    assert main["livenessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert spec["volumes"][0]["configMap"]["defaultMode"] == 420
    assert spec["volumes"][1] == {"name": "b", "emptyDir": {}}


def test_defaults_are_never_written_into_what_came_in_and_a_full_pod_is_kept_as_it_is():
    body = pod()
    full = defaulted(body)
    assert body == pod()
    assert defaulted(full) is full


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("busybox", "Always"),
        ("busybox:latest", "Always"),
        ("busybox:1.36", "IfNotPresent"),
        ("registry:5000/busybox", "Always"),
        ("registry:5000/busybox:1", "IfNotPresent"),
        ("busybox@sha256:00", "IfNotPresent"),
    ],
)
def test_an_image_without_a_tag_is_always_pulled(image, policy):
    assert pull_policy(image) == policy


async def test_hooks_by_http_have_the_defaults_of_probes(client):
    hook = {"httpGet": {"port": 80}}
    hooked = {"name": "main", "image": "nginx", "lifecycle": {"postStart": hook}, "livenessProbe": hook}
    made = await client.create(POD, pod(containers=[hooked]), namespace="default")
    (container,) = made["spec"]["containers"]
    for handler in (container["lifecycle"]["postStart"], container["livenessProbe"]):
        assert handler["httpGet"] == {"port": 80, "path": "/", "scheme": "HTTP"}


async def test_an_own_toleration_of_a_nodes_absence_is_respected(client):
    body = pod(tolerations=[{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}])
    tolerations = (await client.create(POD, body, namespace="default"))["spec"]["tolerations"]
    assert [t["key"] for t in tolerations] == [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ]


async def test_binding_puts_a_pod_onto_a_node_once(client):
    await client.create(POD, pod(), namespace="default")
    await client.create(POD, BINDING, namespace="default", subresource="binding")
    bound = await client.get(POD, "pod-1", "default")
    assert bound["spec"]["nodeName"] == "node-1"
    assert condition(bound, "PodScheduled")["status"] == "True"
    with pytest.raises(Conflict, match='pod pod-1 is already assigned to node "node-1"'):
        await client.create(POD, BINDING, namespace="default", subresource="binding")


async def test_of_many_schedulers_one_binds(client):
    await client.create(POD, pod(), namespace="default")
    bindings = [{**BINDING, "target": {"kind": "Node", "name": f"node-{i}"}} for i in range(10)]
    outcomes = await asyncio.gather(
        *(client.create(POD, b, namespace="default", subresource="binding") for b in bindings),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 9


async def test_a_binding_to_no_node_or_of_another_pod_is_refused(client):
    await client.create(POD, pod(), namespace="default")
    with pytest.raises(Invalid, match=r"target.name: Required value"):
        await client.create(POD, {**BINDING, "target": {}}, namespace="default", subresource="binding")
    with pytest.raises(BadRequest, match="supported values"):
        other = {**BINDING, "target": {"kind": "Freezer", "name": "a"}}
        await client.create(POD, other, namespace="default", subresource="binding")
    stale = {**BINDING, "metadata": {"name": "pod-1", "uid": "another"}}
    with pytest.raises(Conflict, match="UID in precondition"):
        await client.create(POD, stale, namespace="default", subresource="binding")


@pytest.mark.parametrize(
    "change",
    [
        {"containers": [{"name": "main", "image": "nginx:2"}]},
        {"activeDeadlineSeconds": 10},
        {"tolerations": [{"key": "a", "operator": "Exists"}]},
    ],
)
async def test_some_of_a_pod_may_change(client, change):
    await client.create(POD, pod(), namespace="default")
    if "tolerations" in change:
        old = (await client.get(POD, "pod-1", "default"))["spec"]["tolerations"]
        change = {"tolerations": [*old, *change["tolerations"]]}
    await client.patch(POD, "pod-1", {"spec": change}, namespace="default", patch_type=STRATEGIC)


@pytest.mark.parametrize(
    "change",
    [
        {"containers": [{"name": "main", "command": ["x"]}]},
        {"containers": [{"name": "second", "image": "x"}]},
        {"nodeName": "node-1"},
        {"restartPolicy": "Never"},
        {"terminationGracePeriodSeconds": 5},
        {"tolerations": []},
        {"serviceAccountName": "other"},
    ],
)
async def test_the_rest_of_a_pod_may_not_change(client, change):
    await client.create(POD, pod(tolerations=[{"key": "a", "operator": "Exists"}]), namespace="default")
    with pytest.raises(Invalid, match="Forbidden"):
        await client.patch(POD, "pod-1", {"spec": change}, namespace="default", patch_type=STRATEGIC)


async def test_a_pod_is_replaced_by_a_manifest_that_leaves_out_what_the_server_fills_in(client):
    own = {"serviceAccountName": "default", "priorityClassName": "system-node-critical"}
    made = await client.create(POD, pod(**own), namespace="default")
    body = pod(**own)
    body["metadata"] |= {"namespace": "default", "labels": {"app": "web"}}
    new = await client.update(POD, body)
    assert new["spec"] == made["spec"]
    assert (new["spec"]["priority"], len(new["spec"]["tolerations"])) == (2_000_001_000, 2)
    assert new["metadata"]["labels"] == {"app": "web"}


async def test_a_refused_change_of_a_pod_says_what_changed(client):
    await client.create(POD, pod(serviceAccountName="default", nodeName="node-1"), namespace="default")
    body = pod(restartPolicy="Never")
    body["metadata"]["namespace"] = "default"
    with pytest.raises(Invalid) as refusal:
        await client.update(POD, body)
    told = str(refusal.value).splitlines()[1:]
    assert told == [
        '- nodeName: "node-1"',
        "+ nodeName: null",
        '- restartPolicy: "Always"',
        '+ restartPolicy: "Never"',
        '- serviceAccount: "default"',
        "+ serviceAccount: null",
        '- serviceAccountName: "default"',
        "+ serviceAccountName: null",
    ]


async def test_a_binding_that_is_junk_is_a_bad_request(client):
    await client.create(POD, pod(), namespace="default")
    for target in ("node-1", ["node-1"], {"name": 1}):
        with pytest.raises(BadRequest):
            await client.create(
                POD, {**BINDING, "target": target}, namespace="default", subresource="binding"
            )


async def test_a_namespace_is_labelled_with_its_name(client):
    made = await client.create(NAMESPACE, {"metadata": {"name": "team", "labels": {"a": "b"}}})
    assert made["metadata"]["labels"] == {"a": "b", "kubernetes.io/metadata.name": "team"}
    assert (made["spec"], made["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})
    made = await client.patch(NAMESPACE, "team", {"metadata": {"labels": None}})
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "team"}


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("aA:/ ", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "a"]), inner, max_size=2)
    ),
    max_leaves=4,
)
PLACES = ("metadata", "metadata/labels", "metadata/name", "metadata/finalizers", "metadata/ownerReferences")
PLACES += ("spec", "spec/volumes", "spec/containers", "spec/tolerations", "spec/containers/0", "status")
PLACES += tuple(
    f"spec/containers/0/{f}" for f in ("ports", "env", "resources", "livenessProbe", "volumeMounts")
)


@settings(max_examples=200)
@given(st.sampled_from(PLACES), JUNK, JUNK)
async def test_any_junk_in_a_pod_gives_a_pod_or_a_refusal(place, junk, more):
    body = pod(volumes=[more])
    *parents, last = [int(p) if p.isdigit() else p for p in place.split("/")]
    at = body
    for parent in parents:
        at = at[parent]
    at[last] = junk
    try:
        made = preparation.decoded(POD, body, WriteOptions())
        preparation.new_object(POD, "default", made, "", LoopClock().now())
    except ApiError as error:
        assert error.code in (400, 422)


def test_a_clean_object_is_not_copied_by_decoding():
    for kind, obj in ((POD, pod()), (CONFIG_MAP, config_map(a="b"))):
        assert decoding.pruned(kind, obj, pytest.fail) is obj
