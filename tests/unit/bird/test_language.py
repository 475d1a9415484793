from ipaddress import IPv4Address, ip_address, ip_network

import pytest

from fabric.bird.bgp import Bgp, BgpChannel, BgpOptions
from fabric.bird.config import Config, Direct, Log, Static, StaticRoute
from fabric.bird.language import Filter, Unwritable, block, name, onlink_through, statements, string


def test_a_block_of_nothing_is_one_line():
    assert block("ipv4", (), "};") == "ipv4 { };"
    assert str(BgpChannel(import_=None, export=None)) == "ipv4 { };"


def test_blocks_within_blocks_are_indented():
    assert block("a", (block("b", ("c;",), "};"),)) == "a {\n    b {\n        c;\n    };\n}"


def test_the_three_attributes_of_an_onlink_route_have_one_order():
    assert onlink_through("tunl0").splitlines() == [
        'ifname = "tunl0";',
        "onlink = true;",
        "gw = bgp_next_hop;",
    ]


def test_a_filter_without_a_name_stands_where_a_name_would():
    assert str(BgpChannel(export=statements("reject;"))) == (
        "ipv4 {\n    import all;\n    export filter {\n        reject;\n    };\n};"
    )


@pytest.mark.parametrize("text", ["", "a b", "it's", "x" * 65, "ä"])
def test_what_is_no_name_is_refused(text: str):
    with pytest.raises(Unwritable, match=r"cannot be a name in bird\.conf"):
        name(text)
    with pytest.raises(Unwritable):
        str(Filter(text, "accept;"))


def test_a_name_with_more_than_letters_and_digits_stands_in_quotes():
    assert str(Filter("bgp_my-filter.v4", "accept;")) == "filter 'bgp_my-filter.v4' {\n    accept;\n}"
    assert name("Mesh_192_168_0_12") == "Mesh_192_168_0_12"


@pytest.mark.parametrize("text", ['say "hello"', "two\nlines", "x" * 256, "nul\0"])
def test_what_is_no_string_is_refused_without_being_shown(text: str):
    with pytest.raises(Unwritable, match=r"a BGP password in bird\.conf has no double quote") as refusal:
        string(text, "BGP password")
    assert text not in str(refusal.value)


def test_a_password_longer_than_linux_takes_is_refused():
    peer = Bgp("Mesh_1", ip_address("192.168.0.2"), 64512, options=BgpOptions(password="x" * 81))
    with pytest.raises(Unwritable, match="at most 80 bytes"):
        str(peer)


def test_equal_configurations_print_the_same_text():
    one, same = (Config(IPv4Address("192.168.0.1"), logs=(Log(),)) for _ in range(2))
    assert one == same and str(one) == str(same)
    assert hash(one) == hash(same)


def test_what_is_left_to_bird_is_not_written():
    assert str(Bgp("Mesh_1", ip_address("192.168.0.2"), 64512, channels=(BgpChannel(),))) == (
        "protocol bgp Mesh_1 {\n"
        "    neighbor 192.168.0.2 as 64512;\n"
        "    ipv4 {\n"
        "        import all;\n"
        "        export none;\n"
        "    };\n"
        "}"
    )


def test_interfaces_are_left_out_by_a_minus_before_the_quotes():
    assert 'interface -"cali*", "*";' in str(Direct(interfaces=("-cali*", "*")))


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("blackhole", "blackhole"),
        ("prohibit", "prohibit"),
        ("eth0", 'via "eth0"'),
        (ip_address("192.168.0.1"), "via 192.168.0.1"),
    ],
)
def test_a_static_route_goes_to_a_gateway_a_device_or_nowhere(to: object, words: str):
    route = StaticRoute(ip_network("10.96.0.0/16"), to)
    assert str(route) == f"route 10.96.0.0/16 {words};"
    assert str(route) in str(Static(routes=(route,)))
