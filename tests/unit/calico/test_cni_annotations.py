"""Annotations of a pod and its namespace: pools, an address, and what is refused as in Calico."""

from __future__ import annotations

import pytest
from support.calico_cni import CniNode, assert_nothing_is_left, ref, with_subnet_file
from support.calico_nodes import pool

from calico.resources import datastore
from fabric.api.kinds import NAMESPACE
from fabric.errors import FabricError


@pytest.fixture
async def node(tmp_path):
    found = CniNode(tmp_path)
    await datastore.create(found.store, pool(), found.clock)
    found.pod()
    return found


async def test_annotations_of_the_pod_name_a_pool_or_an_address(node):
    await datastore.create(node.store, pool("10.250.0.0/24", "special", assignment_mode="Manual"), node.clock)
    node.pod(2, annotations={"cni.projectcalico.org/ipv4pools": '["special"]'})
    node.pod(3, annotations={"cni.projectcalico.org/ipAddrs": '["10.250.0.77"]'})
    assert str((await node.cni.add(ref(2))).ips[0]).startswith("10.250.0.")
    assert str((await node.cni.add(ref(3))).ips[0]) == "10.250.0.77/32"


@pytest.mark.parametrize(
    "key, text, words",
    [
        ("ipv4pools", "special", "write it as"),
        ("ipFamilies", '["IPv4", "IPv6"]', "pods have IPv4 addresses"),
        ("ipFamilies", '["ipv4"]', "neither IPv4 nor IPv6"),
        ("ipAddrsNoIpam", '["10.250.0.1"]', "requested feature is not enabled: ip_addrs_no_ipam"),
        ("floatingIPs", '["10.250.0.1"]', "requested feature is not enabled: floating_ips"),
        ("ipv4pools", '["none"]', "no IPPool 'none'; there are: pool-1"),
        ("ipv4pools", '["10.250.0.0"]', "no IPPool '10.250.0.0'; there are: pool-1"),
        ("ipv4pools", '["fd00::/64"]', "ipv4pools: 'fd00::' isn't a IPv4 address"),
        ("ipv6pools", '["pool-1"]', "ipv6pools: '10.244.0.0' isn't a IPv6 address"),
        ("ipv6pools", "fd00::/64", "ipv6pools is 'fd00::/64'; write it as"),
        ("ipAddrs", "[]", "write one IPv4 address"),
        ("ipAddrs", '["nonsense"]', "write one IPv4 address"),
        ("ipAddrs", '["10.244.0.1", "10.244.0.2"]', "write one IPv4 address"),
        ("ipAddrs", '["fd00::1"]', "pods have IPv4 addresses"),
        ("ipAddrs", "[" * 100_000, "write it as"),
    ],
)
async def test_a_wrong_annotation_is_told(node, key, text, words):
    node.pod(2, annotations={f"cni.projectcalico.org/{key}": text})
    with pytest.raises(FabricError, match=words.replace("[", r"\[")):
        await node.cni.add(ref(2))


async def test_pools_of_the_namespace_hold_where_the_pod_names_none_and_addresses_are_the_pods_alone(node):
    for number in (1, 2):
        special = pool(f"10.250.{number}.0/24", f"special-{number}", assignment_mode="Manual")
        await datastore.create(node.store, special, node.clock)
    key = "cni.projectcalico.org/"
    theirs = {key + "ipv4pools": '["special-2", "special-1"]', key + "ipAddrs": '["10.250.1.77"]'}
    node.api.put(NAMESPACE, {"metadata": {"name": "default", "annotations": theirs}})
    node.pod(2, annotations={key + "ipv4pools": '["10.250.1.0/24"]'})
    node.pod(3, annotations={key + "ipv4pools": "[]", key + "ipFamilies": '["IPv4", "IPv4"]'})
    node.pod(4, annotations={key + "ipv4pools": "null"})
    assert str((await node.cni.add(ref(1))).ips[0]).startswith("10.250.2."), "the first of the list"
    assert str((await node.cni.add(ref(2))).ips[0]).startswith("10.250.1.")
    assert str((await node.cni.add(ref(3))).ips[0]).startswith("10.244."), "a list that names none"
    assert str((await node.cni.add(ref(4))).ips[0]).startswith("10.244."), "null is a list that names none"


async def test_a_pod_asks_for_an_address_with_or_without_the_ipam(node):
    key = "cni.projectcalico.org/"
    node.pod(2, annotations={key + "ipAddrs": '["10.250.0.1"]', key + "ipAddrsNoIpam": '["10.250.0.1"]'})
    with pytest.raises(FabricError, match="can't have both annotations: 'ipAddrs' and 'ipAddrsNoIpam'"):
        await node.cni.add(ref(2))


@pytest.mark.parametrize(
    "key, words",
    [
        ("ipAddrs", "ipAddrs is not compatible with configured IPAM: host-local"),
        ("ipAddrsNoIpam", "ipAddrsNoIpam is not compatible with configured IPAM: host-local"),
        ("floatingIPs", "requested feature is not enabled: floating_ips"),
        ("ipv4pools", ""),
    ],
)
async def test_host_local_gives_no_fixed_address_and_knows_no_pools(tmp_path, key, words):
    node, _ = with_subnet_file(tmp_path)
    node.pod(annotations={f"cni.projectcalico.org/{key}": '["10.244.7.9"]'})
    if not words:
        assert str((await node.cni.add(ref())).ips[0]).startswith("10.244.7.")
        return
    with pytest.raises(FabricError, match=words):
        await node.cni.add(ref())
    await node.cni.delete(ref())
    await assert_nothing_is_left_but_the_subnet_file(node)


async def assert_nothing_is_left_but_the_subnet_file(node):
    (node.root / "run/flannel/subnet.env").unlink()
    await assert_nothing_is_left(node)


async def test_a_pool_may_be_for_some_namespaces_only(node):
    await datastore.delete(node.store, pool().__class__, "pool-1")
    await datastore.create(node.store, pool(namespace_selector="team == 'a'"), node.clock)
    node.api.put(NAMESPACE, {"metadata": {"name": "default", "labels": {"team": "b"}}})
    with pytest.raises(FabricError, match="namespaceSelector"):
        await node.cni.add(ref())
    node.api.put(NAMESPACE, {"metadata": {"name": "default", "labels": {"team": "a"}}})
    assert (await node.cni.add(ref())).ips
