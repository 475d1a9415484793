"""Whatever JSON comes in: a resource that comes back as it went out, or a refusal; never another error."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calico.resources.envelope import Metadata
from calico.resources.refusals import InvalidResource
from calico.resources.table import RESOURCE_TYPES
from calico.selector import BadSelector, Selector

telling = st.sampled_from(
    [
        *(
            "10.244.0.0/16",
            "10.0.0.1",
            "fd00::/64",
            "10.244.0.1/24",
            "all()",
            "a == 'b'",
            "Always",
            "Never",
            "Accept",
        ),
        *(
            "In",
            "Info",
            "2m0s",
            "",
            "node-1",
            "65000",
            "1.10",
            "10.0.0.1:179",
            "1:2",
            "true",
            "confirmed",
            "k8s",
        ),
        *(0, 1, 26, 122, 64512, True, False, None, -1, 1.5, 2**40),
    ]
)
strange = st.recursive(
    telling,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner)),
    max_leaves=4,
)


def names_of(cls):
    return [field.metadata["json"] for field in fields(cls) if "json" in field.metadata]


def documents(cls):
    keys = st.one_of(st.sampled_from(names_of(cls)), st.text(max_size=3))
    return st.one_of(strange, st.dictionaries(keys, strange, max_size=5))


@pytest.mark.parametrize("kind", sorted(RESOURCE_TYPES))
@settings(max_examples=20, deadline=None)
@given(st.data())
def test_any_json_is_a_resource_or_refused(kind, data):
    cls = RESOURCE_TYPES[kind]
    name = data.draw(st.sampled_from(["default", "node.node-1", "node--1-k8s-pod--1-eth0"]))
    metadata = data.draw(st.one_of(st.just({"name": name}), documents(Metadata)))
    obj = {"metadata": metadata, "spec": data.draw(documents(cls.SPEC)), "status": data.draw(strange)}
    try:
        resource = cls.from_object(obj)
    except InvalidResource as error:
        assert error.refusals and str(error).startswith("error with ")
        return
    assert cls.from_object(resource.to_object()) == resource


@given(st.text(st.sampled_from("ab'\"(){}!=&|, \tinhasllcotgbd")))
def test_any_text_is_a_selector_or_refused(text):
    try:
        selector = Selector.parse(text)
    except BadSelector as error:
        assert " at column " in str(error)
        return
    assert Selector.parse(str(selector)) == selector
