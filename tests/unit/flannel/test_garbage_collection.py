from ipaddress import ip_interface, ip_network

from fabric.plugin.contract import NodeFacts
from fabric.store.memory import MemoryStore
from fabric.store.port import Put
from flannel.garbage_collection import collect_garbage
from flannel.leases import SUBNETS, Lease

NODE_1 = NodeFacts("node-1", (ip_interface("192.168.0.11/16"),), "eth0", 1500)


def lease(number: int) -> Lease:
    subnet = ip_network(f"10.244.{number}.0/24")
    return Lease((subnet,), (ip_interface(f"192.168.0.1{number}/16").ip,), "host-gw")


async def test_a_node_that_left_gives_its_subnet_back_and_the_others_keep_theirs():
    store = MemoryStore()
    for number in (1, 2):
        ttl = await store.grant(86400)
        await store.txn([], [Put(lease(number).key, lease(number).value, ttl)])
    await collect_garbage([NODE_1], store)
    assert [kv.key for kv in (await store.range(SUBNETS)).kvs] == [lease(1).key]


async def test_a_reservation_stays_though_its_node_is_not_there():
    store = MemoryStore()
    await store.txn([], [Put(lease(2).key, lease(2).value)])
    await collect_garbage([NODE_1], store)
    assert len((await store.range(SUBNETS)).kvs) == 1
