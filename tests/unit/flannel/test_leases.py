"""The layout of the store, to the letter."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from support.flannel_cluster import host_gw_lease, vxlan_lease

from flannel.leases import SUBNETS, Lease, parse_lease, parse_subnet_key, subnet_key


def test_a_vxlan_lease_reads_as_flannels():
    lease = vxlan_lease(1)
    assert lease.key == "/coreos.com/network/subnets/10.244.1.0-24"
    assert lease.value == (
        b'{"PublicIP":"192.168.0.11","PublicIPv6":null,"BackendType":"vxlan",'
        b'"BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:01"}}'
    )


def test_a_host_gw_lease_has_no_backend_data():
    assert host_gw_lease(1).value == b'{"PublicIP":"192.168.0.11","PublicIPv6":null,"BackendType":"host-gw"}'


DUAL = Lease(
    (ip_network("10.244.1.0/24"), ip_network("fd00:10:244:1::/64")),
    (ip_address("192.168.0.11"), ip_address("fd00::11")),
    "vxlan",
    ('{"VNI":1,"VtepMAC":"02:00:00:00:00:01"}', '{"VNI":1,"VtepMAC":"02:00:00:00:00:02"}'),
)


def test_two_families_share_one_key_and_one_value():
    assert DUAL.key == "/coreos.com/network/subnets/10.244.1.0-24&fd00:10:244:1::-64"
    assert b'"PublicIPv6":"fd00::11"' in DUAL.value and b'"BackendV6Data":{"VNI":1' in DUAL.value
    assert DUAL.backend_data(6)["VtepMAC"] == "02:00:00:00:00:02"


def test_ipv6_alone_keeps_an_empty_ipv4_part():
    assert subnet_key(DUAL.subnets[1:]) == "0.0.0.0-0&fd00:10:244:1::-64"


@pytest.mark.parametrize("lease", [vxlan_lease(1), host_gw_lease(2), DUAL], ids=["vxlan", "host-gw", "dual"])
def test_what_is_written_is_read_back(lease):
    assert parse_lease(lease.key, lease.value) == lease


def test_null_backend_data_is_no_data():
    value = b'{"PublicIP":"192.168.0.11","PublicIPv6":null,"BackendType":"host-gw","BackendData":null}'
    assert parse_lease(host_gw_lease(1).key, value) == host_gw_lease(1)


@pytest.mark.parametrize(
    "key", ["", "10.244.1.0", "10.244.1.1-24", "x-24", "10.244.1.0-24&a-64", "0.0.0.0-0"]
)
def test_a_key_that_names_no_subnet_is_no_lease(key):
    with pytest.raises(ValueError):
        parse_subnet_key(key)
    assert parse_lease(SUBNETS + key, vxlan_lease(1).value) is None


@pytest.mark.parametrize("value", [b"", b"[]", b"3", b'{"PublicIP":"nobody"}', b'{"PublicIP":7.5}'])
def test_a_value_that_is_not_flannels_is_no_lease(value):
    assert parse_lease(vxlan_lease(1).key, value) is None
