"""All sessions of a node as blocks of bird.cfg, and the filters that they call.

The mesh is the same list in every node's file but for two things: a node is not its own peer, and which of
two dials. Both forms of each block are kept in the order of `dials`, so that a node's mesh is two slices.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from calico.bgp import filters, priorities
from calico.bgp.peering import Peering
from calico.bgp.peers import FAMILIES, SECRETS_NAMESPACE, Peer, SecretRef, Speaker
from calico.bgp.session import Calls, session
from calico.resources.bgp_filters import BGPFilter
from fabric.bird.bgp import WrittenBgp
from fabric.bird.language import Function, Text, Unwritable
from fabric.netstate.objects import Family, IPAddress

Passwords = Mapping[SecretRef, str]
Entry = WrittenBgp | Text
"""A session, or the comment that says why it is left out."""


@dataclass(frozen=True, slots=True)
class _Mesh:
    """The mesh for nodes of one AS number: for each member its address and both forms of its block."""

    texts: tuple[str, ...]
    """The addresses as text, sorted."""
    addresses: tuple[IPAddress, ...]
    dialled: tuple[Entry, ...]
    dialling: tuple[Entry, ...]


class Roster:
    """The sessions of all nodes while resources and passwords are what they are."""

    def __init__(self, peering: Peering, found: Mapping[str, BGPFilter], passwords: Passwords) -> None:
        self._peering = peering
        self._filters = found
        self._passwords = passwords
        self._meshes: dict[tuple[Family, int], _Mesh] = {}
        with_priorities = priorities.in_use(found.values())
        self.common = Calls((priorities.IMPORT,), (priorities.EXPORT,)) if with_priorities else Calls()
        """What every session asks."""

    def functions(self, peers: tuple[Peer, ...]) -> Iterator[Function]:
        """The filters that these sessions call, each once; of one that cannot be written, none."""
        for name in sorted({name for peer in peers for name in peer.options.filters} & self._filters.keys()):
            try:
                yield from tuple(filters.functions(self._filters[name]))
            except Unwritable:
                continue  # Its sessions are left out, and say why.

    def mesh(self, me: Speaker, chosen: tuple[Peer, ...]) -> Iterator[Entry]:
        """The blocks of the mesh for one of its members, without those to whom it has a chosen session."""
        if me.cluster_id or not self._peering.mesh_members:
            return
        password = self._peering.mesh_options.password
        if password is not None and password not in self._passwords:
            yield left_out("The node-to-node mesh", _missing(password))
            return
        elsewhere = {peer.address for peer in chosen}
        for family in FAMILIES:
            own = me.address(family)
            if own is None:
                continue
            mesh = self._mesh(family, me.as_number)
            at = bisect_left(mesh.texts, str(own))
            # Whose address is less is dialled, whose is greater dials: see `dials`.
            blocks = (*mesh.dialled[:at], *mesh.dialling[at + 1 :])
            if elsewhere.isdisjoint(mesh.addresses):
                yield from blocks
            else:
                others = (*mesh.addresses[:at], *mesh.addresses[at + 1 :])
                yield from (it for it, other in zip(blocks, others, strict=True) if other not in elsewhere)

    def chosen(self, me: Speaker, peers: tuple[Peer, ...]) -> Iterator[Entry]:
        """The blocks of the sessions that BGPPeers ask for."""
        for peer in peers:
            yield self._block(peer, me.as_number, me.cluster_id)

    def _mesh(self, family: Family, as_number: int) -> _Mesh:
        mesh = self._meshes.get((family, as_number))
        if mesh is None:
            members = self._peering.mesh(family, as_number)
            mesh = self._meshes[family, as_number] = _Mesh(
                tuple(str(address) for address, _, _ in members),
                tuple(address for address, _, _ in members),
                tuple(self._block(peer, as_number, "") for _, peer, _ in members),
                tuple(self._block(peer, as_number, "") for _, _, peer in members),
            )
        return mesh

    def _block(self, peer: Peer, own_as: int, cluster_id: str) -> Entry:
        ref = peer.options.password
        if ref is not None and ref not in self._passwords:
            return left_out(peer.name, _missing(ref))
        password = self._passwords[ref] if ref is not None else ""
        try:
            return session(peer, own_as, cluster_id, password, self._calls(peer), self.common)
        except Unwritable as error:
            return left_out(peer.name, str(error))

    def _calls(self, peer: Peer) -> Calls:
        """The filters that a session calls; Unwritable where one of them is."""
        found = [self._filters[name] for name in peer.options.filters if name in self._filters]
        if not found:
            return self.common
        for filter_ in found:
            tuple(filters.functions(filter_))
        on_import, on_export = (
            tuple(
                text
                for filter_ in found
                if (text := filters.call(filter_, direction, peer.family, is_internal=peer.is_internal))
            )
            for direction in filters.DIRECTIONS
        )
        return Calls((*on_import, *self.common.on_import), (*self.common.on_export, *on_export))


def left_out(what: str, reason: str) -> Text:
    """The comment that stands where a session would."""
    return Text(" ".join(f"# {what} is left out: {reason}".split()))


def _missing(ref: SecretRef) -> str:
    if not ref.name:
        return "its password has no secretKeyRef"
    return f"there is no Secret {ref.name} with a key {ref.key} in {SECRETS_NAMESPACE}"
