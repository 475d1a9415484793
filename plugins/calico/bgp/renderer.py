"""The renderer makes every node's bird.cfg out of shared resources and passwords, and the node's own blocks.

The order of the file is upstream's: functions and filters, kernel, device and direct, the static routes, the
template, and the sessions: the mesh's, then those that BGPPeers ask for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, ip_network

from calico.bgp import exports, kernel, peers, priorities, session
from calico.bgp.peering import Peering
from calico.bgp.peers import FAMILIES, Peer, SecretRef, Speaker
from calico.bgp.roster import Passwords, Roster
from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.bgp_filters import BGPFilter
from calico.resources.bgp_peers import BGPPeer
from calico.resources.felix import FelixConfiguration
from calico.resources.felix import effective as effective_felix
from calico.resources.nodes import Node
from calico.resources.pools import IPPool
from fabric.bird import config as bird
from fabric.bird.config import Block, Channel, Config, Device, Direct, Log, StaticRoute
from fabric.bird.language import by_filter
from fabric.netstate.objects import IPNetwork

ROSTERS_KEPT = 4
"""One for each set of passwords that agents know: a changed Secret does not reach all in one moment."""
NOT_DIRECT = ("-cali*", "-kube-ipvs*")
"""Devices whose addresses are no networks: pods' ends, and the addresses of services."""

_Logging = tuple[tuple[bird.LogClass, ...], tuple[bird.ProtocolDebug, ...]]
_FAILURES: tuple[bird.LogClass, ...] = ("error", "fatal", "bug")
_EVERYTHING: _Logging = ((), ("states", "routes", "filters", "interfaces", "events", "packets"))
_LOGGING: Mapping[str, _Logging] = {
    "Trace": _EVERYTHING,
    "Debug": _EVERYTHING,
    "Info": ((), ("states",)),
    "Warning": (("warning", "auth", *_FAILURES), ()),
    "Error": (_FAILURES, ()),
    "Fatal": (("fatal", "bug"), ()),
}
"""logSeverityScreen: the classes that are logged (all where empty), and what every protocol tells."""


class Renderer:
    """A renderer has the files of all nodes while the resources are what they are."""

    def __init__(
        self,
        nodes: Mapping[str, Node],
        pools: Mapping[str, IPPool],
        peers: Mapping[str, BGPPeer],
        filters: Mapping[str, BGPFilter],
        configurations: Mapping[str, BGPConfiguration],
        felix: Mapping[str, FelixConfiguration],
    ) -> None:
        self._peering = Peering(nodes, peers, configurations)
        self._pools = sorted(pools.values(), key=lambda pool: str(pool.spec.cidr))
        self._filters = filters
        self._with_priorities = priorities.in_use(filters.values())
        self._felix = felix
        self._rosters: dict[frozenset[tuple[SecretRef, str]], Roster] = {}
        self._made: dict[str, tuple[tuple[IPNetwork, ...], Roster, Config]] = {}

    @property
    def secrets(self) -> frozenset[SecretRef]:
        return self._peering.secrets

    def config(self, node: str, own_blocks: tuple[IPNetwork, ...], secrets: Passwords) -> Config | None:
        """The node's file; the same object as before when nothing changed."""
        me = self._peering.speakers.get(node)
        if me is None:
            return None
        roster = self._roster(secrets)
        known = self._made.get(node)
        if known is not None and known[0] == own_blocks and known[1] is roster:
            return known[2]
        made = self._config(me, own_blocks, roster)
        self._made[node] = (own_blocks, roster, made)
        return made

    def _roster(self, secrets: Passwords) -> Roster:
        passwords = {ref: secrets[ref] for ref in self.secrets if ref in secrets}
        key = frozenset(passwords.items())
        if key not in self._rosters:
            while len(self._rosters) >= ROSTERS_KEPT:
                del self._rosters[next(iter(self._rosters))]
            self._rosters[key] = Roster(self._peering, self._filters, passwords)
        return self._rosters[key]

    def _config(self, me: Speaker, own_blocks: tuple[IPNetwork, ...], roster: Roster) -> Config:
        classes, debug = _LOGGING[self._peering.configuration(me.name).log_severity_screen or "Info"]
        chosen = self._peering.chosen(me)
        blocks: tuple[Block, ...] = (
            *self._functions(me, own_blocks, chosen, roster),
            *self._protocols(me, own_blocks, chosen),
            *self._templates(me, chosen, roster),
            *roster.mesh(me, chosen),
            *roster.chosen(me, chosen),
        )
        return Config(
            _router_id(me),
            hostname=me.name,
            logs=(Log(classes=classes),),
            debug=debug,
            graceful_restart_wait_seconds=peers.RESTART_WAIT_SECONDS,
            blocks=blocks,
        )

    def _functions(
        self, me: Speaker, own_blocks: tuple[IPNetwork, ...], chosen: tuple[Peer, ...], roster: Roster
    ) -> Iterator[Block]:
        configuration = self._peering.configuration(me.name)
        felix = effective_felix(self._felix.get("default"), self._felix.get(f"node.{me.name}"))
        services = exports.services(configuration)
        yield exports.communities(configuration)
        yield exports.aggregation(own_blocks)
        yield exports.to_peers(self._pools, felix, services)
        yield kernel.programming(
            self._pools,
            felix,
            services,
            me.ipv4,
            with_priorities=self._with_priorities,
        )
        yield from roster.functions(chosen)

    def _protocols(
        self, me: Speaker, own_blocks: tuple[IPNetwork, ...], chosen: tuple[Peer, ...]
    ) -> Iterator[Block]:
        configuration = self._peering.configuration(me.name)
        ignored = tuple(f"-{pattern}" for pattern in configuration.ignored_interfaces)
        families = tuple(family for family in FAMILIES if me.address(family) is not None)
        for number, family in enumerate(families, 1):
            channel = Channel(session.CHANNELS[family], export=by_filter(kernel.FILTER))
            yield bird.Kernel(
                f"kernel{number}",
                channel,
                learn=True,
                persist=True,
                graceful_restart=True,
                merge_paths=True,
                metric=0,
            )
        yield Device()
        yield Direct(
            families=tuple(session.CHANNELS[family] for family in families),
            interfaces=(*ignored, *NOT_DIRECT, "*"),
        )
        routes = (
            *exports.static_routes(own_blocks, exports.services(configuration)),
            *_ways_to_peers(chosen),
        )
        for number, family in enumerate(families, 1):
            found = tuple(route for route in routes if route.prefix.version == family)
            if found:
                yield bird.Static(f"static{number}", found, Channel(session.CHANNELS[family]))

    def _templates(self, me: Speaker, chosen: tuple[Peer, ...], roster: Roster) -> Iterable[Block]:
        return session.templates(
            me,
            roster.common,
            binds_strictly=self._peering.configuration(me.name).bind_mode == "NodeIP",
            anywhere={peer.family for peer in chosen if not peer.options.binds_address},
        )


def _ways_to_peers(chosen: tuple[Peer, ...]) -> Iterator[StaticRoute]:
    """The routes that BGPPeers ask for by reachableBy."""
    for peer in chosen:
        way = peer.options.reachable_by
        if way is not None and way.version == peer.family:
            yield StaticRoute(ip_network(peer.address), way)


def _router_id(me: Speaker) -> IPv4Address:
    """The node's IPv4 address, or where it has none an address that follows from its name."""
    if me.ipv4 is not None and isinstance(me.ipv4.ip, IPv4Address):
        return me.ipv4.ip
    return IPv4Address(int.from_bytes(hashlib.sha256(me.name.encode()).digest()[:4]))
