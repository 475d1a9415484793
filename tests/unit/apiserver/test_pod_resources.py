"""A pod's resources and label keys: classes, defaults and rules."""

import pytest
from support.registry import pod

from fabric.api.kinds import POD
from fabric.apiserver.pod_defaults import qos_class
from fabric.errors import Invalid

ONE = {"cpu": "1", "memory": "1Gi"}
SAME = {"cpu": "1000m", "memory": "1024Mi"}
ZERO = {"cpu": "0", "memory": "0Mi"}


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ([{}], "BestEffort"),
        ([{"requests": {"cpu": "1"}}], "Burstable"),
        ([{"limits": ONE, "requests": ONE}], "Guaranteed"),
        ([{"limits": ONE, "requests": SAME}], "Guaranteed"),
        ([{"limits": {"cpu": 1, "memory": 1073741824}, "requests": SAME}], "Guaranteed"),
        ([{"limits": ONE, "requests": {**ONE, "cpu": "500m"}}], "Burstable"),
        ([{"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}], "Burstable"),
        ([{"limits": ONE, "requests": ONE}, {}], "Burstable"),
        ([{"limits": ZERO, "requests": ZERO}], "BestEffort"),
        ([{"requests": {"cpu": "0"}}, {"requests": {"memory": "0.0Gi"}}], "BestEffort"),
        ([{"limits": ONE, "requests": ZERO}], "Burstable"),
        ([{"requests": {"ephemeral-storage": "1Gi"}}], "BestEffort"),
        ([{"limits": {**ONE, "example.com/nic": "1"}, "requests": SAME}], "Guaranteed"),
    ],
)
def test_the_quality_of_service_follows_from_the_quantities(resources, quality):
    assert qos_class({"containers": [{"resources": each} for each in resources]}) == quality


def test_init_containers_count_for_the_quality_of_service_and_the_pods_own_resources_alone():
    spec = {"containers": [{"resources": {"limits": ONE, "requests": SAME}}], "initContainers": [{}]}
    assert qos_class(spec) == "Burstable"
    assert qos_class({**spec, "resources": {"limits": SAME, "requests": ONE}}) == "Guaranteed"


async def test_limits_alone_are_requests_and_make_a_pod_guaranteed(client):
    containers = [
        {"name": "main", "image": "nginx", "resources": {"limits": ONE, "requests": {"cpu": "1000m"}}}
    ]
    made = await client.create(POD, pod(containers=containers), namespace="default")
    assert made["status"]["qosClass"] == "Guaranteed"


@pytest.mark.parametrize("more", [{}, {"example.com/nic": "1"}])
async def test_huge_pages_need_processors_or_memory_beside_them(client, more):
    pages = {"hugepages-2Mi": "2Mi", **more}
    main = {"name": "main", "image": "nginx", "resources": {"limits": pages, "requests": pages}}
    with pytest.raises(Invalid, match="resources: Forbidden: HugePages require cpu or memory"):
        await client.create(POD, pod(containers=[main]), namespace="default")
    main["resources"] = {"limits": {**pages, "memory": "1Gi"}}
    assert await client.create(POD, pod(containers=[main]), namespace="default")


async def test_a_pods_own_limits_are_its_requests_where_no_container_asks(client):
    asking = {"name": "main", "image": "nginx", "resources": {"requests": {"cpu": "1"}}}
    own = {"limits": {"cpu": 2, "memory": "1Gi"}}
    made = await client.create(POD, pod(containers=[asking], resources=own), namespace="default")
    assert made["spec"]["resources"] == {
        "limits": {"cpu": "2", "memory": "1Gi"},
        "requests": {"memory": "1Gi"},
    }


@pytest.mark.parametrize(
    ("resources", "field"),
    [
        ({"requests": {"cpu": "x"}}, "spec.resources.requests[cpu]"),
        ({"requests": {"example.com/nic": "1"}}, "spec.resources.requests[example.com/nic]"),
        ({"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}, "spec.resources.requests"),
        ({"claims": [{"name": "a"}]}, "spec.resources.claims"),
    ],
)
async def test_a_pods_own_resources_are_checked(client, resources, field):
    with pytest.raises(Invalid) as refusal:
        await client.create(POD, pod(resources=resources), namespace="default")
    assert field in [cause["field"] for cause in refusal.value.details["causes"]]


async def test_label_keys_become_expressions_with_the_pods_own_labels(client):
    selector = {"matchLabels": {"app": "web"}}
    term = {"topologyKey": "zone", "labelSelector": selector, "mismatchLabelKeys": ["tenant", "none"]}
    constraint = {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}
    body = pod(
        affinity={
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [term],
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}],
            }
        },
        topologySpreadConstraints=[
            {**constraint, "labelSelector": selector, "matchLabelKeys": ["version"]},
        ],
    )
    body["metadata"]["labels"] = {"app": "web", "version": "2", "tenant": "red"}
    spec = (await client.create(POD, body, namespace="default"))["spec"]
    (spread,) = spec["topologySpreadConstraints"]
    version = {"key": "version", "operator": "In", "values": ["2"]}
    assert spread["labelSelector"] == selector | {"matchExpressions": [version]}
    required, preferred = spec["affinity"]["podAntiAffinity"].values()
    tenant = {"key": "tenant", "operator": "NotIn", "values": ["red"]}
    for found in (required[0], preferred[0]["podAffinityTerm"]):
        assert found == term | {"labelSelector": selector | {"matchExpressions": [tenant]}}


async def test_a_label_key_that_the_selector_has_already_is_refused(client):
    term = {
        "topologyKey": "zone",
        "labelSelector": {"matchLabels": {"app": "web"}},
        "matchLabelKeys": ["app"],
    }
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    body = pod(affinity=affinity)
    await client.create(POD, body, namespace="default")
    body["metadata"] = {"name": "pod-2", "labels": {"app": "web"}}
    with pytest.raises(Invalid, match="exists in both matchLabelKeys and labelSelector"):
        await client.create(POD, body, namespace="default")
