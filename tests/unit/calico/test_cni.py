"""Calico's CNI on one node: an address and an endpoint for each pod, kept over restarts, given back once."""

from __future__ import annotations

import pytest
from support.calico_cni import NONE, CniNode, assert_nothing_is_left, ref, with_subnet_file
from support.calico_nodes import pool

from calico.endpoints import mac_of
from calico.ipam.snapshot import read_snapshot
from calico.resources import datastore
from fabric.api.kinds import POD
from fabric.api.objects import sandbox_id
from fabric.errors import FabricError, NotFound
from fabric.plugin.contract import PodRef
from fabric.store.port import Delete


@pytest.fixture
async def node(tmp_path):
    found = CniNode(tmp_path)
    await datastore.create(found.store, pool(), found.clock)
    found.pod()
    return found


async def test_a_pod_gets_an_address_without_neighbours_and_a_way_out(node):
    found = await node.cni.add(ref())
    (ip,) = found.ips
    assert (ip.network.prefixlen, str(found.gateways[0]), found.mtu) == (32, "169.254.1.1", 1450)
    assert sorted(map(str, found.pod)) == [
        f"address {ip} dev eth0",
        f"link eth0 address {mac_of(ref().uid)}",
        "link eth0 mtu 1450",
        "link eth0 up",
        "link lo up",
        "route 169.254.1.1/32 dev eth0 scope link",
        "route default via 169.254.1.1 dev eth0",
    ]
    device = next(it.name for it in found.node if hasattr(it, "peer"))
    assert device.startswith("cali") and len(device) == 15
    assert f"route {ip} dev {device} scope link" in set(map(str, found.node))
    assert f"sysctl net/ipv4/conf/{device}/proxy_arp=1" in set(map(str, found.node))


async def test_its_endpoint_says_what_policies_select_by(node):
    found = await node.cni.add(ref())
    (endpoint,) = await node.endpoints()
    assert endpoint.name == "node--1-k8s-pod--1-eth0"
    assert endpoint.labels == {
        "app": "web",
        "projectcalico.org/namespace": "default",
        "projectcalico.org/orchestrator": "k8s",
        "projectcalico.org/serviceaccount": "robot",
    }
    spec = endpoint.spec
    assert spec.profiles == ("kns.default", "ksa.default.robot")
    assert [(port.name, port.protocol, port.port) for port in spec.ports] == [
        ("http", "TCP", 80),
        ("", "UDP", 53),
    ], "ports that have a name, or one of the host"
    assert (spec.ip_networks, spec.container_id) == ((found.ips[0].network,), sandbox_id("uid-1"))


async def test_a_second_add_and_an_add_after_a_restart_say_the_same(node):
    first = await node.cni.add(ref())
    assert await node.cni.add(ref()) == first == await node.cni.check(ref())
    again = node.started()
    assert await again.check(ref()) == first == await again.add(ref())
    assert len(await node.addresses_of("uid-1")) == 1


async def test_an_add_that_was_cut_before_it_kept_its_result_gets_the_same_address(node):
    first = await node.cni.add(ref())
    for path in node.root.rglob("*.json"):
        path.unlink()
    assert await node.started().add(ref()) == first


async def test_check_needs_no_store(node):
    first = await node.cni.add(ref())
    again = node.started()
    again._store = None
    assert await again.check(ref()) == first
    assert await again.check(ref(2)) is None


async def test_delete_gives_back_everything_and_may_come_twice(node):
    await node.cni.add(ref())
    await node.cni.delete(ref())
    await node.cni.delete(ref())
    assert not await node.endpoints()
    assert not await node.addresses_of("uid-1")
    assert await node.cni.check(ref()) is None
    assert not list(node.root.rglob("*.json"))


async def test_a_pod_of_which_only_the_uid_is_known_gives_back_everything(node):
    """The kubelet knows no more of one that the API forgot while neither of its processes ran."""
    node.pod(2)
    for number in (1, 2):
        await node.cni.add(ref(number))
    await node.started().delete(PodRef("", "", "uid-1", "pod:uid-1"))
    assert [endpoint.spec.pod for endpoint in await node.endpoints()] == ["pod-2"]
    assert not await node.addresses_of("uid-1")
    (left,) = (node.root / "var/lib/cni/results").iterdir()
    assert left.name == f"k8s-pod-network-{sandbox_id('uid-2')}-eth0"


async def test_an_endpoint_that_somebody_deleted_comes_back(node):
    await node.cni.add(ref())
    before = await node.endpoints()
    key = "/calico/resources/v3/projectcalico.org/workloadendpoints/default/node--1-k8s-pod--1-eth0"
    await node.store.txn([], [Delete(key)])
    again = node.started()
    await again.restore()
    (found,) = await node.endpoints()
    assert (found.spec, found.labels) == (before[0].spec, before[0].labels)
    node.store.calls.clear()
    await again.restore()
    assert [call.split()[0] for call in node.store.calls] == ["get"], "one look at each, and no write"


async def test_while_no_pod_may_come_no_endpoint_comes_back(node, monkeypatch):
    """As while the datastore is locked, and somebody carries over what is in it."""
    await node.cni.add(ref())
    key = "/calico/resources/v3/projectcalico.org/workloadendpoints/default/node--1-k8s-pod--1-eth0"
    await node.store.txn([], [Delete(key)])

    def refuse():
        raise FabricError("the datastore is locked")

    monkeypatch.setattr(node.cni, "_refuse_new", refuse)
    with pytest.raises(FabricError, match="locked"):
        await node.cni.restore()
    assert not await node.endpoints()


async def test_the_endpoint_of_a_pod_that_goes_does_not_come_back(node, monkeypatch):
    """DEL comes while the API is asked for the pod."""
    await node.cni.add(ref())
    key = "/calico/resources/v3/projectcalico.org/workloadendpoints/default/node--1-k8s-pod--1-eth0"
    await node.store.txn([], [Delete(key)])
    ask = node.api.get

    async def asked(*what):
        pod = await ask(*what)
        await node.cni.delete(ref())
        return pod

    monkeypatch.setattr(node.api, "get", asked)
    await node.cni.restore()
    await assert_nothing_is_left(node)


async def test_what_an_add_and_a_delete_cost_at_the_store(node):
    await node.cni.add(ref())
    node.pod(2)
    node.store.calls.clear()
    await node.cni.add(ref(2))
    assert [call.split()[0] for call in node.store.calls] == [
        "get",  # the handle: has it an address already?
        "range",  # pools
        "range",  # reservations
        "get",  # IPAM's configuration
        "range",  # own affinities
        "get",  # the affinity
        "get",  # the block
        "txn",  # the handle counts
        "txn",  # the block gives
        "txn",  # the endpoint
    ]
    node.store.calls.clear()
    await node.cni.delete(ref(2))
    assert len(node.store.calls) == 8, node.store.calls


async def test_a_name_that_no_endpoint_can_have_is_told_before_anything_is_given(node):
    name = "a-" * 100 + "a"
    node.api.put(POD, {"metadata": {"name": name, "namespace": "default", "uid": "uid-7"}, "spec": {}})
    with pytest.raises(FabricError, match=r"is too long for Calico: .* at most 253 characters fit"):
        await node.cni.add(PodRef("default", name, "uid-7", "pod:uid-7"))
    await node.cni.delete(PodRef("default", name, "uid-7", "pod:uid-7"))
    await assert_nothing_is_left(node)


async def test_collect_frees_what_no_pod_has_also_after_a_restart_and_without_files(node):
    for number in (1, 2, 3):
        node.pod(number)
        await node.cni.add(ref(number))
    (node.root / f"var/lib/cni/results/k8s-pod-network-{sandbox_id('uid-3')}-eth0").unlink()
    await node.started().collect(frozenset({"uid-1"}))
    assert [endpoint.spec.pod for endpoint in await node.endpoints()] == ["pod-1"]
    assert [bool(await node.addresses_of(f"uid-{number}")) for number in (1, 2, 3)] == [True, False, False]


async def test_a_pod_that_the_api_does_not_know_gets_nothing(node):
    with pytest.raises(NotFound):
        await node.cni.add(ref(9))
    assert not (await read_snapshot(node.store)).blocks


async def test_with_another_network_the_subnet_comes_from_that_networks_file(tmp_path):
    node, _ = with_subnet_file(tmp_path)
    found = await node.cni.add(ref())
    assert (str(found.ips[0]), found.mtu) == ("10.244.7.2/32", 1450)
    await node.cni.delete(ref())
    assert str((await node.cni.add(ref())).ips[0]) == "10.244.7.3/32"


async def test_a_subnet_files_addresses_are_given_back_when_the_pod_is_gone_and_nothing_else_tells(tmp_path):
    node, addresses = with_subnet_file(tmp_path)
    assert await addresses.assign(ref(), {"metadata": {}})
    await node.cni.collect(NONE)
    assert not [path.name for path in tmp_path.rglob("10.244.7.*")]


@pytest.mark.parametrize(
    "text, words",
    [
        (None, "/run/flannel/subnet.env of the node is not written yet: No such file"),
        (b"FLANNEL_SUBNET=10.244.7.1/24", "is not flannel's: 'FLANNEL_MTU'"),
        (b"FLANNEL_SUBNET=here\nFLANNEL_MTU=1450", "is not flannel's: 'here'"),
        (b"\xff\xfe", "is not flannel's: 'utf-8'"),
    ],
)
async def test_a_subnet_file_that_cannot_be_used_is_told(tmp_path, text, words):
    node, addresses = with_subnet_file(tmp_path)
    (tmp_path / "run/flannel/subnet.env").unlink()
    if text is not None:
        (tmp_path / "run/flannel/subnet.env").write_bytes(text)
    with pytest.raises(FabricError, match=words):
        await node.cni.add(ref())
    with pytest.raises(FabricError, match=words):
        addresses.mtu()
