import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.api.kinds import CONFIG_MAP, POD, SERVICE_ACCOUNT, Kind
from fabric.api.mergepatch import merge_patched
from fabric.apiserver.patches import APPLY, JSON_PATCH, MERGE, STRATEGIC, patched
from fabric.errors import ApiError, BadRequest, Invalid, TooLarge, UnsupportedMediaType

DEPLOYMENT = Kind("apps", "v1", "Deployment", "deployments", True)


def strategic(kind, obj, patch):
    before = json.dumps(obj)
    result = patched(kind, {"metadata": {}, **obj}, patch, STRATEGIC)
    assert json.dumps(obj) == before
    return {name: value for name, value in result.items() if value != {}}


def spec(*containers, **more):
    return {"spec": {"containers": list(containers), **more}}


NGINX = {"name": "nginx", "image": "nginx:1"}
REDIS = {"name": "redis", "image": "redis:7"}


def test_a_list_of_named_things_merges_by_name():
    patch = spec({"name": "redis", "image": "redis:8"}, {"name": "new", "image": "new:1"})
    assert strategic(POD, spec(NGINX, REDIS), patch) == spec(
        NGINX, {"name": "redis", "image": "redis:8"}, {"name": "new", "image": "new:1"}
    )


def test_a_list_without_a_merge_key_is_replaced():
    before = spec({**NGINX, "command": ["a", "b"]})
    assert strategic(POD, before, spec({"name": "nginx", "command": ["c"]})) == spec(
        {**NGINX, "command": ["c"]}
    )


def test_a_named_thing_is_deleted_by_directive():
    assert strategic(POD, spec(NGINX, REDIS), spec({"$patch": "delete", "name": "nginx"})) == spec(REDIS)


def test_a_list_is_replaced_by_directive():
    assert strategic(POD, spec(NGINX, REDIS), spec({"$patch": "replace"}, {"name": "only"})) == spec(
        {"name": "only"}
    )


def test_an_object_is_replaced_by_directive():
    before = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    patch = {"metadata": {"labels": {"$patch": "replace", "c": "3"}}}
    assert strategic(POD, before, patch) == {"metadata": {"labels": {"c": "3"}}}


def test_an_object_is_deleted_by_directive_and_by_null():
    before = spec(NGINX, securityContext={"runAsUser": 1}, affinity={})
    assert strategic(
        POD, before, {"spec": {"securityContext": {"$patch": "delete"}, "affinity": None}}
    ) == spec(NGINX)


def test_primitives_are_added_once_and_deleted_by_directive():
    before = {"metadata": {"finalizers": ["example.com/a", "example.com/b"]}}
    added = strategic(POD, before, {"metadata": {"finalizers": ["example.com/b", "example.com/c"]}})
    assert added["metadata"]["finalizers"] == ["example.com/a", "example.com/b", "example.com/c"]
    removed = strategic(POD, before, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/a"]}})
    assert removed["metadata"]["finalizers"] == ["example.com/b"]


def test_the_order_of_a_list_is_as_the_patch_says_and_strangers_keep_their_place():
    def names(before, order):
        patch = {"spec": {"$setElementOrder/containers": [{"name": name} for name in order]}}
        result = strategic(POD, spec(*({"name": name} for name in before)), patch)
        return [container["name"] for container in result["spec"]["containers"]]

    assert names("abc", "cba") == ["c", "b", "a"]
    assert names("axb", "ab") == ["a", "x", "b"]
    assert names("abx", "ba") == ["b", "a", "x"]
    assert names("xab", "ab") == ["x", "a", "b"]


def test_an_order_comes_with_items_that_are_new():
    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": "new"}, {"name": "nginx"}],
            "containers": [{"name": "new", "image": "new:1"}],
        }
    }
    assert strategic(POD, spec(NGINX), patch) == spec({"name": "new", "image": "new:1"}, NGINX)


def test_retained_keys_drop_their_siblings():
    before = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic(DEPLOYMENT, before, patch) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_retained_keys_must_name_what_the_patch_sets():
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "rollingUpdate": {"maxSurge": 1}}}}
    with pytest.raises(BadRequest, match="retainKeys"):
        strategic(DEPLOYMENT, {"spec": {}}, patch)


def test_conditions_merge_by_type_and_ports_by_number():
    before = {
        "status": {
            "conditions": [{"type": "Ready", "status": "False"}, {"type": "Initialized", "status": "True"}]
        }
    }
    after = strategic(POD, before, {"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    assert [c["status"] for c in after["status"]["conditions"]] == ["True", "True"]
    ports = [{"containerPort": 80, "name": "http"}, {"containerPort": 443}]
    patch = spec({"name": "nginx", "ports": [{"containerPort": 443, "name": "https"}]})
    after = strategic(POD, spec({**NGINX, "ports": ports}), patch)
    assert after["spec"]["containers"][0]["ports"] == [ports[0], {"containerPort": 443, "name": "https"}]


def test_secrets_of_a_service_account_merge_by_name():
    before = {"secrets": [{"name": "a"}]}
    assert strategic(SERVICE_ACCOUNT, before, {"secrets": [{"name": "b"}]}) == {
        "secrets": [{"name": "a"}, {"name": "b"}]
    }


def test_an_item_without_its_merge_key_is_a_bad_request():
    with pytest.raises(BadRequest, match="does not contain declared merge key: name"):
        strategic(POD, spec(NGINX), spec({"image": "x"}))


def test_an_unknown_directive_is_a_bad_request():
    with pytest.raises(BadRequest, match="unknown directive"):
        strategic(POD, spec(NGINX), {"spec": {"$patch": "explode"}})
    with pytest.raises(BadRequest, match="unknown directive"):
        strategic(POD, spec(NGINX), {"spec": {"$explode": True}})


def test_what_a_patch_does_not_touch_is_shared_not_copied():
    before = {"metadata": {"name": "pod-1"}, **spec(NGINX, REDIS)}
    after = patched(POD, before, {"status": {"phase": "Running"}}, STRATEGIC)
    assert after["spec"] is before["spec"]
    after = patched(POD, before, spec({"name": "nginx", "image": "nginx:2"}), STRATEGIC)
    assert after["spec"]["containers"][1] is before["spec"]["containers"][1]


def test_server_side_apply_and_unknown_types_are_unsupported():
    with pytest.raises(UnsupportedMediaType, match="server-side apply is not served"):
        patched(POD, {"metadata": {}}, {}, APPLY)
    with pytest.raises(UnsupportedMediaType, match="accepted media types include"):
        patched(POD, {"metadata": {}}, {}, "text/plain")


def test_a_patch_nested_too_deeply_is_a_bad_request():
    deep = {}
    for _ in range(5000):
        deep = {"a": deep}
    for patch_type in (MERGE, STRATEGIC):
        with pytest.raises(BadRequest, match="nested too deeply"):
            patched(CONFIG_MAP, {"metadata": {}}, {"data": deep}, patch_type)


def test_copies_of_a_whole_into_itself_have_a_limit():
    """Each operation doubles the document: forty of them would be a million gigabytes."""
    doubling = [{"op": "copy", "from": "/data", "path": f"/data/{i}"} for i in range(40)]
    with pytest.raises(TooLarge, match="Unable to complete the copy, the accumulated size increase"):
        patched(CONFIG_MAP, {"metadata": {}, "data": {"a": "b"}}, doubling, JSON_PATCH)


@pytest.mark.parametrize("path", ["/data/" + "9" * 5000, "/data/٣", "/data/-/a", "/data/1e3", "data", "/~2"])
def test_a_path_that_leads_nowhere_is_refused(path):
    for operation in ({"op": "add", "value": 1}, {"op": "remove"}, {"op": "copy", "from": path}):
        with pytest.raises((BadRequest, Invalid)):
            patched(CONFIG_MAP, {"metadata": {}, "data": [1]}, [{"path": path, **operation}], JSON_PATCH)


def test_operations_cannot_nest_an_object_deeper_than_a_body_may_be():
    step = {"op": "move", "from": "/data", "path": "/metadata/x"}, {"op": "copy", "from": "", "path": "/data"}
    with pytest.raises((BadRequest, TooLarge), match=r"nested|accumulated|Recursion limit"):
        patched(CONFIG_MAP, {"metadata": {}, "data": {}}, [*step] * 200, JSON_PATCH)


RFC_7386 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7386)
def test_merge_patch_does_what_rfc_7386_appendix_a_says(target, patch, result):
    assert merge_patched(target, patch) == result


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=1), inner, max_size=3)
    ),
    max_leaves=12,
)


def without_nulls(value):
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    return value


def difference(old, new):
    """The merge patch from one object to another: the oracle."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    changed = {k: difference(old.get(k), v) for k, v in new.items() if k not in old or old[k] != v}
    return {**changed, **dict.fromkeys(old.keys() - new.keys())}


@given(JSON, JSON)
def test_the_difference_of_two_documents_patches_the_first_into_the_second(old, new):
    old, new = without_nulls(old), without_nulls(new)
    assert merge_patched(old, difference(old, new)) == new


@given(JSON, JSON)
def test_a_merge_patch_applied_twice_is_applied_once(target, patch):
    once = merge_patched(target, patch)
    assert merge_patched(once, patch) == once


CONTAINERS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["i:1", "i:2", "i:3"]), max_size=4)


@given(CONTAINERS, CONTAINERS, st.sets(st.sampled_from("abcd")))
def test_strategic_merge_of_containers_is_a_merge_of_maps_by_name(old, changed, deleted):
    before = spec(*({"name": name, "image": image, "stdin": True} for name, image in old.items()))
    items = [{"name": name, "image": image} for name, image in changed.items() if name not in deleted]
    items += [{"name": name, "$patch": "delete"} for name in sorted(deleted)]
    after = patched(POD, {"metadata": {}, **before}, spec(*items), STRATEGIC)
    images = {container["name"]: container["image"] for container in after["spec"]["containers"]}
    assert images == {name: image for name, image in {**old, **changed}.items() if name not in deleted}
    assert all(c.get("stdin", False) == (c["name"] in old) for c in after["spec"]["containers"])


STEP = st.fixed_dictionaries(
    {},
    optional={
        "op": JSON | st.sampled_from(["add", "remove", "move"]),
        "path": JSON,
        "from": JSON,
        "value": JSON,
    },
)


@given(JSON | st.lists(STEP, max_size=3), st.sampled_from([MERGE, STRATEGIC, JSON_PATCH]))
def test_any_patch_gives_an_object_or_a_refusal(patch, patch_type):
    obj = {"metadata": {"name": "pod-1"}, "a": {"b": ["c"]}, **spec(NGINX)}
    try:
        assert isinstance(patched(POD, obj, patch, patch_type), dict)
    except ApiError as error:
        assert error.code in (400, 422)


def test_a_patch_of_long_lists_takes_time_by_their_lengths():
    """Ten thousand conditions on as many: by the product of the lengths it would take four seconds."""
    conditions = [{"type": f"c{n}", "status": "True"} for n in range(10_000)]
    before = {"status": {"conditions": conditions}, "metadata": {"finalizers": list(map(str, range(10_000)))}}
    order = [{"type": f"c{n}"} for n in reversed(range(10_000))]
    patch = {
        "status": {
            "conditions": [{"type": f"c{n}", "status": "False"} for n in range(10_000)],
            "$setElementOrder/conditions": order,
        },
        "metadata": {"$deleteFromPrimitiveList/finalizers": list(map(str, range(1, 10_000)))},
    }
    began = time.process_time()
    after = strategic(POD, before, patch)
    gone = strategic(POD, after, {"status": {"conditions": [{**each, "$patch": "delete"} for each in order]}})
    assert time.process_time() - began < 2.0
    assert [each["type"] for each in after["status"]["conditions"]] == [each["type"] for each in order]
    assert {each["status"] for each in after["status"]["conditions"]} == {"False"}
    assert after["metadata"]["finalizers"] == ["0"]
    assert gone["status"]["conditions"] == []
