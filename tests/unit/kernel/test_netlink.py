import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.kernel.netlink import (
    ACKS_MAX,
    BATCH_BYTES_MAX,
    Request,
    Socket,
    attribute,
    attributes,
    batches,
    text,
    u32,
)


@given(st.dictionaries(st.integers(1, 60), st.binary(max_size=40), max_size=8), st.integers(0, 3))
def test_attributes_come_back_as_they_were_packed(wanted, words):
    head = b"\0\0\0\0" * words
    packed = head + b"".join(attribute(kind, value) for kind, value in wanted.items())
    assert attributes(packed, len(head)) == wanted
    assert len(packed) % 4 == 0


def test_only_wanted_attributes_are_taken():
    packed = u32(1, 7) + text(2, "eth0")
    assert attributes(packed, 0, frozenset({2})) == {2: b"eth0\0"}


@given(st.binary(max_size=64))
def test_garbage_is_read_to_its_end(data):
    attributes(data)


def test_the_nested_flag_is_no_part_of_a_kind():
    assert attributes(struct.pack("=HHI", 8, 0x8003, 9)) == {3: struct.pack("=I", 9)}


@given(st.lists(st.integers(0, 20_000), max_size=300))
def test_batches_keep_the_order_and_stay_within_their_limits(sizes):
    requests = [Request(16, 0, bytes(size)) for size in sizes]
    found = list(batches(requests))
    assert [request for batch in found for request in batch] == requests
    for batch in found:
        assert 0 < len(batch) <= ACKS_MAX
        assert len(batch) == 1 or sum(20 + len(request.body) for request in batch) <= BATCH_BYTES_MAX


class LateAnswers(Socket):
    """A socket whose kernel first acknowledges requests of long ago."""

    def _receive(self):
        if not self.told:
            self.told = True
            late = struct.pack("=i16x", -1)
            yield from ((2, 0, sequence, late) for sequence in (900, 901, 902))
        yield from super()._receive()


@pytest.fixture
def late():
    opened = LateAnswers()
    opened.told = False
    yield opened
    opened.close()


def test_an_answer_to_another_request_is_none_to_this_one(late):
    missing = Request(18, 0, struct.pack("=BxHiII", 0, 0, 0x7FFFFFFF, 0, 0))
    (answer,) = late.ask([missing])
    assert answer.strerror == os.strerror(19)
    late.told = False
    (error,) = late.change([missing])
    assert error.strerror == os.strerror(19)


def test_sequence_numbers_begin_anew_before_they_overflow(late):
    late._sequence = 2**32 - 2
    missing = Request(18, 0, struct.pack("=BxHiII", 0, 0, 0x7FFFFFFF, 0, 0))
    assert len(late.ask([missing] * 5)) == 5
