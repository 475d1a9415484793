"""The wire format, against a reader that knows nothing of the writer."""

import struct

from hypothesis import given
from hypothesis import strategies as st
from support.wire_reader import fields

from fabric.apiserver import protobuf


@given(st.integers(1, 1000), st.integers(1, 2**63 - 1))
def test_numbers_come_back(field, number):
    assert fields(protobuf.integer(field, number)) == {field: [number]}


@given(st.lists(st.text()))
def test_repeated_texts_come_back_with_the_empty_ones(values):
    found = fields(protobuf.texts(3, values))
    assert found.get(3, []) == [value.encode() for value in values]


def test_defaults_are_left_out_and_presence_is_kept():
    left_out = (protobuf.text(1, ""), protobuf.flag(1, False), protobuf.integer(1, 0), protobuf.double(1, 0))
    assert left_out == (b"", b"", b"", b"")
    assert fields(protobuf.message(2, b"")) == {2: [b""]}


def test_the_known_bytes_of_the_specification():
    assert protobuf.integer(1, 150) == b"\x08\x96\x01"
    assert protobuf.text(2, "testing") == b"\x12\x07testing"
    assert protobuf.flag(16, True) == b"\x80\x01\x01"
    assert protobuf.integer(1, -1) == b"\x08" + b"\xff" * 9 + b"\x01"
    assert protobuf.double(1, 1.5) == b"\x09" + struct.pack("<d", 1.5)
