"""Every BGP session of a cluster, as the daemons at its ends tell it: state, routes, and why it is down.

A session has two ends, and each end is a line: they see it differently when something is wrong. A daemon that
does not answer is a line too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fabric.bird.protocols import BgpSession, Protocol
from fabric.bird.reasons import Md5Drops, md5_drops, reason
from fabric.bird.status import Status
from fabric.cluster import runtimes
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.spec import ClusterSpec
from fabric.errors import FabricError
from fabric.verify import birds
from fabric.verify.birds import Address, Bird

NO_ANSWER = "No answer"


@dataclass(frozen=True, slots=True)
class Session:
    """The end of a BGP session at one daemon."""

    node: str
    """The host whose daemon tells it: a node or a router."""
    session: str
    """The daemon's name for it; empty where the daemon does not answer."""
    peer: str = ""
    """The host at the other end, where its address is one of the underlay's."""
    address: str = ""
    as_number: int = 0
    local_as: int = 0
    type: str = ""
    """internal or external; `client` where this end reflects routes to the other."""
    state: str = ""
    """BIRD's: Established, Active, Connect …; `No answer` where the daemon gives none."""
    seconds: float = 0.0
    """In this state, by the daemon's clock."""
    received: int = 0
    """Routes from the peer that are in the daemon's table."""
    sent: int = 0
    reason: str = ""
    """Why it is not established; of a peer that restarts, that its routes are kept meanwhile."""

    @property
    def is_established(self) -> bool:
        return self.state == "Established"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


async def sessions(paths: ClusterPaths, spec: ClusterSpec) -> list[Session]:
    """Ask all daemons; the sessions in the order of hosts and of the daemons' files."""
    found = birds.birds(paths, spec)
    told = await birds.ask_each(found, _ask)
    down = any(isinstance(it, _Told) and any(_is_down(p) for p in it.protocols) for it in told)
    drops = await _drops(paths, spec, [bird.host for bird in found]) if down else {}
    names = birds.hosts_by_address(spec)
    lines: list[Session] = []
    for bird, answer in zip(found, told, strict=True):
        if isinstance(answer, _Told):
            lines += answer.sessions(bird.host, names, drops.get(bird.host, Md5Drops()))
        else:
            lines.append(Session(bird.host, "", state=NO_ANSWER, reason=str(answer)))
    return lines


@dataclass(frozen=True, slots=True)
class _Told:
    """The answer of a daemon to one question."""

    status: Status
    protocols: tuple[Protocol, ...]

    def sessions(self, host: str, names: Mapping[Address, str], drops: Md5Drops) -> list[Session]:
        return [
            _session(host, protocol, protocol.bgp, self.status, names, drops)
            for protocol in self.protocols
            # Without an address it is no session but an open door, by which sessions come in.
            if protocol.bgp is not None and protocol.bgp.neighbor_address
        ]


async def _ask(bird: Bird) -> _Told | FabricError:
    client = bird.client
    try:
        return _Told(await client.status(), await client.protocols())
    except FabricError as error:
        return error


def _session(
    host: str,
    protocol: Protocol,
    bgp: BgpSession,
    status: Status,
    names: Mapping[Address, str],
    drops: Md5Drops,
) -> Session:
    return Session(
        node=host,
        session=protocol.name,
        peer=birds.host_of(bgp.neighbor_address, names),
        address=bgp.neighbor_address,
        as_number=bgp.neighbor_as,
        local_as=bgp.local_as,
        type=_type(bgp),
        state="Down" if protocol.state == "down" else bgp.state,
        seconds=round(protocol.uptime_seconds(status.now), 3),
        received=sum(channel.imported for channel in protocol.channels),
        sent=sum(channel.exported for channel in protocol.channels),
        reason=_reason(protocol, bgp, drops),
    )


def _type(bgp: BgpSession) -> str:
    side = "internal" if bgp.neighbor_as == bgp.local_as else "external"
    return f"{side}, client" if "route-reflector" in bgp.kind else side


def _reason(protocol: Protocol, bgp: BgpSession, drops: Md5Drops) -> str:
    why = reason(protocol, drops)
    if not bgp.is_neighbor_restarting:
        return why
    left = f" for {bgp.restart_timer.left_seconds:.0f} s more" if bgp.restart_timer else ""
    return "; ".join(filter(None, (why, f"its routes are kept{left}")))


def _is_down(protocol: Protocol) -> bool:
    return protocol.bgp is not None and not protocol.bgp.is_established


async def _drops(paths: ClusterPaths, spec: ClusterSpec, hosts: Sequence[str]) -> Mapping[str, Md5Drops]:
    """Count the segments that each host's kernel dropped for a wrong TCP MD5 signature."""
    pids = await runtimes.host_pids(paths, spec.workers)
    return {host: md5_drops(_netstat(pids[host])) for host in hosts if host in pids}


def _netstat(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/net/netstat").read_text()
    except OSError:
        return ""
