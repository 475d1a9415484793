"""The health of a cluster's network, read from its spec, its BGP daemons and its nodes' packet filters.

Nothing is repaired here. `fabric status` tells it beside what the API knows.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from fabric.cluster import runtimes
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.runtimes import all_connections
from fabric.cluster.spec import ClusterSpec
from fabric.cluster.underlay.drift import drift
from fabric.cluster.underlay.state import Underlay
from fabric.errors import FabricError
from fabric.kernel import programs
from fabric.topology.wiring import natural
from fabric.verify import birds
from fabric.verify.bgp import NO_ANSWER, Session, sessions

AT_ONCE = 16
"""Nodes whose rules are read at one time."""
OURS = ("cali", "FLANNEL-", "KUBE-")
"""Prefixes of chains that plugins and kube-proxy own."""
_SIGNED = ("cali:", "flanneld", "kubernetes", "kube-proxy", "service", "fabric")
"""What stands in the comments of their rules."""
_BUILT_IN = frozenset({"INPUT", "FORWARD", "OUTPUT", "PREROUTING", "POSTROUTING"})
_CHAIN = re.compile(r"-A (\S+)")
_TARGET = re.compile(r" -[jg] (\S+)")
_COMMENT = re.compile(r'--comment (?:"((?:[^"\\]|\\.)*)"|(\S+))')
_LISTENING = "0A"
_OWN_ROUTING_RULES = (
    "0: from all lookup local",
    "32766: from all lookup main",
    "32767: from all lookup default",
)


async def troubles(paths: ClusterPaths, spec: ClusterSpec) -> list[str]:
    """Say what is wrong, one line each: links, BGP, rules of strangers."""
    found = pulled(spec)
    try:
        pids = await runtimes.host_pids(paths, spec.workers)
    except FabricError as error:
        return [*found, str(error)]
    found += await not_as_wired(spec, pids)
    if birds.birds(paths, spec):
        ends = await sessions(paths, spec)
        found += down_sessions(ends)
        speakers = {it.node for it in ends if it.session}
        found += deaf(await _processes(paths, spec, speakers))
    return [*found, *await _strangers(pids, [node.name for node in spec.nodes])]


def pulled(spec: ClusterSpec) -> list[str]:
    """Links that `fabric link down` pulled, or that the file has so."""
    links = spec.underlay.wiring().links
    return [f"link {it.name} is down; put it back: fabric link up {it.a} {it.b}" for it in links if not it.up]


async def not_as_wired(spec: ClusterSpec, pids: Mapping[str, int]) -> list[str]:
    """Devices, addresses and routes of the underlay that are not as the spec says, a line for each host."""
    underlay = Underlay.of(spec)
    try:
        found = await drift(underlay, pids, pids.keys() & underlay.states.keys())
    except FabricError as error:
        return [f"the underlay: {error}"]
    return [
        f"{host}: the underlay is not as the topology says, which needs: {str(plan).splitlines()[0]}"
        for host, plan in found.items()
    ]


def down_sessions(found: Sequence[Session]) -> list[str]:
    """Sessions that are not established, with what each end says, and daemons that do not answer."""
    lines = []
    ends: dict[tuple[str, str], list[Session]] = {}
    for it in found:
        if it.state != NO_ANSWER and not it.is_established:
            ends.setdefault((it.node, it.peer or it.address), []).append(it)
    for a, b in sorted(ends, key=lambda pair: (natural(pair[0]), natural(pair[1]))):
        for here, there in zip_longest(ends.pop((a, b), ()), ends.pop((b, a), ())):
            (host, peer, first), *others = [
                (*way, end) for way, end in (((a, b), here), ((b, a), there)) if end is not None
            ]
            other = "".join(f"; at {name} {_told(end)}" for name, _, end in others)
            lines.append(f"BGP session of {host} to {peer} is {_told(first)}{other}")
    return lines + [f"BGP on {it.node}: {it.reason}" for it in found if it.state == NO_ANSWER]


def _told(end: Session) -> str:
    return f"{end.state}: {end.reason}" if end.reason else end.state


async def _processes(paths: ClusterPaths, spec: ClusterSpec, hosts: Container[str]) -> Mapping[str, int]:
    """The process of each of these hosts' BIRDs."""
    found: dict[str, int] = {}
    async with all_connections(paths, spec.workers) as runtimes:
        for runtime in runtimes:
            for host in await runtime.nodes():
                if host in hosts:
                    daemons = {it.name: it.pid for it in await runtime.daemons(host)}
                    found[host] = next((pid for name, pid in daemons.items() if "bird" in name), 0)
    return {host: pid for host, pid in found.items() if pid}


def deaf(daemons: Mapping[str, int]) -> list[str]:
    """Hosts whose BGP daemon, a process by host, has lost its listening socket."""
    return [
        f"BGP on {host}: BIRD does not listen, so no peer can connect to it"
        for host, pid in daemons.items()
        if not _is_listening(pid)
    ]


def _is_listening(pid: int) -> bool:
    """Whether a process has a listening TCP socket; one that is gone is told elsewhere."""
    folder = Path(f"/proc/{pid}")
    try:
        mine = {str(fd.readlink()) for fd in (folder / "fd").iterdir()}
        tables = [(folder / "net" / name).read_text() for name in ("tcp", "tcp6")]
    except OSError:
        return True
    return any(f"socket:[{inode}]" in mine for text in tables for inode in listening(text))


def listening(text: str) -> Iterator[str]:
    """Inodes of the listening sockets of a /proc/net/tcp."""
    rows = (line.split() for line in text.splitlines())
    return (row[9] for row in rows if len(row) > 9 and row[3] == _LISTENING)


async def _strangers(pids: Mapping[str, int], nodes: Sequence[str]) -> list[str]:
    turns = asyncio.Semaphore(AT_ONCE)

    async def look(node: str) -> list[str]:
        async with turns:
            try:
                saved, routing = await asyncio.to_thread(_rules_in, pids[node])
            except (FabricError, OSError):
                return []
        found = (*strange_rules(saved), *strange_routing_rules(routing))
        return [f"{node}: a rule that the network did not make: {rule}" for rule in found]

    found = await asyncio.gather(*(look(node) for node in nodes if node in pids))
    return [line for lines in found for line in lines]


def _rules_in(pid: int) -> tuple[str, str]:
    """The rules of iptables, and those by which the kernel chooses a routing table."""
    saved = programs.run(pid, programs.save(programs.detect_flavour(pid), 4))
    return saved, "".join(programs.run(pid, ("ip", family, "rule")) for family in ("-4", "-6"))


def strange_routing_rules(told: str) -> list[str]:
    """Rules of `ip rule` that are not the kernel's own three: nothing of ours makes any."""
    return [f"ip rule {line}" for line in map(_spaced, told.splitlines()) if line not in _OWN_ROUTING_RULES]


def _spaced(line: str) -> str:
    return " ".join(line.split())


def strange_rules(saved: str) -> list[str]:
    """Rules of `iptables-save` that stand in a chain of ours, or in a built-in one, and are nobody's of us.

    Ours jump to a chain of ours or are signed in their comment.
    """
    return [line for line in saved.splitlines() if line.startswith("-A ") and _is_strange(line)]


def _is_strange(rule: str) -> bool:
    chain = _CHAIN.match(rule)
    if chain is None or not (chain[1] in _BUILT_IN or chain[1].startswith(OURS)):
        return False
    if any(sign in (quoted or bare) for quoted, bare in _COMMENT.findall(rule) for sign in _SIGNED):
        return False
    target = _TARGET.search(rule)
    return target is None or not target[1].startswith(OURS)
