"""The BGP sessions of each node, chosen from the mesh and from BGPPeers.

The mesh: every node with every other, while it is on, and without the nodes that are route reflectors.
BGPPeers: the nodes that one selects, with an address or with the nodes that its peer selector selects; and
where the other end is a node too, the same session seen from there, unless the BGPPeer says otherwise.

A node has one session with one address and port. The first one counts, in this order: BGPPeers for all nodes,
BGPPeers for some, sessions that are another node's seen from here (each by the BGPPeer's name), the mesh.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from calico.bgp.peers import (
    FAMILIES,
    Kind,
    Peer,
    SecretRef,
    SessionOptions,
    Speaker,
    dials,
    restart_seconds,
    session_options,
    speaker,
)
from calico.bgp.peers import secret_ref as ref_of
from calico.resources.bgp_configuration import DEFAULTS, BGPConfiguration, BGPConfigurationSpec
from calico.resources.bgp_configuration import effective as effective_bgp
from calico.resources.bgp_peers import BGPPeer, peer_endpoint
from calico.resources.nodes import Node
from calico.selector import Selector
from fabric.bird.bgp import PORT
from fabric.netstate.objects import Family, IPAddress


@dataclass(frozen=True, slots=True)
class _Selected:
    """A BGPPeer with the nodes at its two ends."""

    resource: BGPPeer
    options: SessionOptions
    local: Mapping[str, Speaker]
    remote: Mapping[str, Speaker]
    """Empty where the other end is no node."""
    endpoint: tuple[IPAddress, int] | None
    """The address (and port, or 0) at the other end, where it is not a selector."""

    @property
    def is_global(self) -> bool:
        return not self.resource.spec.node and not self.resource.spec.node_selector

    @property
    def is_reversed(self) -> bool:
        return self.resource.spec.reverse_peering != "Manual"

    @property
    def options_there(self) -> SessionOptions:
        """The options of the same sessions at their other end."""
        return replace(self.options, local_as=None, reachable_by=None)


class Peering:
    """The sessions of all nodes at one moment; what several nodes need is computed once."""

    def __init__(
        self,
        nodes: Mapping[str, Node],
        peers: Mapping[str, BGPPeer],
        configurations: Mapping[str, BGPConfiguration],
    ) -> None:
        self._nodes = nodes
        self._peers = peers
        self._configurations = configurations
        self._default = effective_bgp(configurations.get("default"))

    def configuration(self, node: str) -> BGPConfigurationSpec:
        """The configuration in force on a node: the cluster's, with its own over it."""
        return effective_bgp(self._configurations.get("default"), self._configurations.get(f"node.{node}"))

    @cached_property
    def speakers(self) -> Mapping[str, Speaker]:
        """Every node that takes part in BGP, by name."""
        as_number = self._default.as_number or DEFAULTS.as_number or 0
        found = (
            speaker(node, as_number, self.configuration(name).listen_port or PORT)
            for name, node in sorted(self._nodes.items())
        )
        return {it.name: it for it in found if it is not None}

    def chosen(self, me: Speaker) -> tuple[Peer, ...]:
        """The sessions that BGPPeers ask of this node, in the order of their names."""
        found: dict[tuple[IPAddress, int], Peer] = {}
        for peer in self._candidates(me):
            if peer.address not in (me.address(4), me.address(6)):
                found.setdefault((peer.address, peer.port), peer)
        return tuple(sorted(found.values(), key=lambda peer: peer.name))

    @cached_property
    def mesh_members(self) -> tuple[Speaker, ...]:
        """The nodes of the mesh; none where it is off."""
        if not self._default.node_to_node_mesh_enabled:
            return ()
        return tuple(member for member in self.speakers.values() if not member.cluster_id)

    @cached_property
    def mesh_options(self) -> SessionOptions:
        return SessionOptions(
            password=ref_of(self._default.node_mesh_password),
            restart_seconds=restart_seconds(self._default.node_mesh_max_restart_time),
        )

    def mesh(self, family: Family, local_as: int) -> tuple[tuple[IPAddress, Peer, Peer], ...]:
        """Each member as a peer of one with this AS number: its address, the peer to be dialled, and the one
        that dials; sorted as `dials` compares. Of two that say one address, as while a node gets another
        name, the last counts."""
        found = {}
        for member in self.mesh_members:
            address = member.address(family)
            if address is not None:
                found[address] = (address, *_both(member, address, local_as, self.mesh_options))
        return tuple(sorted(found.values(), key=lambda entry: str(entry[0])))

    @property
    def secrets(self) -> frozenset[SecretRef]:
        """Every password that some session has."""
        refs = (self.mesh_options.password, *(it.options.password for it in self._selected))
        return frozenset(ref for ref in refs if ref is not None)

    @cached_property
    def _selected(self) -> tuple[_Selected, ...]:
        return tuple(self._select(peer) for _, peer in sorted(self._peers.items()))

    @cached_property
    def _by_address(self) -> Mapping[IPAddress, Speaker]:
        pairs = ((it.address(family), it) for it in self.speakers.values() for family in FAMILIES)
        return {address: it for address, it in pairs if address is not None}

    def _select(self, peer: BGPPeer) -> _Selected:
        spec = peer.spec
        if spec.node:
            local: Iterable[str] = (spec.node,)
        else:
            local = self._matching(spec.node_selector or "all()")
        endpoint = None if spec.peer_selector else peer_endpoint(spec.peer_ip)
        remote = self._matching(spec.peer_selector) if spec.peer_selector else ()
        if endpoint is not None:
            there = self._by_address.get(endpoint[0])
            if there and there.as_number == spec.as_number and endpoint[1] in (0, there.port):
                remote = (there.name,)
        return _Selected(peer, session_options(spec), self._named(local), self._named(remote), endpoint)

    def _matching(self, selector: str) -> tuple[str, ...]:
        parsed = Selector.parse(selector)
        return tuple(name for name in self.speakers if parsed.matches(self._nodes[name].labels))

    def _named(self, names: Iterable[str]) -> Mapping[str, Speaker]:
        return {name: self.speakers[name] for name in names if name in self.speakers}

    def _candidates(self, me: Speaker) -> Iterator[Peer]:
        for wanted in (True, False):
            for selected in self._selected:
                if selected.is_global == wanted and me.name in selected.local:
                    yield from self._forward(me, selected)
        for selected in self._selected:
            if selected.is_reversed and me.name in selected.remote:
                yield from self._reverse(me, selected)

    def _forward(self, me: Speaker, selected: _Selected) -> Iterator[Peer]:
        local_as = selected.options.local_as or me.as_number
        if selected.endpoint is None:
            kind: Kind = "Global" if selected.is_global else "Node"
            for other in selected.remote.values():
                yield from _between(me, local_as, other, other.as_number, kind, selected.options)
            return
        address, port = selected.endpoint
        there = self._by_address.get(address)
        own = me.address(4 if address.version == 4 else 6)
        if own is not None:
            yield Peer(
                kind="Global" if selected.is_global else "Node",
                address=address,
                as_number=selected.resource.spec.as_number or 0,
                local_as=local_as,
                port=_unusual(port) or (_unusual(there.port) if selected.remote and there else 0),
                passive=there is not None and not dials(own, address),
                cluster_id=there.cluster_id if there else "",
                options=selected.options,
            )

    def _reverse(self, me: Speaker, selected: _Selected) -> Iterator[Peer]:
        for other in selected.local.values():
            their_as = selected.options.local_as or other.as_number
            for peer in _between(me, me.as_number, other, their_as, "Node", selected.options_there):
                if selected.endpoint is None or peer.address.version == selected.endpoint[0].version:
                    yield peer


def _between(
    me: Speaker, local_as: int, other: Speaker, their_as: int, kind: Kind, asked: SessionOptions
) -> Iterator[Peer]:
    """The sessions of two nodes, one in each family that both have."""
    for family in FAMILIES:
        own, address = me.address(family), other.address(family)
        if own is not None and address is not None:
            yield Peer(
                kind=kind,
                address=address,
                as_number=their_as,
                local_as=local_as,
                port=_unusual(other.port),
                passive=not dials(own, address),
                cluster_id=other.cluster_id,
                options=asked,
            )


def _both(member: Speaker, address: IPAddress, local_as: int, asked: SessionOptions) -> tuple[Peer, Peer]:
    dialled, dialling = (
        Peer(
            kind="Mesh",
            address=address,
            as_number=member.as_number,
            local_as=local_as,
            port=_unusual(member.port),
            passive=passive,
            options=asked,
        )
        for passive in (False, True)
    )
    return dialled, dialling


def _unusual(port: int) -> int:
    return 0 if port == PORT else port
