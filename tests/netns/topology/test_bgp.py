"""Real BIRD on every router of a graph: routes come, move when a cable is pulled, and outlive a daemon."""

from __future__ import annotations

import os
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

import pytest
from support.bird_lab import EXPORT_ROUTES
from support.bird_time import same_moment
from support.eventually import eventually
from support.routed_lab import RoutedLab, routed_lab
from support.wirings import IPV6, nodes

from fabric.bird.bgp import Bgp, BgpOptions
from fabric.bird.config import Channel, Config, Device, Direct, Kernel, Static, StaticRoute
from fabric.bird.daemon import until_up
from fabric.topology.routers import HOLD_SECONDS
from fabric.topology.wiring import segments

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")]
LEAF_SPINE: dict[str, Any] = {"kind": "leaf-spine", "racks": 2}
SHARED: dict[str, Any] = {
    "kind": "graph",
    "routers": [{"name": "r1"}, {"name": "r2"}, {"name": "r3"}],
    "switches": [{"name": "hall"}],
    "controlPlane": "hall",
    "links": [{"between": it} for it in (["r1", "hall"], ["r2", "hall"], ["r2", "r3"], ["node-1", "hall"])]
    + [{"between": ["node-2", "r3"]}],
}
GRAPHS: dict[str, dict[str, Any]] = {
    "leaf-spine": LEAF_SPINE,
    "two uplinks each": LEAF_SPINE | {"uplinks": 2},
    "ipv6": LEAF_SPINE | IPV6,
    "ring": {"kind": "graph", "generator": "ring", "arguments": {"n": 5}},
    "two routers on a switch": SHARED,
}


def missing_routes(lab: RoutedLab) -> list[str]:
    """Routers and the host subnets that they have no way to."""
    own = {(name, it.name) for it in segments(lab.wiring) for name in it.routers}
    return [
        f"{router.name} to {subnet}"
        for router in lab.wiring.of_role("router")
        for segment, subnet in lab.given.subnets.items()
        if (router.name, segment) not in own and not lab.ways(router.name, subnet)
    ]


@pytest.mark.parametrize("options", GRAPHS.values(), ids=GRAPHS)
async def test_every_router_learns_every_subnet_and_nodes_reach_each_other(options):
    with routed_lab(options, nodes(2)) as lab:
        await lab.start()
        await eventually(lambda: not missing_routes(lab))
        far = lab.given.hosts["node-2"]
        size = 1500 - (28 if far.version == 4 else 48)
        await eventually(lambda: "1 received" in lab.run("node-1", *ping(far.ip, size)))


def ping(address: object, size: int = 56) -> tuple[str, ...]:
    return ("sh", "-c", f"ping -c1 -W1 -M do -s {size} {address} || true")


async def test_a_leaf_has_both_spines_and_a_pulled_cable_moves_traffic_at_once():
    with routed_lab(LEAF_SPINE, nodes(2)) as lab:
        await lab.start()
        far = lab.given.subnets["leaf-2"]
        await eventually(lambda: lab.ways("leaf-1", far) == {"spine-1", "spine-2"})
        await lab.pull("leaf-1--spine-1")
        near = lab.given.subnets["leaf-1"]
        moved = {"leaf-1": (far, {"spine-2"}), "leaf-2": (near, {"spine-2"}), "spine-1": (near, set())}
        await eventually(
            lambda: all(lab.ways(router, to) == ways for router, (to, ways) in moved.items()),
            seconds_max=HOLD_SECONDS / 3,
        )
        assert "1 received" in lab.run("node-1", *ping(lab.given.hosts["node-2"].ip))
        await lab.pull()
        await eventually(lambda: lab.ways("leaf-1", far) == {"spine-1", "spine-2"})


async def test_a_killed_bird_leaves_routes_everywhere_and_its_successor_takes_them_over():
    with routed_lab(LEAF_SPINE, nodes(2)) as lab:
        await lab.start()
        near, far = lab.given.subnets["leaf-1"], lab.given.subnets["leaf-2"]
        await eventually(lambda: len(lab.ways("leaf-1", far)) == len(lab.ways("leaf-2", near)) == 2)
        lab.birds.kill("leaf-1")
        assert len(lab.ways("leaf-1", far)) == len(lab.ways("leaf-2", near)) == 2
        assert "1 received" in lab.run("node-1", *ping(lab.given.hosts["node-2"].ip))
        lab.birds.start("leaf-1", lab.configs()["leaf-1"], again=True)
        client = lab.birds.daemon("leaf-1").client()
        await until_up(client)

        async def is_back() -> bool:
            sessions = [it.bgp for it in await client.protocols("spine-*") if it.bgp]
            assert len(lab.ways("leaf-1", far)) == len(lab.ways("leaf-2", near)) == 2
            return all(it.is_established for it in sessions) and not (await client.status()).is_recovering

        await eventually(is_back)


async def test_a_router_that_gets_a_neighbour_keeps_its_other_sessions():
    with routed_lab(LEAF_SPINE, nodes(2)) as lab:
        await lab.start()
        await eventually(lambda: not missing_routes(lab))
        client = lab.birds.daemon("spine-1").client()
        (before,) = await client.protocols("leaf-1")
        larger = lab.grow(LEAF_SPINE | {"racks": 3}, nodes(3))
        await lab.birds.daemon("spine-1").reconfigure(client, larger["spine-1"])
        (after,) = await client.protocols("leaf-1")
        assert after.bgp.is_established and same_moment(after.since, before.since)
        assert await client.protocols("leaf-3")


def node_config(lab: RoutedLab, node: str, my_as: int) -> Config:
    """A node that has a session with its leaf, and announces 10.244.<n>.0/26."""
    number = int(node.removeprefix("node-"))
    me = lab.given.hosts[node]
    (leaf,) = lab.wiring.neighbors(node)
    options = BgpOptions(
        local_address=me.ip,
        local_as=my_as,
        multihop=False,
        connect_delay_seconds=1,
        connect_retry_seconds=1,
        error_wait_seconds=(1, 2),
    )
    assert isinstance(me.ip, IPv4Address)
    return Config(
        me.ip,
        hostname=node,
        blocks=(
            Device(),
            Direct(),
            Kernel(channel=Channel(export="where source = RTS_BGP")),
            Static(routes=(StaticRoute(ip_network(f"10.244.{number}.0/26")),)),
            Bgp(
                "leaf",
                lab.given.gateways[node],
                lab.wiring.device(leaf).asn,
                options=options,
                channels=(EXPORT_ROUTES,),
            ),
        ),
    )


@pytest.mark.parametrize("peering", ["internal", "external"])
async def test_what_nodes_announce_to_their_leaf_is_reached_from_everywhere(peering):
    with routed_lab(LEAF_SPINE, nodes(4), peering) as lab:
        await lab.start()
        for number in range(1, 5):
            leaf_as = 65001 + (number - 1) % 2
            node = f"node-{number}"
            lab.run(node, "ip", "address", "add", f"10.244.{number}.1/32", "dev", "lo")
            my_as = leaf_as if peering == "internal" else 64512 + number
            lab.birds.start(node, node_config(lab, node, my_as))
        blocks = {f"node-{number}": f"10.244.{number}.0/26" for number in range(1, 5)}

        def gateway(node: str, block: str) -> str:
            words = lab.run(node, "ip", "route", "show", block).split()
            return words[words.index("via") + 1] if "via" in words else ""

        everyone = [(here, blocks[there]) for here in blocks for there in blocks if here != there]
        await eventually(lambda: all(gateway(*it) for it in everyone))
        assert gateway("node-1", blocks["node-3"]) == str(lab.given.hosts["node-3"].ip)
        assert gateway("node-1", blocks["node-2"]) == str(lab.given.gateways["node-1"])
        await eventually(lambda: lab.ways("spine-1", blocks["node-4"]) == {"leaf-2"})
        for number in (2, 3):
            reply = lab.run("node-1", *ping(f"10.244.{number}.1 -I 10.244.1.1"))
            assert "1 received" in reply


async def test_a_node_cannot_take_the_underlays_own_addresses_from_it():
    with routed_lab(LEAF_SPINE, nodes(2)) as lab:
        await lab.start()
        config = node_config(lab, "node-1", 65001)
        stolen = Static("stolen", (StaticRoute(ip_network("192.168.2.12/32")),))
        default = Static("everything", (StaticRoute(ip_network("0.0.0.0/0")),))
        lab.birds.start("node-1", Config(config.router_id, (*config.blocks, stolen, default)))
        await eventually(lambda: lab.ways("leaf-2", "10.244.1.0/26"))
        assert not lab.run("leaf-1", "ip", "route", "show", "192.168.2.12/32")
        assert not lab.run("leaf-1", "ip", "route", "show", "default")


async def test_with_no_host_peering_a_leaf_takes_no_session():
    with routed_lab(LEAF_SPINE, nodes(2), "none") as lab:
        await lab.start()
        lab.birds.start("node-1", node_config(lab, "node-1", 65001))
        await eventually(lambda: not missing_routes(lab))
        (session,) = await lab.birds.daemon("node-1").client().protocols("leaf")
        assert session.bgp is not None and not session.bgp.is_established
        assert not lab.ways("leaf-1", "10.244.1.0/26")


async def test_what_a_silent_node_announced_is_withdrawn_after_the_hold_time():
    with routed_lab(LEAF_SPINE, nodes(2)) as lab:
        await lab.start()
        lab.birds.start("node-1", node_config(lab, "node-1", 65001))
        await eventually(lambda: lab.ways("leaf-2", "10.244.1.0/26"))
        assert ip_address("192.168.1.11") == lab.given.hosts["node-1"].ip
        await lab.pull("leaf-1--node-1")
        await eventually(lambda: not lab.ways("leaf-2", "10.244.1.0/26"), seconds_max=HOLD_SECONDS + 3)
