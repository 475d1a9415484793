"""Nodes and routers that are not Calico's: leaves of racks, filters, communities, passwords, services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path

import pytest
from support.bird_time import same_moment
from support.calico_bgp import bgp_filter, configuration, mesh, peer, racks
from support.calico_bgp_lab import SWITCH, BgpLab, bare, bgp_lab, have
from support.eventually import eventually

from calico.bgp.config import bird_config
from calico.bgp.peers import SecretRef
from fabric.bird.bgp import Bgp, BgpChannel, BgpOptions
from fabric.bird.config import Block, Channel, Config, Device, Direct, Kernel, Static, StaticRoute
from fabric.bird.reasons import md5_drops
from fabric.bird.routes import BirdRoute

pytestmark = pytest.mark.netns

ROUTER = "192.168.0.1"
SECRET = SecretRef("bgp-secrets", "router")
PASSWORD = {"secretKeyRef": {"name": "bgp-secrets", "key": "router"}}


def session(name: str, address: str, as_number: int, local_as: int, **options: object) -> Bgp:
    """A router's session, which takes and gives everything, as the next hop."""
    return Bgp(
        name,
        ip_address(address),
        as_number,
        options=BgpOptions(
            local_as=local_as,
            connect_delay_seconds=1,
            connect_retry_seconds=1,
            error_wait_seconds=(1, 2),
            **options,  # type: ignore[arg-type]
        ),
        channels=(BgpChannel(export="where source ~ [RTS_BGP, RTS_STATIC]", next_hop="self ebgp"),),
    )


def router(address: str, *blocks: Block) -> Config:
    return Config(
        IPv4Address(address),
        blocks=(Device(), Direct(), Kernel(channel=Channel(export="where source = RTS_BGP")), *blocks),
    )


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[BgpLab]:
    """Two nodes whose switch is a router, 192.168.0.1 of AS 65000, with a session to node-1."""
    async with bgp_lab(tmp_path) as lab:
        await lab.add_switch(SWITCH, f"{ROUTER}/16")
        await lab.add_node(1)
        await lab.add_node(2)
        yield lab
        lab.end()


async def speak(lab: BgpLab, **options: object) -> None:
    """The router tells node-1 of two networks outside."""
    outside = (StaticRoute(ip_network("198.51.100.0/24")), StaticRoute(ip_network("203.0.113.0/24")))
    to_node = session("node_1", "192.168.0.11", 64512, 65000, **options)
    await lab.speak(SWITCH, router(ROUTER, Static(routes=outside), to_node))


async def heard(lab: BgpLab) -> dict[str, BirdRoute]:
    """What node-1 told the router, by destination."""
    routes = await lab.client(SWITCH).routes(protocol="node_1", details=True)
    return {str(it.prefix): it for it in routes}


async def hears(lab: BgpLab, *destinations: str) -> bool:
    """True when these are all that node-1 told the router."""
    return set(await heard(lab)) == set(destinations)


async def test_nodes_of_racks_have_each_others_blocks_through_their_leaves(tmp_path: Path):
    async with bgp_lab(tmp_path) as lab:
        for rack in (1, 2):
            await lab.add_switch(f"leaf-{rack}", f"192.168.{rack}.1/24")
            for number in (2 * rack - 1, 2 * rack):
                await lab.add_node(number, f"leaf-{rack}", rack=rack, gateway=f"192.168.{rack}.1")
        lab.wire("leaf-1", "to-leaf-2", "leaf-2", "to-leaf-1", "10.0.0.1/30")
        lab.shell("leaf-2", "ip addr add 10.0.0.2/30 dev to-leaf-1")
        lab.show(racks())
        inside = [
            session(f"node_{it}", f"192.168.1.{10 + it}", 65001, 65001, rr_client=True) for it in (1, 2)
        ]
        outside = [session(f"node_{it}", f"192.168.2.{10 + it}", 65002, 64999) for it in (3, 4)]
        await lab.speak("leaf-1", router("192.168.1.1", *inside, session("leaf_2", "10.0.0.2", 64999, 65001)))
        await lab.speak(
            "leaf-2", router("192.168.2.1", *outside, session("leaf_1", "10.0.0.1", 65001, 64999))
        )
        leaf = "via 192.168.1.1 dev eth0"
        expected = {
            "10.244.1.0/26": "blackhole",
            "10.244.2.0/26": "via 192.168.1.12 dev eth0",
            "10.244.3.0/26": leaf,
            "10.244.4.0/26": leaf,
        }
        await eventually(lambda: lab.routes("node-1") == expected)
        other_way = {f"10.244.{it}.0/26": "via 192.168.2.1 dev eth0" for it in (1, 2, 4)}
        own = {"10.244.3.0/26": "blackhole"}
        await eventually(lambda: lab.routes("node-3") == own | other_way)
        lab.end()


async def test_a_filter_keeps_out_what_it_rejects_and_keeps_in_what_nobody_shall_hear(edge: BgpLab):
    reject = {"matchOperator": "Equal", "action": "Reject"}
    rules = bgp_filter(
        "careful",
        importV4=[{"cidr": "203.0.113.0/24", **reject}],
        exportV4=[{"cidr": "10.244.2.0/26", **reject}],
    )
    to_router = {"node": "node-1", "peerIP": ROUTER, "asNumber": 65000}
    edge.show(mesh(2, peer("router", **to_router)))
    await speak(edge)
    way = f"via {ROUTER} dev eth0"
    both = {"198.51.100.0/24": way, "203.0.113.0/24": way}
    await eventually(lambda: edge.routes("node-1") == bare(1, 2) | both)
    await eventually(lambda: hears(edge, "10.244.1.0/26", "10.244.2.0/26"))
    before = (await edge.sessions("node-1"))["Node_192_168_0_1"].since
    edge.show(mesh(2, rules, peer("router", **to_router, filters=["careful"])))
    await eventually(lambda: edge.routes("node-1") == bare(1, 2) | {"198.51.100.0/24": way})
    await eventually(lambda: hears(edge, "10.244.1.0/26"))
    after = (await edge.sessions("node-1"))["Node_192_168_0_1"].since
    assert same_moment(after, before), "filters cost no session"


async def test_what_a_filter_does_to_a_route_arrives(edge: BgpLab):
    rules = bgp_filter(
        "painter",
        exportV4=[
            {
                "cidr": "10.244.1.0/26",
                "matchOperator": "In",
                "peerType": "eBGP",
                "action": "Accept",
                "operations": [
                    {"addCommunity": {"value": "65000:42"}},
                    {"prependASPath": {"prefix": [64700, 64701]}},
                ],
            }
        ],
    )
    edge.show(
        mesh(2, rules, peer("router", node="node-1", peerIP=ROUTER, asNumber=65000, filters=["painter"]))
    )
    await speak(edge)

    async def painted() -> bool:
        route = (await heard(edge))["10.244.1.0/26"]
        return route.communities == ((65000, 42),) and route.as_path == (64512, 64700, 64701)

    await eventually(painted)


async def test_a_priority_that_a_filter_sets_is_the_metric_of_the_route(edge: BgpLab):
    urgent = {"cidr": "198.51.100.0/24", "matchOperator": "Equal", "action": "Accept"}
    rules = bgp_filter("urgent", importV4=[{**urgent, "operations": [{"setPriority": {"value": 512}}]}])
    edge.show(
        mesh(2, rules, peer("router", node="node-1", peerIP=ROUTER, asNumber=65000, filters=["urgent"]))
    )
    await speak(edge)
    shown = {
        "198.51.100.0/24 via 192.168.0.1 proto bird metric 512",
        "10.244.2.0/26 via 192.168.0.12 proto bird",
    }

    def routes() -> set[str]:
        return set(map(str.strip, edge.shell("node-1", "ip route show dev eth0").splitlines()))

    await eventually(lambda: shown <= routes())


async def test_communities_and_services_are_announced_and_services_get_no_route(edge: BgpLab):
    announced = configuration(
        communities=[{"name": "gold", "value": "64512:300"}],
        prefixAdvertisements=[{"cidr": "10.244.0.0/16", "communities": ["gold", "64512:300:1"]}],
        serviceClusterIPs=[{"cidr": "10.96.0.0/16"}],
    )
    edge.show(mesh(2, announced, peer("router", node="node-1", peerIP=ROUTER, asNumber=65000)))
    await speak(edge)

    async def told() -> bool:
        routes = await heard(edge)
        block, services = routes["10.244.1.0/26"], routes["10.96.0.0/16"]
        assert services.communities == ()
        return block.communities == ((64512, 300),) and block.large_communities == ((64512, 300, 1),)

    await eventually(told)
    assert "10.96.0.0/16" not in edge.routes("node-1") | edge.routes("node-2")


async def test_with_one_password_at_both_ends_the_session_comes_up_and_with_another_it_does_not(edge: BgpLab):
    snapshot = mesh(2, peer("router", node="node-1", peerIP=ROUTER, asNumber=65000, password=PASSWORD))
    edge.show(snapshot)
    await have(edge, 1, 2)
    assert "# Node_192_168_0_1 is left out: there is no Secret bgp-secrets" in edge.config("node-1")
    await speak(edge, password="a secret")
    edge.keepers["node-1"].want(bird_config(snapshot, "node-1", {SECRET: "another"}))
    await eventually(lambda: edge.keepers["node-1"].is_up)
    await eventually(lambda: wrong_signatures(edge) > 0)
    assert await heard(edge) == {}
    edge.keepers["node-1"].want(bird_config(snapshot, "node-1", {SECRET: "a secret"}))

    async def told() -> bool:
        return "10.244.1.0/26" in await heard(edge)

    await eventually(told)


def wrong_signatures(lab: BgpLab) -> int:
    """Segments that the router's kernel dropped because of their signature."""
    return md5_drops(Path(f"/proc/{lab.pids[SWITCH]}/net/netstat").read_text()).wrong


async def test_a_peer_beyond_a_router_is_reached_by_the_way_that_is_named(edge: BgpLab):
    await edge.add_host("far")
    edge.wire("far", "eth0", SWITCH, "to-far", "192.0.2.1/24")
    edge.shell(SWITCH, "ip addr add 192.0.2.254/24 dev to-far")
    edge.shell("far", "ip route add default via 192.0.2.254")
    far = peer("far", node="node-1", peerIP="192.0.2.1", asNumber=65000, reachableBy=ROUTER, ttlSecurity=2)
    edge.show(mesh(2, far))
    options = {"multihop": 2, "ttl_security": True}
    await edge.speak("far", router("192.0.2.1", session("node_1", "192.168.0.11", 64512, 65000, **options)))
    await eventually(lambda: edge.routes("node-1").get("192.0.2.1") == f"via {ROUTER} dev eth0")
    await edge.established("far", count=1)
