"""A block: the queue of free addresses, attributes that are shared, and Calico's JSON to the letter."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calico_ipam import NOON, assert_whole, owner

from calico.ipam import affinities
from calico.ipam.blocks import Block, Owner
from calico.ipam.configuration import Configuration
from calico.ipam.handles import Handle
from calico.ipam.keys import AffinityName, affinity, block, handle, parse_affinity, parse_block
from calico.ipam.walk import NOTHING_RESERVED, Reserved

CIDR = ip_network("10.244.1.0/29")
NEW = Block.claimed(CIDR, "node-1", NOON)

GOLDEN = (
    '{"cidr":"10.244.1.0/29","affinity":"host:node-1","affinityClaimTime":"2026-01-01T12:00:00Z",'
    '"allocations":[null,0,0,null,1,null,null,null],"unallocated":[3,5,6,7,0],'
    '"attributes":[{"handle_id":"k8s-pod-network.pod-2","secondary":'
    '{"namespace":"default","node":"node-1","pod":"pod-2"}},'
    '{"handle_id":"ipip-tunnel-addr-node-1","secondary":{"node":"node-1","type":"ipipTunnelAddress"}}],'
    '"sequenceNumber":1767268800000000002,'
    '"sequenceNumberForAllocation":{"1":1767268800000000000,"2":1767268800000000000,"4":1767268800000000001},'
    '"deleted":false}'
)


def test_a_blocks_json_is_calicos():
    tunnel = Owner("ipip-tunnel-addr-node-1", {"type": "ipipTunnelAddress", "node": "node-1"})
    used = NEW.taken([0], owner("pod-1")).taken([1, 2], owner("pod-2")).written()
    used = used.taken([4], tunnel).released([0]).written()
    assert used.to_json().decode() == GOLDEN
    assert Block.from_json(used.to_json()) == used


def test_a_block_of_an_older_calico_is_read():
    doc = json.loads(GOLDEN)
    for key in ("affinity", "affinityClaimTime", "sequenceNumber", "sequenceNumberForAllocation", "deleted"):
        doc.pop(key)
    old = Block.from_json(json.dumps(doc | {"hostAffinity": "node-1"}).encode())
    assert old.host == "node-1" and old.sequence_numbers == {}
    empty = NEW.to_json().replace(b'"attributes":[]', b'"attributes":null')
    assert Block.from_json(empty) == NEW


@pytest.mark.parametrize(
    "value",
    [
        b"x",
        b"[]",
        b"{}",
        b'{"cidr":"10.244.1.0/29","allocations":[],"unallocated":[],"attributes":[]}',
        GOLDEN.replace("[null,0,0", "[null,0,9").encode(),
    ],
)
def test_what_is_no_block_is_refused(value):
    with pytest.raises(ValueError):
        Block.from_json(value)


def test_an_address_is_used_again_last():
    block_ = NEW.taken([0, 1], owner()).released([0])
    assert list(block_.free(NOTHING_RESERVED)) == [2, 3, 4, 5, 6, 7, 0]


def test_the_same_owner_shares_its_attributes_and_idle_owners_go():
    one, two = owner("pod-1"), owner("pod-2")
    block_ = NEW.taken([0], one).taken([1], two).taken([2], one)
    assert block_.owners == (one, two)
    left = block_.released([0, 2])
    assert left.owners == (two,) and left.owner(1) == two
    assert left.ordinals_of(two.handle) == (1,)


def test_reserved_addresses_are_passed_over_and_keep_their_place():
    reserved = Reserved.of([ip_network("10.244.1.0/31"), ip_network("10.244.1.2/31")])
    assert list(NEW.free(reserved)) == [4, 5, 6, 7]
    assert reserved.networks == (ip_network("10.244.1.0/30"),)
    assert reserved(ip_address("10.244.1.3")) and not reserved(ip_address("10.244.1.4"))


def test_the_age_of_a_claim_counts_from_its_time():
    assert NEW.claim_age_seconds(NOON + timedelta(seconds=61)) == 61
    assert NEW.disowned().claim_age_seconds(datetime.now(UTC)) == float("inf")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 7), st.integers(1, 3)), max_size=40))
def test_a_block_stays_whole_whatever_is_given_and_taken(steps):
    block_ = NEW
    for give, ordinal, who in steps:
        free = ordinal in block_.unallocated
        if give and free:
            block_ = block_.taken([ordinal], owner(f"pod-{who}")).written()
        elif not give and not free:
            block_ = block_.released([ordinal]).written()
        assert_whole(block_)
        assert Block.from_json(block_.to_json()) == block_


def test_the_keys_are_calicos():
    assert block(CIDR) == "/calico/ipam/v2/assignment/ipv4/block/10.244.1.0-29"
    six = ip_network("fd00:10:244::40/122")
    assert block(six) == "/calico/ipam/v2/assignment/ipv6/block/fd00:10:244::40-122"
    assert affinity("node-1", CIDR) == "/calico/ipam/v2/host/node-1/ipv4/block/10.244.1.0-29"
    assert handle("k8s-pod-network.uid") == "/calico/ipam/v2/handle/k8s-pod-network.uid"
    assert parse_block(block(six)) == six and parse_block(block(CIDR) + "/x") is None
    assert parse_affinity(affinity("node-1", six)) == AffinityName("node-1", six)
    assert parse_affinity("/calico/ipam/v2/host/node-1/ipv4/block/none") is None


def test_affinity_handle_and_configuration_are_calicos_json():
    assert affinities.to_json("confirmed") == b'{"state":"confirmed","deleted":false}'
    counts = Handle({CIDR: 2})
    assert counts.to_json() == b'{"block":{"10.244.1.0/29":2},"deleted":false}'
    assert Handle.from_json(counts.to_json()) == counts
    assert Configuration().to_json() == b'{"strict_affinity":false,"auto_allocate_blocks":true}'
    assert Configuration.from_json(b"{}") == Configuration(auto_allocate_blocks=False)
    strict = Configuration(strict_affinity=True, max_blocks_per_host=4)
    assert Configuration.from_json(strict.to_json()) == Configuration.of(strict.resource()) == strict
