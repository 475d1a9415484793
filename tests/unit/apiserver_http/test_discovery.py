"""The two forms of discovery say the same."""

from fabric.api.kinds import Kind, KindTable
from fabric.apiserver import discovery

KINDS = KindTable()
V2 = discovery.AGGREGATED[0]


def test_legacy_and_aggregated_discovery_name_the_same_resources():
    for core in (True, False):
        for group in discovery.aggregated(KINDS, V2, core=core)["items"]:
            name = group["metadata"].get("name", "")
            for version in group["versions"]:
                legacy = discovery.api_resource_list(KINDS, name, version["version"])
                named = {
                    entry["resource"] + (f"/{below['subresource']}" if below else "")
                    for entry in version["resources"]
                    for below in (None, *entry.get("subresources", ()))
                }
                assert named == {resource["name"] for resource in legacy["resources"]}


def test_a_resource_carries_its_short_names_and_categories():
    resources = discovery.api_resource_list(KINDS, "", "v1")["resources"]
    pods = next(resource for resource in resources if resource["name"] == "pods")
    assert (pods["shortNames"], pods["categories"]) == (["po"], ["all"])
    assert (pods["singularName"], pods["namespaced"], pods["kind"]) == ("pod", True, "Pod")


def test_a_kind_that_is_added_shows_up_with_its_group():
    kinds = KindTable()
    kinds.add(Kind("example.com", "v1alpha1", "Unicorn", "unicorns", True))
    kinds.add(Kind("example.com", "v1", "Unicorn", "unicorns", True))
    group = discovery.api_group(kinds, "example.com")
    assert [version["version"] for version in group["versions"]] == ["v1alpha1", "v1"]
    assert group["preferredVersion"]["groupVersion"] == "example.com/v1alpha1"
    assert discovery.api_resource_list(kinds, "example.com", "v1")["groupVersion"] == "example.com/v1"


def test_what_does_not_exist_is_none():
    assert discovery.api_group(KINDS, "") is None
    assert discovery.api_group(KINDS, "other.io") is None
    assert discovery.api_resource_list(KINDS, "", "v2") is None
