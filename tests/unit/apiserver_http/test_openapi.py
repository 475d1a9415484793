"""OpenAPI documents: complete in themselves, and the same in JSON and protobuf."""

import re

import orjson
import pytest
from support.wire_reader import fields

from fabric.api.kinds import BUILT_IN, Kind, KindTable
from fabric.apiserver import openapi
from fabric.apiserver.openapi import V2_PROTOBUF, OpenApi

UNICORN = Kind("example.com", "v1", "Unicorn", "unicorns", True)


@pytest.mark.parametrize("document", [openapi.v2(BUILT_IN), openapi.v3(BUILT_IN)], ids=["v2", "v3"])
def test_every_reference_leads_somewhere_and_no_type_is_a_list(document):
    text = orjson.dumps(document).decode()
    names = set(document.get("definitions") or document["components"]["schemas"])
    assert {ref.rpartition("/")[2] for ref in re.findall(r'"\$ref":"([^"]+)"', text)} <= names
    assert '"type":[' not in text and "$defs" not in text


def test_patches_take_a_dry_run_and_a_field_validation():
    for paths in (openapi.v2(BUILT_IN)["paths"], openapi.v3(BUILT_IN)["paths"]):
        patch = paths["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
        assert {"dryRun", "fieldValidation"} <= {parameter["name"] for parameter in patch["parameters"]}
        assert patch["x-kubernetes-group-version-kind"] == {"group": "", "version": "v1", "kind": "Pod"}


def test_quantities_and_ports_have_the_types_that_upstream_gives_them():
    definitions = openapi.v2(BUILT_IN)["definitions"]
    quantity = definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"]
    either = definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]
    assert quantity["type"] == "string"
    assert (either["type"], either["format"]) == ("string", "int-or-string")


def test_a_kind_that_upstream_does_not_know_is_free_of_form():
    definitions = openapi.v2([UNICORN])["definitions"]
    assert definitions["com.example.v1.Unicorn"]["x-kubernetes-preserve-unknown-fields"] is True
    assert "com.example.v1.UnicornList" in definitions


def test_a_document_is_kept_until_the_kinds_change():
    kinds = KindTable()
    documents = OpenApi(kinds)
    first = documents.document("v2", "")
    assert documents.document("v2", "") is first
    kinds.add(UNICORN)
    assert documents.document("v2", "").etag != first.etag
    assert documents.document("v3/apis/example.com/v1", "") is not None
    assert documents.document("v3/apis/example.com/v2", "") is None
    assert documents.document("v4", "") is None


def test_the_protobuf_says_what_the_json_says():
    documents = OpenApi(KindTable())
    sent = documents.document("v2", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
    assert sent.content_type == V2_PROTOBUF
    document = fields(sent.body)
    assert document[1] == [b"2.0"]
    shown = openapi.v2(BUILT_IN)
    definitions = _map(document[9][0], 1)
    assert set(definitions) == set(shown["definitions"])
    assert set(_map(document[8][0], 2)) == set(shown["paths"])
    pod = fields(definitions["io.k8s.api.core.v1.Pod"])
    properties = _map(pod[25][0], 1)
    assert fields(properties["spec"])[1] == [b"#/definitions/io.k8s.api.core.v1.PodSpec"]
    extensions = _map_of(pod[31])
    assert fields(extensions["x-kubernetes-group-version-kind"])[2] == [
        b'[{"group":"","kind":"Pod","version":"v1"}]'
    ]


def _map(message, field):
    return _map_of(fields(message)[field])


def _map_of(entries):
    return {fields(entry)[1][0].decode(): fields(entry)[2][0] for entry in entries}
