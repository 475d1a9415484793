"""The wire of the store: requests and answers arrive as they were sent; nothing else is taken for one."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.errors import Compacted, FabricError, OutOfResources, StoreUnavailable
from fabric.frames import BadFrame
from fabric.store import wire
from fabric.store.port import LeaseNotFound

HEAD_BYTES = 4
ids, revisions = st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
compares = st.lists(st.tuples(texts, revisions, st.booleans()), max_size=3).map(tuple)
ops = st.lists(st.tuples(texts, st.none() | st.binary(max_size=20), ids), max_size=3).map(tuple)
requests = st.one_of(
    st.builds(wire.Get, ids, texts),
    st.builds(wire.Range, ids, texts, texts, ids, revisions),
    st.builds(wire.Txn, ids, compares, ops),
    st.builds(wire.Watch, ids, texts, revisions),
    st.builds(wire.Grant, ids, ids),
    *(st.builds(kind, ids, ids) for kind in (wire.KeepAlive, wire.Revoke, wire.TimeToLive, wire.Compact)),
    *(st.builds(kind, ids) for kind in (wire.Cancel, wire.Revision)),
)


@given(requests)
def test_a_request_arrives_as_it_was_sent(request):
    assert wire.request_of(wire.frame(request)[HEAD_BYTES:]) == request


@given(ids, st.none() | texts | st.integers(-(2**63), 2**63 - 1) | st.binary(), st.booleans())
def test_an_answer_arrives_as_it_was_sent(id_, body, last):
    found = wire.reply_of(wire.frame(wire.answer(id_, body, last=last))[HEAD_BYTES:])
    assert (found.id, found.last) == (id_, last)
    assert msgspec.msgpack.decode(found.body) == body


@pytest.mark.parametrize(
    "kind", [Compacted, FabricError, LeaseNotFound, OutOfResources, StoreUnavailable, ValueError]
)
def test_an_error_is_of_the_same_kind_on_both_sides(kind):
    found = wire.error_of(wire.reply_of(wire.frame(wire.failure(3, kind("why")))[HEAD_BYTES:]))
    assert (type(found), str(found)) == (kind, "why")


def test_an_error_that_this_side_does_not_know_is_the_worlds_refusal():
    found = wire.error_of(wire.Failure(3, "MadeUp", "why"))
    assert (type(found), str(found)) == (FabricError, "why")


@given(st.binary(max_size=60) | st.lists(st.integers(-5, 5) | texts, max_size=6).map(msgspec.msgpack.encode))
def test_whatever_comes_is_a_message_or_is_refused_as_none(body):
    for read in (wire.request_of, wire.reply_of):
        try:
            assert isinstance(read(body).id, int)
        except BadFrame as refused:
            assert str(refused).startswith(("no request: ", "no answer: "))


@pytest.mark.parametrize("read", [wire.request_of, wire.reply_of])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x91" * 100_000 + b"\x01",
        b"\x93\xa7Failure\x01\xa2\xff\xfe",
        msgspec.msgpack.encode(["Failure", 1, b"\xff", "x"]),
        b"\x94\xa7Failure\x01\xa2\xff\xfe\xa1x",
        b"\x93\xa3Get\x01\xa2\xff\xfe",
    ],
    ids=["empty", "no msgpack", "deep", "short", "bytes", "no text in an answer", "no text in a request"],
)
def test_what_no_side_sends_is_a_bad_frame_and_no_bug(read, body):
    with pytest.raises(BadFrame):
        read(body)
