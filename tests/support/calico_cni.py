"""node-1 and its CNI over a store on a bad line, for tests of ADD, CHECK, DEL and GC."""

from __future__ import annotations

from calico.addresses import FileAddresses, IpamAddresses, handle_of
from calico.cni import Cni
from calico.ipam.allocator import Ipam
from calico.ipam.snapshot import read_snapshot
from calico.resources import datastore
from calico.resources.endpoints import WorkloadEndpoint
from fabric.api.kinds import POD
from fabric.api.objects import sandbox_id
from fabric.control.clock import LoopClock
from fabric.plugin.contract import PodRef
from support.calico_nodes import NOON
from support.flaky_store import FlakyStore
from support.memory_api import MemoryApi

NONE: frozenset[str] = frozenset()


def ref(number=1, uid=""):
    uid = uid or f"uid-{number}"
    return PodRef("default", f"pod-{number}", uid, f"pod:{uid}")


class CniNode:
    """node-1 with one pool, and its CNI as often as its worker is started."""

    def __init__(self, root, store=None):
        self.root = root
        self.store = store or FlakyStore()
        self.api = MemoryApi()
        self.clock = LoopClock(NOON)
        self.cni = self.started()

    def started(self):
        addresses = IpamAddresses(Ipam(self.store, self.clock, "node-1"), self.api)
        return Cni("node-1", self.root, self.store, self.api, self.clock, addresses, lambda: 1450)

    def pod(self, number=1, **metadata):
        ports = [
            {"name": "http", "containerPort": 80},
            {"containerPort": 53, "hostPort": 5353, "protocol": "UDP"},
            {"containerPort": 8080},
        ]
        spec = {"serviceAccountName": "robot", "containers": [{"ports": ports}]}
        meta = {"name": f"pod-{number}", "namespace": "default", "uid": f"uid-{number}"}
        meta |= {"labels": {"app": "web"}} | metadata
        return self.api.put(POD, {"metadata": meta, "spec": spec})

    def work(self, verb):
        """That verb for pod-1, which for GC is gone."""
        return self.cni.collect(NONE) if verb == "collect" else getattr(self.cni, verb)(ref())

    async def endpoints(self):
        return await datastore.listed(self.store, WorkloadEndpoint)

    async def addresses_of(self, uid):
        return await Ipam(self.store, self.clock, "node-1").addresses(handle_of(sandbox_id(uid)))


def with_subnet_file(root):
    """node-1 under another network, which has written its file."""
    file = root / "run/flannel/subnet.env"
    file.parent.mkdir(parents=True)
    file.write_text("FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.7.1/24\nFLANNEL_MTU=1450\n")
    node, addresses = CniNode(root), FileAddresses(root, "/run/flannel/subnet.env")
    node.cni = Cni("node-1", root, node.store, node.api, node.clock, addresses, addresses.mtu)
    node.pod()
    return node, addresses


async def assert_nothing_is_left(node):
    snapshot = await read_snapshot(node.store)
    assert not snapshot.handles and not await node.endpoints()
    assert not [path for path in node.root.rglob("*") if path.is_file()]
