"""Attaching pods: addresses that are never given twice, and a state that is the same whenever it is asked."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network

import pytest
from support.flannel_cluster import pod

from fabric.errors import FabricError
from fabric.netstate.objects import Bridge
from fabric.netstate.plan import diff
from fabric.plugin.host_local import HostLocal, OutOfAddresses
from flannel import cni, subnet_env
from flannel.cni import Cni

NETWORK, SUBNET = ip_network("10.244.0.0/16"), ip_network("10.244.1.0/24")
ENV = subnet_env.of((NETWORK,), (SUBNET,), 1450)
ADDRESSES = "var/lib/cni/networks/cbr0"


@pytest.fixture
def node(tmp_path):
    made = Cni(tmp_path)
    made.install(ENV)
    return made


def ips(attachment):
    return [str(ip) for ip in attachment.ips]


def test_an_attachment_reads_like_the_shell(node):
    found = node.add(pod(1))
    assert str(diff(found.node, frozenset())) == (
        "add link veth4a49acf8 type veth mtu 1450 peer eth0 netns pod:uid-1 address 0a:58:0a:f4:01:02 "
        "master cni0 hairpin on up\n"
    )
    assert str(diff(found.pod, frozenset())) == (
        "add link eth0 mtu 1450\n"
        "add link eth0 address 0a:58:0a:f4:01:02\n"
        "add address 10.244.1.2/24 dev eth0\n"
        "add link eth0 up\n"
        "add link lo up\n"
        "add route 10.244.0.0/16 via 10.244.1.1 dev eth0\n"
        "add route default via 10.244.1.1 dev eth0\n"
    )
    assert (ips(found), found.gateways, found.mtu) == (["10.244.1.2/24"], (ip_address("10.244.1.1"),), 1450)


def test_cni0_has_the_gateways_address_and_a_mac_that_stays():
    assert str(diff(cni.node_state(ENV), frozenset())) == (
        "add link cni0 type bridge mtu 1450 address 0a:58:0a:f4:01:01 up\n"
        "add sysctl net/ipv4/ip_forward=1\n"
        "add address 10.244.1.1/24 dev cni0\n"
    )
    assert all(obj.mac for obj in cni.node_state(ENV) if isinstance(obj, Bridge))


def test_the_nodes_files_are_those_of_flannel_and_host_local(node, tmp_path):
    node.add(pod(1))
    assert (tmp_path / "run/flannel/subnet.env").read_text() == (
        "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
    )
    conflist = json.loads((tmp_path / "etc/cni/net.d/10-flannel.conflist").read_text())
    assert [plugin["type"] for plugin in conflist["plugins"]] == ["flannel", "portmap"]
    assert (tmp_path / ADDRESSES / "10.244.1.2").read_bytes() == b"uid-1\r\neth0"
    assert (tmp_path / ADDRESSES / "last_reserved_ip.0").read_text() == "10.244.1.2"
    delegate = tmp_path / "var/lib/cni/flannel/uid-1"
    assert json.loads(delegate.read_text())["ipam"]["routes"] == [{"dst": "10.244.0.0/16"}]
    assert delegate.stat().st_mode & 0o777 == 0o600


def test_a_second_add_of_a_pod_is_the_first_again(node):
    assert node.add(pod(1)) == node.add(pod(1)) == node.check(pod(1))


def test_addresses_go_round_so_that_a_freed_one_rests(node):
    assert ips(node.add(pod(1))) == ["10.244.1.2/24"]
    node.delete("uid-1")
    assert ips(node.add(pod(2))) == ["10.244.1.3/24"]
    for number in range(3, 254):
        node.add(pod(number))
    assert ips(node.add(pod(254))) == ["10.244.1.2/24"]


def test_a_full_subnet_says_so_and_a_deleted_pod_makes_room(node):
    given = {ips(node.add(pod(number)))[0] for number in range(253)}
    assert len(given) == 253 and not given & {"10.244.1.0/24", "10.244.1.1/24", "10.244.1.255/24"}
    with pytest.raises(OutOfAddresses, match=r"no free pod address in 10.244.1.0/24: 253 are in use"):
        node.add(pod(999))
    node.delete("uid-7")
    assert ips(node.add(pod(999))) == ["10.244.1.9/24"]


def test_a_new_process_knows_what_the_killed_one_gave_out(node, tmp_path):
    first = node.add(pod(1))
    again = Cni(tmp_path)
    assert again.check(pod(1)) == again.add(pod(1)) == first
    assert ips(again.add(pod(2))) == ["10.244.1.3/24"]


def test_a_kill_between_creating_and_writing_a_file_loses_no_address(tmp_path):
    directory = tmp_path / ADDRESSES
    directory.mkdir(parents=True)
    (directory / "10.244.1.2").touch()
    store = HostLocal(tmp_path, "cbr0")
    assert store.allocate("uid-1", "eth0", (SUBNET,)) == (ip_address("10.244.1.2"),)


def test_two_processes_never_give_one_address_twice(tmp_path):
    one, other = HostLocal(tmp_path, "cbr0"), HostLocal(tmp_path, "cbr0")
    given = [
        store.allocate(f"{name}-{n}", "eth0", (SUBNET,))
        for n in range(50)
        for name, store in (("a", one), ("b", other))
    ]
    assert len(set(given)) == 100


def test_collecting_frees_all_but_the_living(node, tmp_path):
    for number in (1, 2, 3):
        node.add(pod(number))
    node.collect(frozenset({"uid-2"}))
    assert node.check(pod(1)) is None and node.check(pod(2)) is not None
    assert [path.name for path in (tmp_path / "var/lib/cni/flannel").iterdir()] == ["uid-2"]
    node.collect(frozenset())
    node.delete("uid-2")


def test_without_subnet_env_an_add_is_refused_and_a_check_knows_nothing(tmp_path):
    with pytest.raises(FabricError, match="flannel is not up on this node yet"):
        Cni(tmp_path).add(pod(1))
    assert Cni(tmp_path).check(pod(1)) is None


def test_a_node_with_another_subnet_does_not_know_its_old_pods_and_gives_them_new_addresses(node):
    node.add(pod(1))
    node.install(subnet_env.of((NETWORK,), (ip_network("10.244.9.0/24"),), 1450))
    assert node.check(pod(1)) is None
    assert ips(node.add(pod(1))) == ["10.244.9.2/24"]


def test_a_disk_that_cannot_be_written_is_the_world_saying_no(node, tmp_path):
    (tmp_path / "var/lib/cni/flannel").mkdir(parents=True)
    (tmp_path / "var/lib/cni/networks").write_text("")
    with pytest.raises(FabricError, match="the node's CNI files: "):
        node.add(pod(1))


def test_two_families_give_two_addresses(tmp_path):
    node = Cni(tmp_path)
    networks = (NETWORK, ip_network("fd00:10:244::/48"))
    node.install(subnet_env.of(networks, (SUBNET, ip_network("fd00:10:244:1::/64")), 1430))
    found = node.add(pod(1))
    assert ips(found) == ["10.244.1.2/24", "fd00:10:244:1::2/64"]
    assert Cni(tmp_path).check(pod(1)) == found


@pytest.mark.parametrize("text", ["", "FLANNEL_NETWORK=10.244.0.0/16", "FLANNEL_SUBNET=x\nFLANNEL_MTU=1"])
def test_half_a_subnet_env_is_none(text):
    assert subnet_env.parse(text) is None


def test_subnet_env_is_read_as_it_was_written():
    networks = (NETWORK, ip_network("fd00:10:244::/48"))
    env = subnet_env.of(networks, (SUBNET, ip_network("fd00:10:244:1::/64")), 1430)
    assert subnet_env.parse(str(env)) == env
    assert "FLANNEL_IPV6_SUBNET=fd00:10:244:1::1/64\n" in str(env)
