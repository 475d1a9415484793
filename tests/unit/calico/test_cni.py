"""Calico's CNI on one node: an address and an endpoint for each pod, kept over restarts, given back once."""

from __future__ import annotations

import pytest
from support.calico_nodes import NOON, pool
from support.memory_api import MemoryApi

from calico.addresses import FileAddresses, IpamAddresses, handle_of
from calico.cni import Cni
from calico.ipam.allocator import Ipam
from calico.ipam.snapshot import read_snapshot
from calico.resources import datastore
from calico.resources.endpoints import ClusterInformation, WorkloadEndpoint
from fabric.api.kinds import NAMESPACE, POD
from fabric.control.clock import LoopClock
from fabric.errors import FabricError, NotFound
from fabric.plugin.contract import PodRef
from fabric.store.memory import MemoryStore


def ref(number=1, uid=""):
    uid = uid or f"uid-{number}"
    return PodRef("default", f"pod-{number}", uid, f"pod:{uid}")


class Node:
    """node-1 with one pool, and its CNI as often as its worker is started."""

    def __init__(self, root):
        self.root = root
        self.store = MemoryStore()
        self.api = MemoryApi()
        self.clock = LoopClock(NOON)
        self.cni = self.started()

    def started(self):
        addresses = IpamAddresses(Ipam(self.store, self.clock, "node-1"), self.api)
        return Cni("node-1", self.root, self.store, self.api, self.clock, addresses, lambda: 1450)

    def pod(self, number=1, **metadata):
        ports = [{"name": "http", "containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]
        spec = {"serviceAccountName": "robot", "containers": [{"ports": ports}]}
        meta = {"name": f"pod-{number}", "namespace": "default", "labels": {"app": "web"}} | metadata
        return self.api.put(POD, {"metadata": meta, "spec": spec})

    async def endpoints(self):
        return await datastore.listed(self.store, WorkloadEndpoint)

    async def addresses_of(self, uid):
        return await Ipam(self.store, self.clock, "node-1").addresses(handle_of(uid))


@pytest.fixture
async def node(tmp_path):
    found = Node(tmp_path)
    await datastore.create(found.store, pool(), found.clock)
    found.pod()
    return found


async def test_a_pod_gets_an_address_without_neighbours_and_a_way_out(node):
    found = await node.cni.add(ref())
    (ip,) = found.ips
    assert (ip.network.prefixlen, str(found.gateways[0]), found.mtu) == (32, "169.254.1.1", 1450)
    assert sorted(map(str, found.pod)) == [
        f"address {ip} dev eth0",
        "link eth0 up",
        "link lo up",
        "route 169.254.1.1/32 dev eth0 scope link",
        "route default via 169.254.1.1 dev eth0",
    ]
    device = next(it.name for it in found.node if hasattr(it, "peer"))
    assert device.startswith("cali") and len(device) == 15
    assert f"route {ip} dev {device} proto 80 scope link" in set(map(str, found.node))
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
    ]
    assert (spec.ip_networks, spec.container_id) == ((found.ips[0].network,), "uid-1")


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


async def test_while_the_datastore_is_locked_no_pod_gets_an_address_and_those_that_have_one_keep_it(node):
    first = await node.cni.add(ref())
    locked = ClusterInformation.named("default", datastore_ready=False)
    await datastore.create(node.store, locked, node.clock)
    node.pod(2)
    with pytest.raises(FabricError, match="the datastore is locked"):
        await node.cni.add(ref(2))
    assert await node.cni.add(ref()) == first
    await node.cni.delete(ref())
    assert not await node.endpoints()


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


async def test_a_later_pod_of_the_same_name_keeps_its_endpoint_when_the_earlier_goes(node):
    await node.cni.add(ref())
    await node.cni.add(ref(uid="uid-9"))
    await node.cni.delete(ref())
    (endpoint,) = await node.endpoints()
    assert endpoint.spec.container_id == "uid-9"


async def test_collect_frees_what_no_pod_has_also_after_a_restart_and_without_files(node):
    for number in (1, 2, 3):
        node.pod(number)
        await node.cni.add(ref(number))
    (node.root / "var/lib/cni/results/k8s-pod-network-uid-3.json").unlink()
    await node.started().collect(frozenset({"uid-1"}))
    assert [endpoint.spec.pod for endpoint in await node.endpoints()] == ["pod-1"]
    assert [bool(await node.addresses_of(f"uid-{number}")) for number in (1, 2, 3)] == [True, False, False]


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
        ("ipv4pools", '["none"]', "no IPPool 'none'; there are: pool-1"),
        ("ipAddrs", "[]", "write it as"),
    ],
)
async def test_a_wrong_annotation_is_told(node, key, text, words):
    node.pod(2, annotations={f"cni.projectcalico.org/{key}": text})
    with pytest.raises(FabricError, match=words.replace("[", r"\[")):
        await node.cni.add(ref(2))


async def test_a_pool_may_be_for_some_namespaces_only(node):
    await datastore.delete(node.store, pool().__class__, "pool-1")
    await datastore.create(node.store, pool(namespace_selector="team == 'a'"), node.clock)
    node.api.put(NAMESPACE, {"metadata": {"name": "default", "labels": {"team": "b"}}})
    with pytest.raises(FabricError, match="namespaceSelector"):
        await node.cni.add(ref())
    node.api.put(NAMESPACE, {"metadata": {"name": "default", "labels": {"team": "a"}}})
    assert (await node.cni.add(ref())).ips


async def test_a_pod_that_the_api_does_not_know_gets_nothing(node):
    with pytest.raises(NotFound):
        await node.cni.add(ref(9))
    assert not (await read_snapshot(node.store)).blocks


async def test_with_another_network_the_subnet_comes_from_that_networks_file(node, tmp_path):
    addresses = FileAddresses(tmp_path, "/run/flannel/subnet.env")
    cni = Cni("node-1", tmp_path, node.store, node.api, node.clock, addresses, addresses.mtu)
    with pytest.raises(FabricError, match="not written yet"):
        await cni.add(ref())
    file = tmp_path / "run/flannel/subnet.env"
    file.parent.mkdir(parents=True)
    file.write_text("FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.7.1/24\nFLANNEL_MTU=1450\n")
    found = await cni.add(ref())
    assert (str(found.ips[0]), found.mtu) == ("10.244.7.2/32", 1450)
    await cni.delete(ref())
    assert str((await cni.add(ref())).ips[0]) == "10.244.7.3/32"
