"""The transcripts of tests/golden/bird are what the installed bird says; --rewrite records them anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.bird_lab import BirdLab, address, bird_lab, node_config, peer
from support.bird_transcripts import FOLDER, record, shapes, transcript
from support.eventually import eventually

from fabric.bird.bgp import BgpChannel
from fabric.bird.config import Channel, Kernel, Text
from fabric.bird.daemon import until_up
from fabric.bird.language import statements

pytestmark = pytest.mark.netns

QUESTIONS = (
    "show status",
    "show protocols",
    "show protocols all",
    "show route",
    "show route all",
    "show route for 10.244.2.5",
    "show route export Mesh_192_168_0_2",
    "show memory",
    "configure check",
    "configure",
    "reload in all",
    'reload out "Mesh_192_168_0_2"',
    'disable "Mesh_192_168_0_9"',
    'enable "Mesh_192_168_0_9"',
    'restart "Mesh_192_168_0_9"',
)
REFUSED = (
    "show nothing",
    "show route for 1.2.3.4",
    "show route protocol nobody",
    'reload "nobody"',
    'configure "/nowhere/bird.conf"',
)
STATICS = Text("""
protocol static services {
    ipv4;
    route 10.96.0.0/16 unreachable;
    route 10.97.0.0/16 prohibit;
    route 10.98.0.0/16 via 192.168.0.2 weight 2 via 192.168.0.3 weight 1;
    route 10.99.0.0/16 via 192.168.0.3 onlink;
}""")
TAGGED = BgpChannel(
    export=statements(
        "if source = RTS_STATIC then {\n"
        "    bgp_community.add((65000,1));\n"
        "    bgp_large_community.add((65000,1,2));\n"
        "    accept;\n"
        "}\n"
        "if source = RTS_BGP then accept;\n"
        "reject;"
    ),
    add_paths="on",
    next_hop="self",
)
ALSO_LEARNED = Kernel(
    learn=True,
    merge_paths=True,
    channel=Channel(export="where source = RTS_BGP"),
)


@pytest.fixture
def lab() -> Iterator[BirdLab]:
    with bird_lab("node-1", "node-2", "node-3") as birds:
        yield birds


def keep(name: str, written: bytes, rewrite: bool) -> None:
    if rewrite:
        (FOLDER / f"{name}.txt").write_bytes(written)


def _meet(me: str, other: str, my_as: int, other_as: int, *options: str):
    return peer(me, other, my_as, other_as, *options, channel=TAGGED)


async def test_a_router_with_sessions_says_what_was_recorded(lab: BirdLab, pytestconfig: pytest.Config):
    lab.run("node-1", "ip route add 10.100.0.0/24 via 192.168.0.3")
    reflect = ("rr client", "rr cluster id 244.0.0.1", "graceful restart")
    sessions = (
        _meet("node-1", "node-2", 64512, 64513),
        _meet("node-1", "node-3", 64512, 64512, *reflect),
        _meet("node-1", "node-9", 64512, 64512),
    )
    lab.start("node-1", node_config("node-1", STATICS, *sessions, kernel=ALSO_LEARNED))
    lab.start("node-2", node_config("node-2", _meet("node-2", "node-1", 64513, 64512, "passive")))
    lab.start("node-3", node_config("node-3", _meet("node-3", "node-1", 64512, 64512, "passive")))
    client = lab.daemon("node-1").client("node-1")
    await until_up(client)

    async def everything_is_there() -> bool:
        two, three, nine = await client.protocols("Mesh_*")
        counts = [(c.imported, c.exported) for c in (two.channels[0], three.channels[0])]
        return counts == [(1, 6), (1, 6)] and nine.bgp.state == "Connect"

    await eventually(everything_is_there)
    written = record(lab.daemon("node-1").control_socket, QUESTIONS)
    rewrite = pytestconfig.getoption("--rewrite")
    keep("established", written, rewrite)
    recorded = b"".join(b">>> %s\n%s" % (q.encode(), a) for q, a in transcript("established").items())
    assert shapes(written) == shapes(recorded)

    refused = record(lab.daemon("node-1").control_socket, REFUSED)
    keep("refusals", refused, rewrite)
    recorded = b"".join(b">>> %s\n%s" % (q.encode(), a) for q, a in transcript("refusals").items())
    assert shapes(refused) == shapes(recorded)


async def test_sessions_that_are_down_say_what_was_recorded(lab: BirdLab, pytestconfig: pytest.Config):
    sessions = (
        peer("node-1", "node-2", 64512, 64519),
        peer("node-1", "node-3", 64512, 64512, "graceful restart"),
        peer("node-1", "node-4", 64512, 64512, "disabled"),
    )
    lab.run("node-1", f"ip route add prohibit {address('node-5')}")
    lab.start("node-1", node_config("node-1", *sessions, peer("node-1", "node-5", 64512, 64512)))
    lab.start("node-2", node_config("node-2", peer("node-2", "node-1", 64513, 64512)))
    lab.start("node-3", node_config("node-3", peer("node-3", "node-1", 64512, 64512, "graceful restart")))
    client = lab.daemon("node-1").client("node-1")
    await until_up(client)
    await eventually(lambda: _is_in_use(client, "Mesh_192_168_0_3"))
    lab.kill("node-3")

    async def all_have_their_reasons() -> bool:
        two, three, _, five = [p.bgp for p in await client.protocols("Mesh_*")]
        return bool(two.last_error and three.is_neighbor_restarting and five.last_error)

    await eventually(all_have_their_reasons)
    written = record(lab.daemon("node-1").control_socket, ('show protocols all "Mesh_*"',))
    keep("down", written, pytestconfig.getoption("--rewrite"))
    recorded = b"".join(transcript("down").values())
    assert _errors(written) == _errors(recorded)


async def _is_in_use(client, name: str) -> bool:
    (protocol,) = await client.protocols(name)
    return protocol.bgp.is_established and protocol.channels[0].imported == 1


def _errors(written: bytes) -> set[str]:
    return {line for line in shapes(written) if line.startswith(("Last error", "Neighbor graceful"))}
