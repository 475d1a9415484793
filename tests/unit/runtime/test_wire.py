"""Frames arrive whole however the stream is cut, and what is no stream of frames is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.runtime.wire import FRAME_BYTES_MAX, Frames, concerns_nodes, holds_nul, node_event, pack

json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
messages = st.lists(st.dictionaries(st.text(), json, max_size=3), max_size=5)


@given(messages, st.integers(1, 40))
def test_messages_are_the_same_behind_any_cut_of_the_stream(sent, size):
    stream = b"".join(map(pack, sent))
    frames = Frames()
    got = [it for at in range(0, len(stream), size) for it in frames.feed(stream[at : at + size])]
    assert got == sent


def test_half_a_frame_is_no_message_yet():
    frames, data = Frames(), pack({"id": 1})
    assert [frames.feed(data[:3]), frames.feed(data[3:-1]), frames.feed(data[-1:])] == [[], [], [{"id": 1}]]


def test_a_frame_that_says_to_be_larger_than_allowed_is_refused_before_it_comes():
    with pytest.raises(ValueError, match="at most"):
        Frames().feed((FRAME_BYTES_MAX + 1).to_bytes(4, "big"))


def test_a_message_that_is_too_large_is_not_packed():
    with pytest.raises(ValueError, match="at most"):
        pack({"env": "x" * FRAME_BYTES_MAX})


@pytest.mark.parametrize("data", [b"\0\0\0\x02{]", b"\0\0\0\x01\xff", b"\0\0\0\x00"])
def test_what_is_no_json_is_refused(data):
    with pytest.raises(ValueError):
        Frames().feed(data)


@pytest.mark.parametrize(
    ("message", "is_held"),
    [
        ({"argv": ["sh", "a\0b"]}, True),
        ({"env": {"A\0": "b"}}, True),
        ({"spec": {"mounts": [{"target": "/\0"}]}}, True),
        ({"argv": ["sh", "a\\0b"], "pid": 0, "none": None}, False),
    ],
)
def test_a_nul_byte_is_found_wherever_it_is(message, is_held):
    assert holds_nul(message) is is_held


def test_only_events_of_nodes_and_of_everything_concern_nodes():
    assert [concerns_nodes(event) for event in ("", node_event("node-1"), "0a1b-uid")] == [True, True, False]
