"""Who has which address, in both families, and who keeps it."""

from ipaddress import ip_address, ip_interface, ip_network

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.wirings import IPV6, TWO_SITES, addressed, nodes

from fabric.topology.addressing import Numbers

LEAF_SPINE = {"kind": "leaf-spine", "nodesPerRack": 2}


def test_a_rack_has_a_subnet_and_node_7_ends_in_17():
    _, given_ = addressed(LEAF_SPINE, nodes(8))
    assert given_.subnets["leaf-4"] == ip_network("192.168.4.0/24")
    assert given_.hosts["node-7"] == ip_interface("192.168.4.17/24")
    assert given_.gateways["node-7"] == ip_address("192.168.4.1")
    assert given_.hosts["control-plane"] == ip_interface("192.168.1.2/24")


def test_the_ends_of_a_link_between_routers_have_a_31():
    _, given_ = addressed(LEAF_SPINE, nodes(4))
    assert given_.ports["leaf-2", "spine-1"] == ip_interface("172.16.0.4/31")
    assert given_.ports["spine-1", "leaf-2"] == ip_interface("172.16.0.5/31")
    assert given_.router_ids["spine-1"] == ip_address("172.17.0.3")


def test_in_ipv6_the_same_with_longer_addresses_and_router_ids_of_32_bits():
    _, given_ = addressed(LEAF_SPINE | IPV6, nodes(8))
    assert given_.hosts["node-7"] == ip_interface("fd00:0:0:4::11/64")
    assert given_.ports["spine-1", "leaf-2"] == ip_interface("fd01::5/127")
    assert given_.loopbacks["leaf-1"] == ip_interface("fd02::1/128")
    assert given_.router_ids["leaf-1"] == ip_address("10.0.0.1")


def test_routers_on_one_segment_of_switches_share_its_subnet():
    options = {
        "kind": "graph",
        "routers": [{"name": "r1"}, {"name": "r2"}],
        "switches": [{"name": "s1"}],
        "controlPlane": "s1",
        "links": [{"between": [it, "s1"]} for it in ("r1", "r2", "node-1")],
    }
    _, given_ = addressed(options, nodes(1))
    assert given_.ports == {
        ("r1", "s1"): ip_interface("192.168.1.1/24"),
        ("r2", "s1"): ip_interface("192.168.1.3/24"),
    }
    assert given_.gateways["node-1"] == ip_address("192.168.1.1")


@pytest.mark.parametrize("options", [LEAF_SPINE, LEAF_SPINE | IPV6, TWO_SITES], ids=["rack", "ipv6", "graph"])
def test_no_address_is_given_twice(options):
    _, given_ = addressed(options, nodes(2))
    everything = [*given_.hosts.values(), *given_.ports.values(), *given_.loopbacks.values()]
    assert len({it.ip for it in everything}) == len(everything)


@settings(max_examples=30)
@given(st.lists(st.sets(st.integers(1, 30), min_size=1), min_size=2, max_size=4))
def test_who_stays_keeps_its_address_while_nodes_and_racks_come_and_go(steps):
    before = None
    for numbers in steps:
        entries = [entry for entry in nodes(30) if int(entry.name[5:]) in numbers]
        _, after = addressed(LEAF_SPINE, entries, before)
        if before is not None:
            kept = (("hosts", before.hosts), ("ports", before.ports), ("loopbacks", before.loopbacks))
            for kind, old in kept:
                new = getattr(after, kind)
                moved = {key for key in new if key in old and new[key] != old[key]} - {"control-plane"}
                assert not moved
        addresses = [*after.hosts.values(), *after.ports.values(), *after.loopbacks.values()]
        assert len({it.ip for it in addresses}) == len(addresses)
        before = after


def test_numbers_can_be_written_down_and_read_again():
    _, given_ = addressed(LEAF_SPINE, nodes(4))
    assert msgspec.json.decode(msgspec.json.encode(given_.numbers), type=Numbers) == given_.numbers
