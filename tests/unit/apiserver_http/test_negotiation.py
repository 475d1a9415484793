"""Accept headers, and bodies in the formats that clients send."""

import time

import pytest

from fabric.apiserver import duplicates, negotiation
from fabric.apiserver.negotiation import PLAIN, MediaType, choose, decode, decode_object, encode
from fabric.apiserver.options import WriteOptions
from fabric.errors import BadRequest, NotAcceptable, UnsupportedMediaType

KUBECTL_GET = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,"
    "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)

LAUGHS = b"a0: &a0 [1, 1]\n" + b"".join(
    b"a%d: &a%d [*a%d, *a%d, *a%d]\n" % (i, i, i - 1, i - 1, i - 1) for i in range(1, 30)
)

MERGES = b"a0: &a0 {x: 1}\n" + b"".join(
    b"a%d: &a%d {<<: [*a%d, *a%d, *a%d]}\n" % (i, i, i - 1, i - 1, i - 1) for i in range(1, 30)
)


def test_the_first_entry_on_offer_wins():
    chosen = choose(KUBECTL_GET)
    assert (chosen.as_, chosen.group_version) == ("Table", "meta.k8s.io/v1")
    assert choose(KUBECTL_GET.split(",", 1)[1]).group_version == "meta.k8s.io/v1beta1"


def test_protobuf_is_passed_over_for_json():
    assert choose("application/vnd.kubernetes.protobuf, */*") == PLAIN
    assert choose("application/vnd.kubernetes.protobuf,application/json") == PLAIN


def test_nothing_asked_for_means_json():
    assert choose("") == choose("*/*") == choose("application/*") == PLAIN


def test_nothing_on_offer_is_not_acceptable():
    with pytest.raises(NotAcceptable, match=r"application/json, application/yaml"):
        choose("image/png")


def test_a_media_type_is_written_with_its_shape():
    assert MediaType("application/json", "Table", "meta.k8s.io", "v1").header() == (
        "application/json;g=meta.k8s.io;v=v1;as=Table"
    )


def test_yaml_keeps_dates_and_binary_as_text():
    body = b"when: 2026-01-01\ndata: !!binary aGk=\nyes: true\n"
    assert decode(body, "application/yaml") == {"when": "2026-01-01", "data": "aGk=", "true": True}


def test_what_is_encoded_can_be_decoded_again():
    obj = {"metadata": {"name": "ümlaut", "labels": {"on": "yes", "n": "1"}}, "items": [1, 2.5, None, True]}
    for media in (PLAIN, MediaType(negotiation.YAML)):
        assert decode(encode(obj, media), media.name) == obj
    assert decode(encode(obj, pretty=True), "") == obj


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{", "application/json"),
        (b"\xff", "application/json"),
        (b"a: [", "application/yaml"),
        (b"? {a: b}\n: c", "application/yaml"),
        (b"!!int x", "application/yaml"),
        (b"!!bool x", "application/yaml"),
        (b"a: !!set {b}", "application/yaml"),
        (b"a: &a [*a]", "application/yaml"),
        (b"a: 99999999999999999999999", "application/yaml"),
        (b"a: " + b":".join([b"59"] * 100), "application/yaml"),
        (MERGES, "application/yaml"),
        (b"- " * 100_000, "application/yaml"),
        (b"[" * 100_000, "application/yaml"),
        (b"[" * 100_000, "application/json"),
        (LAUGHS, "application/yaml"),
        (b"[]", "application/json"),
        (b"", "application/json"),
    ],
)
def test_bodies_that_are_no_object_are_bad_requests(body, content_type):
    with pytest.raises(BadRequest):
        decode_object(body, content_type)


def nested(depth, opening, closing):
    return b'{"data":' + opening * depth + b"1" + closing * depth + b"}"


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("content_type", ["application/json", "application/yaml"])
def test_a_body_may_be_nested_a_hundred_deep_and_no_deeper(opening, closing, content_type):
    assert decode_object(nested(99, opening, closing), content_type)["data"]
    for depth in (100, 256, 1000):
        with pytest.raises(BadRequest, match=r"the body is nested more than 100 deep|maximum nesting depth"):
            decode_object(nested(depth, opening, closing), content_type)


def test_other_formats_are_unsupported():
    with pytest.raises(UnsupportedMediaType):
        decode(b"", "application/cbor")


def test_an_accept_of_a_mebibyte_is_not_read():
    with pytest.raises(NotAcceptable, match="at most 8192 are read"):
        negotiation.choose("application/json," * 100_000)


def test_many_duplicates_take_no_longer_than_as_many_keys():
    pairs = ",".join(f'"k{n}":1,"k{n}":2' for n in range(20_000))
    told: list[str] = []
    options = WriteOptions(field_validation="Warn", warn=told.append)
    began = time.process_time()
    duplicates.tell(f'{{"data":{{{pairs}}}}}'.encode(), "", options)
    assert time.process_time() - began < 2.0
    assert told == [f'duplicate field "data.k{n}"' for n in range(10)]
