"""Where a node looks for a block: once around, from its own place, past what is taken or reserved."""

from __future__ import annotations

import random
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calico_ipam import pool

from calico.ipam.candidates import NoPool, PoolRequest, pool_of, usable
from calico.ipam.gorand import GoRand
from calico.ipam.walk import NOTHING_RESERVED, Reserved, Walk, block_of, fnv32

POOL = pool(cidr="10.244.0.0/24", block_size=28).spec
BLOCKS = list(POOL.cidr.subnets(new_prefix=28))


def walk(host="node-1", spec=POOL):
    return Walk(spec, host, random.Random(1))


def test_the_hash_is_fnv_1_of_32_bits():
    assert fnv32(b"") == 0x811C9DC5
    assert fnv32(b"a") == 0x050C5D7E
    assert fnv32(b"foobar") == 0x31F0B262


def test_a_node_always_starts_at_its_own_place_and_nodes_at_different_ones():
    first = {host: walk(host).first_free([], NOTHING_RESERVED) for host in map("node-{}".format, range(40))}
    assert first == {host: walk(host).first_free([], NOTHING_RESERVED) for host in first}
    assert len(set(first.values())) > 8


@pytest.mark.parametrize(
    ("host", "block"),
    [
        ("k8s-master1", "159.128"),
        ("k8s-master2", "224.0"),
        ("k8s-master3", "135.192"),
        ("k8s-node1", "36.64"),
        ("k8s-node2", "169.128"),
        ("k8s-node3", "107.192"),
        ("bpf1", "11.64"),
        ("bpf3", "179.128"),
    ],
)
def test_a_nodes_first_block_is_the_one_that_it_has_in_real_clusters(host, block):
    for network in ("10.244", "192.168"):
        spec = pool(cidr=f"{network}.0.0/16", block_size=26).spec
        assert walk(host, spec).first_free([], NOTHING_RESERVED) == ip_network(f"{network}.{block}/26")


def test_gos_generator_draws_what_go_programs_draw():
    """The first numbers of the seed that every Go program had before 1.20, and the table that Go ships."""
    rand = GoRand(1)
    drawn = [rand.uint64() & (1 << 63) - 1 for _ in range(3)]
    assert drawn == [5577006791947779410, 8674665223082153551, 6129484611666145821]
    assert GoRand(0).uint64() == GoRand(89482311).uint64()
    assert GoRand(-1).uint64() == GoRand(2**31 - 2).uint64()
    assert GoRand(1).below(0) == 0
    assert {GoRand(seed).below(3 << 70) >> 70 for seed in range(40)} == {0, 1, 2}


def test_a_pool_of_single_addresses_is_entered_anywhere():
    spec = pool(block_size=32).spec
    rng = random.Random(1)
    assert len({Walk(spec, "node-1", rng).first_free([], NOTHING_RESERVED) for _ in range(20)}) > 10


@given(
    st.sets(st.sampled_from(BLOCKS)), st.sets(st.sampled_from([*BLOCKS, *POOL.cidr.subnets(new_prefix=29)]))
)
def test_the_first_free_block_is_the_first_on_the_way_that_is_neither_taken_nor_reserved(taken, withheld):
    reserved = Reserved.of(withheld)
    free = [b for b in walk().ordered(BLOCKS) if b not in taken and not all(map(reserved, b))]
    assert walk().first_free(taken, reserved) == (free[0] if free else None)


def test_the_walk_goes_once_around():
    order = walk().ordered(BLOCKS)
    assert sorted(order) == BLOCKS
    turn = order.index(BLOCKS[0])
    assert order == order[:turn] + BLOCKS[: len(BLOCKS) - turn]


def test_a_block_of_another_size_is_an_obstacle():
    wide = ip_network("10.244.0.0/25")
    assert walk().first_free([wide, ip_network("10.244.0.128/26")], NOTHING_RESERVED) in BLOCKS[12:]
    small = [ip_network((block.network_address + 4, 30)) for block in BLOCKS[:-1]]
    assert walk().first_free(small, NOTHING_RESERVED) == BLOCKS[-1]


def test_a_pool_with_more_blocks_than_could_be_counted_is_searched_at_once():
    spec = pool(cidr="fd00:10::/32", block_size=122).spec
    reserved = Reserved.of(ip_network("fd00:10::/32").subnets(new_prefix=34))
    found = walk(spec=spec).first_free([], NOTHING_RESERVED)
    assert found.subnet_of(spec.cidr) and found.prefixlen == 122
    assert walk(spec=spec).first_free([found], NOTHING_RESERVED) != found
    assert walk(spec=spec).first_free([], reserved) is None


def test_an_addresss_block_is_where_the_pool_cuts():
    assert block_of(POOL, BLOCKS[3][5]) == BLOCKS[3]


@pytest.mark.parametrize(
    ("spec", "wish", "why"),
    [
        ({"disabled": True}, PoolRequest(), "is disabled"),
        ({"allowed_uses": ("Tunnel",)}, PoolRequest(), "allowedUses has no Workload"),
        (
            {"node_selector": "rack == '2'"},
            PoolRequest(),
            "nodeSelector rack == '2' does not select the node",
        ),
        (
            {"namespace_selector": "team == 'b'"},
            PoolRequest(namespace_labels={"team": "a"}),
            "does not select the namespace",
        ),
        ({"assignment_mode": "Manual"}, PoolRequest(), "assignmentMode is Manual"),
        ({}, PoolRequest(family=6), "is IPv4"),
        ({"namespace_selector": "team == 'b'"}, PoolRequest(use="Tunnel"), "does not select the namespace"),
        (
            {},
            PoolRequest(pools=(POOL.cidr, ip_network("10.245.0.0/16"))),
            r"the given pool \(10.245.0.0/16\) does not exist, or is not enabled; enabled: pool-1 \(",
        ),
        ({"disabled": True}, PoolRequest(pools=(POOL.cidr,)), "or is not enabled; enabled: none"),
        ({"allowed_uses": ("Tunnel",)}, PoolRequest(pools=(POOL.cidr,)), "allowedUses has no Workload"),
        ({"allowed_uses": ("LoadBalancer",)}, PoolRequest(), "allowedUses has no Workload"),
    ],
)
def test_a_pool_that_does_not_fit_says_why(spec, wish, why):
    with pytest.raises(NoPool, match=why):
        usable([pool(**spec)], wish, {"rack": "1"})


@pytest.mark.parametrize(
    ("spec", "wish"),
    [
        ({"node_selector": "rack == '1'"}, PoolRequest()),
        ({"namespace_selector": "team == 'b'"}, PoolRequest(namespace_labels={"team": "b"})),
        ({"namespace_selector": "team == 'b'"}, PoolRequest(use="Tunnel", pools=(POOL.cidr,))),
        ({"node_selector": "rack == '2'", "assignment_mode": "Manual"}, PoolRequest(pools=(POOL.cidr,))),
    ],
)
def test_a_pool_that_fits_is_taken(spec, wish):
    assert len(usable([pool(**spec)], wish, {"rack": "1"})) == 1


def test_pools_are_searched_in_the_order_asked_and_otherwise_in_that_of_their_names():
    pools = [pool(f"pool-{n}", f"10.244.{n}.0/24") for n in (1, 2, 3)]
    cidrs = [one.spec.cidr for one in pools]
    asked = usable(pools, PoolRequest(pools=(cidrs[2], cidrs[0])), {})
    assert [spec.cidr for spec in asked] == [cidrs[2], cidrs[0]]
    assert [spec.cidr for spec in usable(pools, PoolRequest(), {})] == cidrs


def test_an_address_belongs_to_the_enabled_pool_around_it():
    assert pool_of([pool(disabled=True)], POOL.cidr[1]) is None
    assert pool_of([pool()], POOL.cidr[1]) == POOL
