"""node status: whether Calico runs on a node, and its BGP sessions as its BIRD has them.

The real calicoctl looks at the machine that it runs on. All nodes are on this one: without --node, all of
them are shown, one after another.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from calico.calicoctl import printing
from calico.calicoctl.arguments import Arguments, Option, Usage
from calico.calicoctl.session import Refused, Session, Subcommand
from calico.resources.datastore import listed
from calico.resources.nodes import Node
from fabric.api.kinds import NODE
from fabric.api.objects import condition, condition_is
from fabric.bird.client import BirdAway, BirdClient
from fabric.bird.protocols import Protocol
from fabric.bird.status import moment
from fabric.errors import FabricError, NotFound
from fabric.plugin.commands import Cluster

SOCKET = "run/calico/bird.ctl"
ASKED_AT_ONCE = 32
_SESSION = re.compile(r"(Global|Node|Mesh)_(.+)")
_TYPES = {"Global": "global", "Mesh": "node-to-node mesh", "Node": "node specific"}
_HEADINGS = ("Peer address", "Peer type", "State", "Since", "Info")


@dataclass(frozen=True, slots=True)
class Seen:
    """The BGP state of a node."""

    node: str
    runs: bool
    """Whether Calico's agent is at work there."""
    bird: Sequence[Protocol] | None
    """What its BIRD says; None when it does not answer."""
    now: datetime = datetime.min
    """The BIRD's clock."""


async def _status(session: Session, arguments: Arguments) -> None:
    cluster = await session.cluster()
    names = [node.name for node in await listed(cluster.store, Node)]
    wanted = arguments.value("node")
    if wanted and wanted not in names:
        raise Refused(f"resource does not exist: Node({wanted}) with error: <nil>")
    turns = asyncio.Semaphore(ASKED_AT_ONCE)
    seen = await asyncio.gather(*(_ask(cluster, name, turns) for name in names if wanted in ("", name)))
    for each in seen:
        session.write(told(each, headed=not wanted))
    idle = [each.node for each in seen if not each.runs]
    if idle:
        raise Refused(f"Calico process is not running on {', '.join(idle)}." if not wanted else _IDLE)


_IDLE = "Calico process is not running."


def told(seen: Seen, *, headed: bool) -> str:
    """The text that is printed for a node."""
    lines = [seen.node] if headed else []
    if not seen.runs:
        return "\n".join([*lines, _IDLE, "", ""]) if headed else ""
    lines.append("Calico process is running.")
    if seen.bird is None:
        lines += ["", "The BGP backend process (BIRD) is not running.", ""]
        return "\n".join(lines) + "\n"
    rows: dict[int, list[Sequence[str]]] = {4: [], 6: []}
    for protocol in seen.bird:
        if (found := _row(protocol, seen.now)) is not None:
            rows[found[0]].append(found[1])
    for family, sessions in rows.items():
        lines += ["", f"IPv{family} BGP status"]
        none = f"No IPv{family} peers found."
        lines.append(printing.boxed(_HEADINGS, sessions).rstrip("\n") if sessions else none)
    return "\n".join(lines) + "\n\n"


def _row(protocol: Protocol, now: datetime) -> tuple[int, Sequence[str]] | None:
    """Family and cells of a session; None for what is no session of Calico's."""
    found = _SESSION.fullmatch(protocol.name)
    if found is None or protocol.proto != "BGP":
        return None
    type_, tail = found.groups()
    address = protocol.bgp.neighbor_address if protocol.bgp else ""
    address = address or tail.partition("_port_")[0].replace("_", "." if tail.count("_") == 3 else ":")
    try:
        family = ip_address(address).version
    except ValueError:
        return None
    info = " ".join(protocol.info.split())
    return family, (address, _TYPES[type_], protocol.state, _since(protocol.since, now), info)


def _since(text: str, now: datetime) -> str:
    """A time in BIRD's default format: the hour of what is younger than 20 hours, else the day."""
    try:
        then = moment(text, now)
    except ValueError:
        return text
    return f"{then:%H:%M:%S}" if now - then < timedelta(hours=20) else f"{then:%Y-%m-%d}"


async def _ask(cluster: Cluster, name: str, turns: asyncio.Semaphore) -> Seen:
    async with turns:
        if not await _runs(cluster, name):
            return Seen(name, False, None)
        bird = BirdClient(cluster.folders(name) / SOCKET, name=f"bird of {name}")
        try:
            return Seen(name, True, await bird.protocols(), (await bird.status()).now)
        except BirdAway:
            return Seen(name, True, None)


async def _runs(cluster: Cluster, name: str) -> bool:
    """The kubelet says so: it lives, and it hears from the agent."""
    try:
        node = await cluster.client.get(NODE, name)
    except NotFound:
        return False
    except FabricError as error:
        raise Refused(f"the API server does not say whether nodes live: {error}") from None
    lives = not condition_is(node, "Ready", "Unknown")
    return lives and condition(node, "NetworkUnavailable") is not None


SUBCOMMANDS: Sequence[Subcommand] = (
    Subcommand(
        Usage(
            "node status",
            "[--node=<NODE>]",
            "Show BGP sessions, node by node.",
            "Whether Calico runs on the node, and what its BIRD says of each session.",
            (Option("node", "This node only; without it, all.", value="NODE"),),
            (("The sessions of node-1.", "node status --node=node-1"),),
        ),
        _status,
    ),
)
