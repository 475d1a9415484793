import struct

from hypothesis import given
from hypothesis import strategies as st

from fabric.kernel.netlink import (
    ACKS_MAX,
    BATCH_BYTES_MAX,
    Request,
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
