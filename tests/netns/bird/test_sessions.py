"""Real birds on one bridge: sessions come up, routes reach kernels, and go again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pybird import PyBird
from support.bird_lab import BirdLab, bird_lab, node_config, peer
from support.bird_time import same_moment
from support.eventually import eventually

from fabric.bird.client import BirdClient, BirdRefused
from fabric.bird.config import Channel, Config, Kernel, Text
from fabric.bird.daemon import until_up
from fabric.bird.language import block, onlink_through, statements
from fabric.bird.reasons import md5_drops, reason

pytestmark = pytest.mark.netns


@pytest.fixture
def two() -> Iterator[BirdLab]:
    with bird_lab("node-1", "node-2") as birds:
        yield birds


@pytest.fixture
def three() -> Iterator[BirdLab]:
    with bird_lab("node-1", "node-2", "node-3") as birds:
        yield birds


def ebgp(me: str, other: str, *options: str):
    numbers = {"node-1": 64512, "node-2": 64513}
    return peer(me, other, numbers[me], numbers[other], *options)


def ibgp(me: str, other: str, *options: str):
    return peer(me, other, 64512, 64512, *options)


async def have(lab: BirdLab, node: str, *routes: str) -> None:
    """Wait until BIRD has written just these into the node's kernel."""
    await eventually(lambda: lab.kernel_routes(node) == [f"{route} metric 32" for route in routes])


async def established(client: BirdClient, count: int) -> None:
    async def all_up() -> bool:
        sessions = [p.bgp for p in await client.protocols("Mesh_*")]
        return len(sessions) == count and all(session.is_established for session in sessions)

    await eventually(all_up)


async def start(lab: BirdLab, **configs: Config) -> list[BirdClient]:
    clients = []
    for name, config in configs.items():
        node = name.replace("_", "-")
        lab.start(node, config)
        clients.append(lab.daemon(node).client(node))
    for client in clients:
        await until_up(client)
    return clients


async def test_an_ebgp_pair_writes_each_others_routes_and_a_death_withdraws_them(two: BirdLab):
    one, _ = await start(
        two,
        node_1=node_config("node-1", ebgp("node-1", "node-2")),
        node_2=node_config("node-2", ebgp("node-2", "node-1", "passive")),
    )
    await have(two, "node-1", "10.244.2.0/26 via 192.168.0.2 dev eth0")
    await have(two, "node-2", "10.244.1.0/26 via 192.168.0.1 dev eth0")
    await established(one, 1)
    assert (await one.protocols("Mesh_*"))[0].bgp.kind[0] == "external"
    exported = await one.routes(exported_to="Mesh_192_168_0_2", details=True)
    assert [str(route.prefix) for route in exported] == ["10.244.1.0/26"]
    assert (await one.memory())["Total"].effective > 0

    agree_with_pybird(two.daemon("node-1").control_socket, (await one.protocols("Mesh_*"))[0])
    two.kill("node-2")
    await have(two, "node-1")
    (session,) = await one.protocols("Mesh_*")
    assert not session.bgp.is_established and reason(session) != ""


def agree_with_pybird(control_socket: Path, ours) -> None:
    """PyPI's pybird reads of a session what we read, as far as it reads."""
    (theirs,) = PyBird(str(control_socket)).get_peer_status()
    (channel,) = ours.channels
    assert (theirs["name"], theirs["address"]) == (ours.name, ours.bgp.neighbor_address)
    assert (theirs["asn"], theirs["router_id"]) == (str(ours.bgp.neighbor_as), str(ours.bgp.neighbor_id))
    assert (theirs["routes_imported"], theirs["routes_exported"]) == (channel.imported, channel.exported)
    assert theirs["import_updates_received"] == channel.import_updates.received
    assert theirs["up"] is ours.bgp.is_established


async def test_a_mesh_with_one_dialling_side_a_pair_comes_up_at_the_first_call(three: BirdLab):
    clients = await start(
        three,
        node_1=node_config("node-1", ibgp("node-1", "node-2"), ibgp("node-1", "node-3")),
        node_2=node_config("node-2", ibgp("node-2", "node-1", "passive"), ibgp("node-2", "node-3")),
        node_3=node_config(
            "node-3", ibgp("node-3", "node-1", "passive"), ibgp("node-3", "node-2", "passive")
        ),
    )
    for client in clients:
        await established(client, 2)
        assert {p.bgp.last_error for p in await client.protocols("Mesh_*")} == {""}
    await have(
        three,
        "node-2",
        "10.244.1.0/26 via 192.168.0.1 dev eth0",
        "10.244.3.0/26 via 192.168.0.3 dev eth0",
    )


async def test_a_reflector_gives_its_clients_routes_to_each_other(three: BirdLab):
    reflecting = ("rr client", "rr cluster id 244.0.0.1")
    _, client, _ = await start(
        three,
        node_1=node_config(
            "node-1", ibgp("node-1", "node-2", *reflecting), ibgp("node-1", "node-3", *reflecting)
        ),
        node_2=node_config("node-2", ibgp("node-2", "node-1", "passive")),
        node_3=node_config("node-3", ibgp("node-3", "node-1", "passive")),
    )
    await have(
        three,
        "node-2",
        "10.244.1.0/26 via 192.168.0.1 dev eth0",
        "10.244.3.0/26 via 192.168.0.3 dev eth0",
    )
    (reflected,) = [r for r in await client.routes(details=True) if str(r.prefix) == "10.244.3.0/26"]
    assert str(reflected.learned_from) == "192.168.0.1" and str(reflected.bgp_next_hop) == "192.168.0.3"
    assert reflected.attribute("BGP.cluster_list") == "244.0.0.1"


async def test_reconfiguring_keeps_the_sessions_that_stay_as_they_were(three: BirdLab):
    to_two = ibgp("node-1", "node-2")
    client, _, _ = await start(
        three,
        node_1=node_config("node-1", to_two),
        node_2=node_config("node-2", ibgp("node-2", "node-1", "passive")),
        node_3=node_config("node-3", ibgp("node-3", "node-1", "passive")),
    )
    await established(client, 1)
    since = (await client.protocols("Mesh_*"))[0].since

    daemon = three.daemon("node-1")
    more = node_config("node-1", to_two, ibgp("node-1", "node-3"))
    assert not daemon.runs(more)
    assert await daemon.reconfigure(client, more) == "Reconfigured"
    assert daemon.runs(more) and daemon.config.stat().st_mode & 0o077 == 0
    await established(client, 2)

    with pytest.raises(BirdRefused, match=r"bird\.conf\.new:\d+:\d+ .*unexpected"):
        await daemon.reconfigure(client, node_config("node-1", Text("protocol nonsense;")))
    assert daemon.runs(more) and not list(daemon.folder.glob("*.new"))
    assert same_moment((await client.protocols("Mesh_192_168_0_2"))[0].since, since)
    assert len(await client.protocols("Mesh_*")) == 2


async def test_a_wrong_password_has_its_reason_in_the_kernels_counters(two: BirdLab):
    one, other = await start(
        two,
        node_1=node_config("node-1", ebgp("node-1", "node-2", 'password "one"')),
        node_2=node_config("node-2", ebgp("node-2", "node-1", 'password "other"')),
    )

    async def is_blamed() -> bool:
        (session,) = await one.protocols("Mesh_*")
        return reason(session, md5_drops(two.run("node-1", "cat /proc/self/net/netstat"))).startswith(
            "wrong password: "
        )

    await eventually(is_blamed)
    right = node_config("node-2", ebgp("node-2", "node-1", 'password "one"'))
    await two.daemon("node-2").reconfigure(other, right)
    await established(other, 1)


async def test_a_session_is_disabled_until_it_is_enabled_or_bird_is_configured(two: BirdLab):
    (client,) = await start(two, node_1=node_config("node-1", ebgp("node-1", "node-2")))

    async def state() -> str:
        (session,) = await client.protocols("Mesh_192_168_0_2")
        return session.state

    await client.disable("Mesh_192_168_0_2")
    assert await state() == "down"
    await client.enable("Mesh_192_168_0_2")
    assert await state() == "start"
    await client.disable("all")
    assert await state() == "down"
    await client.configure()
    assert await state() == "start"
    await client.restart("Mesh_192_168_0_2")
    await client.reload()
    with pytest.raises(BirdRefused, match="No protocols match"):
        await client.restart("Mesh_192_168_0_3")
    assert await client.protocols("Mesh_192_168_0_3") == ()


TUNNEL = Kernel(
    channel=Channel(
        export=statements(
            block("if source = RTS_BGP then", (onlink_through("tunl0"), "accept;")) + "\nreject;"
        )
    )
)


async def test_routes_through_a_device_are_onlink_and_come_when_it_comes_and_is_told(two: BirdLab):
    client, _ = await start(
        two,
        node_1=node_config("node-1", ebgp("node-1", "node-2"), kernel=TUNNEL),
        node_2=node_config("node-2", ebgp("node-2", "node-1", "passive")),
    )
    await established(client, 1)
    assert two.kernel_routes("node-1") == []

    two.run("node-1", "ip tuntap add tunl0 mode tun")
    two.run("node-1", "ip link set tunl0 up")

    async def is_there_after_a_reload() -> bool:
        await client.reload("kernel1", "out")
        return two.kernel_routes("node-1") == [
            "10.244.2.0/26 via 192.168.0.2 dev tunl0 metric 32 onlink linkdown"
        ]

    await eventually(is_there_after_a_reload)


async def test_a_restart_keeps_the_kernels_routes_until_the_peers_have_spoken(two: BirdLab):
    kept = Kernel(persist=True, graceful_restart=True, channel=Channel(export="where source = RTS_BGP"))
    first = node_config("node-1", ebgp("node-1", "node-2", "graceful restart"), kernel=kept)
    client, other = await start(
        two,
        node_1=first,
        node_2=node_config("node-2", ebgp("node-2", "node-1", "graceful restart")),
    )
    route = "10.244.2.0/26 via 192.168.0.2 dev eth0"
    await have(two, "node-1", route)
    await have(two, "node-2", "10.244.1.0/26 via 192.168.0.1 dev eth0")
    await client.shut_down(for_restart=True)
    await eventually(lambda: two.has_ended("node-1"))
    two.start("node-1", first, again=True)
    assert (await until_up(client)).is_recovering
    await have(two, "node-1", route)
    await have(two, "node-2", "10.244.1.0/26 via 192.168.0.1 dev eth0")
    await established(other, 1)
