"""net-conf.json: defaults, limits, and messages that say what is allowed."""

from __future__ import annotations

import json

import pytest
from support.flannel_cluster import conf_of, config

from fabric.errors import BadInput
from flannel.backends import OPTIONS
from flannel.leases import compact
from flannel.net_conf import check, document, parse


def conf(**doc):
    return parse(json.dumps(doc).encode(), "net-conf.json", OPTIONS)


def problems(**doc):
    found, complaints = check(doc, OPTIONS)
    assert found is None
    return dict(complaints)


def test_the_first_subnet_is_left_out_and_the_last_is_not():
    (only,) = conf(Network="10.244.0.0/16").ranges
    assert (str(only.first), str(only.last), only.size) == ("10.244.1.0/24", "10.244.255.0/24", 255)


@pytest.mark.parametrize(
    ("network", "length"),
    [("10.0.0.0/8", 24), ("10.244.0.0/22", 24), ("10.244.0.0/23", 25), ("10.244.0.0/28", 30)],
)
def test_subnets_are_24_unless_the_network_is_smaller_than_22(network, length):
    assert conf(Network=network).ranges[0].subnet_len == length


@pytest.mark.parametrize(
    ("network", "length"), [("fd00::/48", 64), ("fd00::/62", 64), ("fd00::/63", 65), ("fd00::/124", 126)]
)
def test_ipv6_follows_the_same_rule_with_64(network, length):
    found = conf(EnableIPv4=False, EnableIPv6=True, IPv6Network=network)
    assert [(range_.family, range_.subnet_len) for range_ in found.ranges] == [(6, length)]


def test_keys_are_matched_without_regard_to_case():
    found = conf(
        network="10.244.0.0/16", SUBNETLEN=26, backend={"type": "vxlan", "vni": 7, "directrouting": True}
    )
    assert found.ranges[0].subnet_len == 26
    assert (found.options["VNI"], found.options["DirectRouting"]) == (7, True)


def test_the_default_backend_is_the_documented_one():
    found = conf(Network="10.244.0.0/16")
    assert found.backend == "vxlan"
    assert found.options == {
        "VNI": 1,
        "Port": 0,
        "GBP": False,
        "Learning": False,
        "DirectRouting": False,
        "MTU": 0,
    }


@pytest.mark.parametrize(
    ("doc", "path", "what"),
    [
        ({}, "Network", "None is not an IPv4 network such as 10.244.0.0/16"),
        ({"Network": "10.244.0.1/16"}, "Network", "'10.244.0.1/16' is not an IPv4 network"),
        ({"Network": "fd00::/48"}, "Network", "fd00::/48 is not an IPv4 network"),
        ({"Network": "10.244.0.0/29"}, "Network", "too small: a prefix of at most /28 is allowed"),
        ({"SubnetLen": 31}, "SubnetLen", "31 is not allowed: from 18 to 30 in 10.244.0.0/16"),
        ({"SubnetLen": 17}, "SubnetLen", "17 is not allowed: from 18 to 30"),
        ({"SubnetLen": "24"}, "SubnetLen", "'24' is not allowed"),
        ({"SubnetMin": "10.244.1.1"}, "SubnetMin", "'10.244.1.1' is not the first address of a /24"),
        ({"SubnetMax": "10.9.0.0"}, "SubnetMax", "10.9.0.0 is not inside 10.244.0.0/16"),
        ({"SubnetMin": "10.244.9.0", "SubnetMax": "10.244.5.0"}, "SubnetMax", "is below SubnetMin"),
        ({"Backend": "vxlan"}, "Backend", "'vxlan' is not an object with a Type"),
        ({"Backend": {"Type": "udp"}}, "Backend.Type", "'udp' is not supported (allowed: host-gw, vxlan)"),
        (
            {"Backend": {"Type": "vxlan", "VNI": 0}},
            "Backend.VNI",
            "0 is not a whole number from 1 to 16777215",
        ),
        ({"Backend": {"Type": "vxlan", "GBP": 1}}, "Backend.GBP", "1 is not true or false"),
        (
            {"Backend": {"Type": "vxlan", "Vni2": 1}},
            "Backend.Vni2",
            "unknown option 'Vni2' for backend vxlan",
        ),
        ({"Backend": {"Type": "host-gw", "VNI": 1}}, "Backend.VNI", "(allowed: SubnetLen, SubnetMin"),
        ({"EnableIPv4": False}, "EnableIPv4", "neither IPv4 nor IPv6 is enabled"),
    ],
)
def test_what_is_wrong_is_said_with_what_is_allowed(doc, path, what):
    base = {} if doc == {} else {"Network": "10.244.0.0/16"}
    assert what in problems(**(base | doc))[path]


def test_all_problems_come_at_once():
    found = problems(Network="10.244.0.0/16", SubnetLen=99, Backend={"Type": "vxlan", "VNI": -1, "Foo": 1})
    assert set(found) == {"SubnetLen", "Backend.VNI", "Backend.Foo"}


def test_a_topologys_section_becomes_flannels_own_text():
    section = config("vxlan", SubnetLen=26, subnetmin="10.244.2.0", vni=5)
    assert compact(document(section, OPTIONS)) == (
        '{"Network":"10.244.0.0/16","SubnetLen":26,"SubnetMin":"10.244.2.0","Backend":{"Type":"vxlan","VNI":5}}'
    )


def test_two_families_are_two_ranges():
    found = conf_of(config(cidrs="10.244.0.0/16 fd00:10:244::/48"))
    assert [str(range_.first) for range_ in found.ranges] == ["10.244.1.0/24", "fd00:10:244:1::/64"]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"7"])
def test_what_is_no_json_object_is_bad_input_that_names_the_key(data):
    with pytest.raises(BadInput, match=r"/coreos[.]com/network/config: "):
        parse(data, "/coreos.com/network/config", OPTIONS)
