"""Documents that no JSON carries, or no store takes, are refused; what somebody wrote so is passed over."""

from __future__ import annotations

import json

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.calicoctl import CONFIG, Ctl
from support.registry import new_registry

from calico import served
from calico.resources import storable
from calico.resources.envelope import API_VERSION
from fabric.apiserver.local import LocalClient
from fabric.store.memory import MemoryStore
from fabric.store.port import Put

KINDS = {kind.kind: kind for kind in served.kinds(CONFIG)}


def pool(cidr: str = "10.244.0.0/24") -> dict:
    return {
        "apiVersion": API_VERSION,
        "kind": "IPPool",
        "metadata": {"name": "pool-1"},
        "spec": {"cidr": cidr},
    }


@pytest.mark.parametrize(
    ("spec", "meta", "path", "rule"),
    [
        ("{healthPort: %s}" % 10**30, "{}", "spec.healthPort", "must be an integer of 64 bits"),
        ("{}", r'{annotations: {a: "\ud800"}}', "metadata.annotations.a", "must be text in Unicode"),
        ("{}", r'{annotations: {"\ud800": a}}', "metadata.annotations", "must have keys of text in Unicode"),
        (r'{logFilePath: "\ud800"}', "{}", "spec.logFilePath", "must be text in Unicode"),
    ],
)
async def test_what_would_spoil_every_answer_is_refused_before_it_is_stored(spec, meta, path, rule):
    """Not even its own reader could read it again, and the API server would answer all clients with 500."""
    ctl = await Ctl().began()
    text = f"apiVersion: {API_VERSION}\nkind: FelixConfiguration\nspec: {spec}\nmetadata: "
    text += meta.replace("{", "{name: default, ", 1).replace(", }", "}")
    said = await ctl.refuses("create", "-f", "-", stdin=text)
    assert f"FelixConfiguration.{path} = " in said and rule in said
    assert (await ctl.does("get", "felixconfigurations")).split() == ["NAME"]


async def test_a_patch_that_json_has_no_word_for_is_refused():
    ctl = await Ctl().began()
    await ctl.does("create", "-f", "-", stdin=yaml.safe_dump(pool()))
    for patch in (r'{"metadata":{"annotations":{"a":"\ud800"}}}', '{"spec":{"blockSize":NaN}}'):
        assert "IPPool." in await ctl.refuses("patch", "ippool", "pool-1", "-p", patch)
    assert await ctl.refuses("get", "ippool", "\udcff") == (
        "resource does not exist: IPPool(\udcff) with error: <nil>"
    )


async def test_a_key_that_somebody_spoilt_so_is_passed_over():
    store = MemoryStore()
    ctl = await Ctl(store).began()
    metadata = rb'{"name":"bad","annotations":{"a":"\ud800"}}'
    bad = b'{"kind":"IPPool","metadata":%s,"spec":{"cidr":"10.244.0.0/24"}}' % metadata
    await store.txn([], [Put("/calico/resources/v3/projectcalico.org/ippools/bad", bad)])
    await ctl.does("create", "-f", "-", stdin=yaml.safe_dump(pool()))
    assert "bad" not in await ctl.does("get", "ippools")
    async with new_registry(store, *KINDS.values()) as registry:
        found = await LocalClient(registry).list(KINDS["IPPool"])
        assert [it["metadata"]["name"] for it in found.items] == ["pool-1"]


def nested(depth: int) -> dict:
    value: dict = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": nested(300)}, "is nested more than 100 deep"),
        ({"status": {"a": "x" * 2_000_000}}, "the resource may not be more than 1572864 bytes"),
        (
            {"metadata": {"name": "pool-1", "annotations": {"a": "x" * 300_000}}},
            "IPPool.metadata.annotations = '300001' (may not be more than 262144 bytes)",
        ),
    ],
)
async def test_what_is_too_deep_or_too_large_is_refused(change, said):
    ctl = await Ctl().began()
    assert said in await ctl.refuses("create", "-f", "-", stdin=json.dumps(pool() | change))
    await ctl.does("create", "-f", "-", stdin=json.dumps(pool() | {"status": nested(50)}))


leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(codec=None), max_size=5)
)
documents = st.dictionaries(
    st.text(st.characters(codec=None), max_size=3),
    st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=2), inner)),
    max_size=4,
)


@given(documents)
def test_what_is_not_refused_is_written_and_read_again_as_it_was(document):
    if not list(storable.refusals(document)):
        assert orjson.loads(json.dumps(document)) == document
        assert orjson.loads(orjson.dumps(document)) == document
