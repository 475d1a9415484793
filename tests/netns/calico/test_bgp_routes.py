"""Which routes real birds announce, and which they write into the kernel, pool by pool."""

from __future__ import annotations

import pytest
from support.calico_bgp import classic, cluster, mesh, reflected, two_families
from support.calico_bgp_lab import BgpLab, bare, have
from support.calico_nodes import node, pool
from support.eventually import eventually

pytestmark = pytest.mark.netns


def add_pod(lab: BgpLab, name: str, *addresses: str) -> None:
    """A pod's device, and the routes that Felix writes for the addresses that are there."""
    lab.shell(name, "ip link add calipod1 type veth peer name pod-1; ip link set calipod1 up")
    for address in addresses:
        lab.shell(name, f"ip route add {address}/32 dev calipod1 scope link")


async def prefixes(lab: BgpLab, name: str, protocol: str) -> set[str]:
    return {str(it.prefix) for it in await lab.client(name).routes(protocol=protocol)}


async def test_an_address_is_announced_by_who_borrowed_it_and_a_pod_in_an_own_block_is_not(four: BgpLab):
    four.show(mesh(3))
    await have(four, 1, 2, 3)
    add_pod(four, "node-1", "10.244.1.5", "10.244.2.7")
    borrowed = {"10.244.2.7": "via 192.168.0.11 dev eth0"}
    await eventually(lambda: four.routes("node-2") == bare(2, 1, 3) | borrowed)
    await eventually(lambda: four.routes("node-3") == bare(3, 1, 2) | borrowed)
    four.shell("node-1", "ip route del 10.244.2.7/32")
    await have(four, 1, 2, 3)


async def test_a_reflector_tells_of_an_address_that_was_borrowed_from_its_own_block(five: BgpLab):
    five.show(reflected())
    await have(five, 1, 2, 3, 4, 5)
    add_pod(five, "node-3", "10.244.1.9")
    await eventually(lambda: five.routes("node-4").get("10.244.1.9") == "via 192.168.0.13 dev eth0")


async def test_a_pool_that_felix_routes_is_left_to_it(two: BgpLab):
    two.show(cluster(node(1), node(2), pool(vxlan_mode="Always")))
    await two.established("node-1", "node-2", count=1)
    two.shell("node-1", "ip link add vxlan.calico type veth peer name vtep; ip link set vxlan.calico up")
    two.shell("node-1", "ip route add 10.244.3.0/26 via 10.244.3.0 dev vxlan.calico onlink")
    two.shell("node-1", "ip route add 10.244.9.0/26 via 192.168.0.19 dev eth0 onlink proto 80")
    add_pod(two, "node-1", "10.244.2.7")

    async def is_announced() -> bool:
        return await prefixes(two, "node-2", "Mesh_192_168_0_11") == {"10.244.1.0/26", "10.244.2.7/32"}

    async def is_learned() -> bool:
        return await prefixes(two, "node-1", "kernel1") >= {"10.244.3.0/26", "10.244.9.0/26"}

    await eventually(is_learned)
    await eventually(is_announced)
    assert two.routes("node-1") == two.routes("node-2") == {}


async def test_where_bird_routes_ipip_its_routes_go_through_tunl0_whenever_that_comes(two: BgpLab):
    two.show(classic())
    await two.established("node-1", "node-2", count=1)
    await eventually(lambda: two.routes("node-1") == bare(1))
    through = {"10.244.2.0/26": "via 192.168.0.12 dev tunl0"}
    for _ in range(2):
        two.shell("node-1", "ip tuntap add tunl0 mode tun; ip link set tunl0 up")
        two.keepers["node-1"].device_came("tunl0")
        await eventually(lambda: two.routes("node-1") == bare(1) | through)
        two.shell("node-1", "ip link del tunl0")
        await eventually(lambda: two.routes("node-1") == bare(1))


async def test_with_cross_subnet_nodes_of_one_network_are_reached_bare(two: BgpLab):
    two.show(classic("CrossSubnet"))
    await have(two, 1, 2)


async def test_a_pool_that_is_not_exported_stays_at_home(two: BgpLab):
    two.show(mesh(2))
    await have(two, 1, 2)
    two.show(cluster(node(1), node(2), pool(disable_bgp_export=True)))
    await eventually(lambda: two.routes("node-1") == bare(1))


async def test_a_node_has_the_blocks_of_both_families(two: BgpLab):
    for number in (1, 2):
        two.shell(f"node-{number}", f"ip addr add fd00::{10 + number}/64 dev eth0 nodad")
    two.show(two_families())
    await two.established("node-1", "node-2", count=2)
    await eventually(lambda: two.routes("node-2") == {"10.244.1.0/26": "via 192.168.0.11 dev eth0"})
    way = {"fd00:10:244:1::/122": "via fd00::11 dev eth0"}
    await eventually(lambda: two.routes("node-2", family=6) == way)
