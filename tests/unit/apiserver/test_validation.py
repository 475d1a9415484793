from datetime import UTC, datetime

import pytest
from support.registry import config_map, pod

from fabric.api.kinds import CONFIG_MAP, NAMESPACE, NODE, POD, SECRET
from fabric.apiserver.columns import COLUMNS
from fabric.apiserver.options import WriteOptions
from fabric.errors import BadRequest, Invalid

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STRICT = WriteOptions(field_validation="Strict")


async def causes_of(request):
    with pytest.raises(Invalid) as caught:
        await request
    return [(cause["reason"], cause["field"]) for cause in caught.value.details["causes"]]


async def test_an_unknown_field_is_refused_by_strict_validation(registry):
    wrong = pod()
    wrong["spec"]["replicsa"] = 1
    wrong["spec"]["containers"][0]["imag"] = "x"
    with pytest.raises(BadRequest) as caught:
        await registry.create(POD, "default", wrong, STRICT)
    assert caught.value.message == (
        'strict decoding error: unknown field "spec.containers[0].imag", unknown field "spec.replicsa"'
    )


async def test_an_unknown_field_is_dropped_and_told_as_a_warning_when_asked(registry):
    warnings = []
    wrong = {**config_map(), "colour": "blue"}
    made = await registry.create(
        CONFIG_MAP, "default", wrong, WriteOptions(field_validation="Warn", warn=warnings.append)
    )
    assert "colour" not in made
    assert warnings == ['unknown field "colour"']


async def test_nulls_are_as_good_as_absent(registry):
    body = pod(nodeName=None, volumes=None)
    body["metadata"]["creationTimestamp"] = None
    body["status"] = None
    made = await registry.create(POD, "default", body, STRICT)
    assert "nodeName" not in made["spec"]
    assert made["metadata"]["creationTimestamp"]


async def test_nulls_in_lists_and_maps_are_zero_values_as_for_gos_decoder(registry):
    body = pod(
        containers=[
            {"name": "a", "image": "echo", "args": [None, "x"], "env": [{"name": "A", "value": None}]}
        ]
    )
    body["spec"]["containers"][0]["resources"] = {"limits": {"cpu": None}}
    body["metadata"]["annotations"] = {"a": None}
    made = await registry.create(POD, "default", body, STRICT)
    (container,) = made["spec"]["containers"]
    assert container["args"] == ["", "x"]
    assert container["env"] == [{"name": "A"}]
    assert container["resources"]["limits"] == {"cpu": "0"}
    assert made["metadata"]["annotations"] == {"a": ""}
    settings = {"metadata": {"name": "settings"}, "data": {"a": None}}
    assert (await registry.create(CONFIG_MAP, "default", settings, STRICT))["data"] == {"a": ""}
    with pytest.raises(Invalid, match=r"spec.containers\[0\].name: Required value"):
        await registry.create(POD, "default", pod(containers=[None]), STRICT)


FIELD = "json: cannot unmarshal {} into Go struct field {} of type {}"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (
            {"terminationGracePeriodSeconds": "soon"},
            FIELD.format("string", "PodSpec.spec.terminationGracePeriodSeconds", "int64"),
        ),
        (
            {"terminationGracePeriodSeconds": 2**63},
            FIELD.format("number 9223372036854775808", "PodSpec.spec.terminationGracePeriodSeconds", "int64"),
        ),
        ({"containers": {}}, FIELD.format("object", "PodSpec.spec.containers", "[]v1.Container")),
        (
            {"containers": [{"name": "a", "ports": [{"containerPort": 1.5}]}]},
            FIELD.format("number 1.5", "ContainerPort.spec.containers.ports.containerPort", "int32"),
        ),
        (
            {"containers": [{"name": "a", "livenessProbe": {"httpGet": []}}]},
            FIELD.format("array", "Probe.spec.containers.livenessProbe.httpGet", "v1.HTTPGetAction"),
        ),
        ({"nodeSelector": {"disk": 1}}, FIELD.format("number", "PodSpec.spec.nodeSelector", "string")),
        ({"nodeSelector": "disk"}, FIELD.format("string", "PodSpec.spec.nodeSelector", "map[string]string")),
        ({"hostNetwork": "yes"}, FIELD.format("string", "PodSpec.spec.hostNetwork", "bool")),
        (
            {"containers": [{"name": "a", "resources": {"limits": {"cpu": []}}}]},
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
    ],
)
async def test_a_wrong_type_is_refused_in_the_words_of_gos_decoder(registry, wrong, why):
    with pytest.raises(BadRequest) as caught:
        await registry.create(POD, "default", pod(**wrong), STRICT)
    assert caught.value.message == f'Pod in version "v1" cannot be handled as a Pod: {why}'


async def test_a_patch_to_a_wrong_type_is_invalid_as_a_whole(client):
    await client.create(POD, pod(), namespace="default")
    with pytest.raises(Invalid) as caught:
        await client.patch(POD, "pod-1", {"spec": {"priority": "high"}}, namespace="default")
    why = FIELD.format("string", "PodSpec.spec.priority", "int32")
    assert caught.value.message == (
        r' "" is invalid: patch: Invalid value: "{\"spec\":{\"priority\":\"high\"}}": ' + why
    )


@pytest.mark.parametrize(("data", "at"), [("not base64", 3), ("a!", 1), ("abc", 0), ("abcdef", 4)])
async def test_data_that_is_not_base64_is_refused_with_the_place(registry, data, at):
    with pytest.raises(BadRequest, match=f"as a Secret: illegal base64 data at input byte {at}$"):
        await registry.create(SECRET, "default", {"metadata": {"name": "s"}, "data": {"a": data}}, STRICT)


async def test_all_faults_come_at_once_with_their_causes(registry):
    body = pod(restartPolicy="Sometimes", dnsPolicy="Guess")
    body["spec"]["containers"] = [
        {"name": "A", "ports": [{"containerPort": 0}], "volumeMounts": [{"name": "nope", "mountPath": "/x"}]},
        {"name": "b", "image": "x", "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}},
        {"name": "b", "image": "x", "resources": {"limits": {"memory": "lots"}}},
    ]
    assert await causes_of(registry.create(POD, "default", body, STRICT)) == [
        ("FieldValueNotSupported", "spec.restartPolicy"),
        ("FieldValueNotSupported", "spec.dnsPolicy"),
        ("FieldValueInvalid", "spec.containers[0].name"),
        ("FieldValueDuplicate", "spec.containers[2].name"),
        ("FieldValueNotFound", "spec.containers[0].volumeMounts[0].name"),
        ("FieldValueRequired", "spec.containers[0].image"),
        ("FieldValueRequired", "spec.containers[0].ports[0].containerPort"),
        ("FieldValueInvalid", "spec.containers[1].resources.requests"),
        ("FieldValueInvalid", "spec.containers[2].resources.limits[memory]"),
    ]


async def test_a_missing_field_is_required_in_kubernetes_words(registry):
    with pytest.raises(Invalid, match=r'Pod "pod-1" is invalid: spec.containers: Required value') as caught:
        await registry.create(POD, "default", {"metadata": {"name": "pod-1"}, "spec": {}}, STRICT)
    assert caught.value.details["kind"] == "Pod"


@pytest.mark.parametrize("name", ["Pod", "a_b", "-a", "a-", "a..b", "a" * 254, "a/b", "ä"])
async def test_a_name_must_be_a_dns_subdomain(registry, name):
    wrong = await causes_of(registry.create(POD, "default", pod(name), STRICT))
    assert wrong == [("FieldValueInvalid", "metadata.name")]


async def test_a_name_is_required(registry):
    wrong = await causes_of(registry.create(POD, "default", pod(""), STRICT))
    assert wrong == [("FieldValueRequired", "metadata.name")]


async def test_a_namespace_is_a_dns_label(registry):
    request = registry.create(NAMESPACE, "", {"metadata": {"name": "a.b"}}, STRICT)
    assert await causes_of(request) == [("FieldValueInvalid", "metadata.name")]


@pytest.mark.parametrize(
    ("meta", "field"),
    [
        ({"labels": {"a b": "c"}}, "metadata.labels"),
        ({"labels": {"a": "c d"}}, "metadata.labels"),
        ({"annotations": {"a b": "c"}}, "metadata.annotations"),
        ({"annotations": {"a": "x" * 300_000}}, "metadata.annotations"),
        ({"finalizers": ["a b"]}, "metadata.finalizers[0]"),
        (
            {"ownerReferences": [{"apiVersion": "v1", "kind": "", "name": "a", "uid": "b"}]},
            "metadata.ownerReferences[0].kind",
        ),
    ],
)
async def test_metadata_must_be_well_formed(registry, meta, field):
    body = config_map()
    body["metadata"].update(meta)
    assert [f for _, f in await causes_of(registry.create(CONFIG_MAP, "default", body, STRICT))] == [field]


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        (SECRET, {"type": "kubernetes.io/tls", "data": {"tls.crt": ""}}, "data[tls.key]"),
        (SECRET, {"stringData": {"a b": ""}}, "data[a b]"),
        (CONFIG_MAP, {"data": {"a": "x" * 2_000_000}}, ""),
        (CONFIG_MAP, {"data": {"a/b": ""}}, "data[a/b]"),
        (NODE, {"spec": {"taints": [{"key": "a", "effect": "Never"}]}}, "spec.taints[0].effect"),
        (NODE, {"spec": {"podCIDR": "10.244.1.7/24"}}, "spec.podCIDRs[0]"),
    ],
)
async def test_each_kind_has_its_rules(registry, kind, body, field):
    namespace = "default" if kind.namespaced else ""
    request = registry.create(kind, namespace, {"metadata": {"name": "thing-1"}, **body}, STRICT)
    assert [f for _, f in await causes_of(request)] == [field]


async def test_an_immutable_config_map_stays_as_it_is(client):
    await client.create(CONFIG_MAP, {**config_map(a="1"), "immutable": True}, namespace="default")
    with pytest.raises(Invalid, match="field is immutable when `immutable` is set"):
        await client.patch(CONFIG_MAP, "map-1", {"data": {"a": "2"}}, namespace="default")
    await client.patch(CONFIG_MAP, "map-1", {"metadata": {"labels": {"a": "b"}}}, namespace="default")


async def test_a_status_need_not_say_everything(client):
    await client.create(POD, pod(), namespace="default")
    status = {"status": {"containerStatuses": [{"name": "main", "ready": True}]}}
    made = await client.patch(POD, "pod-1", status, namespace="default", subresource="status")
    assert made["status"]["containerStatuses"][0]["ready"] is True


LAYOUT = '" as "2006-01-02T15:04:05Z07:00": cannot parse '


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("garbage", LAYOUT + '"garbage" as "2006"'),
        ("2026-01-01T00:00:00", LAYOUT + '"" as "Z07:00"'),
        ("20260101T000000Z", LAYOUT + '"0101T000000Z" as "-"'),
        ("2026-13-01T00:00:00Z", '": day out of range'),
        ("2026-01-01T00:00:00Z!", '": extra text: "!"'),
    ],
)
async def test_a_time_that_nobody_can_read_is_refused(client, text, why):
    await client.create(POD, pod(), namespace="default")
    with pytest.raises(Invalid) as caught:
        await client.patch(
            POD, "pod-1", {"status": {"startTime": text}}, namespace="default", subresource="status"
        )
    assert caught.value.message.endswith(f'parsing time "{text}{why}')


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00.123456+01:00"])
async def test_a_time_of_rfc_3339_is_taken(client, text):
    await client.create(POD, pod(), namespace="default")
    made = await client.patch(
        POD, "pod-1", {"status": {"startTime": text}}, namespace="default", subresource="status"
    )
    assert made["status"]["startTime"] == text


async def test_a_nul_byte_in_a_pod_is_refused(registry):
    body = pod()
    body["spec"]["containers"][0]["command"] = ["echo", "a\0b"]
    assert await causes_of(registry.create(POD, "default", body, STRICT)) == [
        ("FieldValueInvalid", "spec.containers[0].command[1]")
    ]


async def test_what_a_status_leaves_out_is_kept_empty(client):
    await client.create(POD, pod(), namespace="default")
    status = {
        "conditions": [{"type": "Ready"}, {}],
        "containerStatuses": [{"state": {"terminated": {}}}],
        "initContainerStatuses": [{"ready": True}],
    }
    made = await client.patch(POD, "pod-1", {"status": status}, namespace="default", subresource="status")
    assert made["status"]["conditions"] == [{"type": "Ready", "status": ""}, {"type": "", "status": ""}]
    entry = made["status"]["containerStatuses"][0]
    assert entry["state"] == {"terminated": {"exitCode": 0}}
    assert (entry["name"], entry["ready"], entry["restartCount"]) == ("", False, 0)
    assert made["status"]["initContainerStatuses"][0]["ready"] is True


@pytest.mark.parametrize("kind", [POD, NODE])
async def test_a_maimed_status_is_listed_as_a_table_all_the_same(client, kind):
    body = pod() if kind is POD else {"metadata": {"name": "pod-1"}}
    namespace = "default" if kind is POD else ""
    await client.create(kind, body, namespace=namespace)
    entries = [{}, {"ready": True}]
    of_pod = {"initContainerStatuses": entries, "containerStatuses": entries, "podIPs": [{}]}
    status = {"conditions": [{"type": "Ready"}], **(of_pod if kind is POD else {"addresses": [{}]})}
    made = await client.patch(kind, "pod-1", {"status": status}, namespace=namespace, subresource="status")
    columns = COLUMNS["", kind.plural]
    row = [column.of(made, NOON) for column in columns]
    assert row[0] == "pod-1"
