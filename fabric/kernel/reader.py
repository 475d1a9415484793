"""The reader dumps a namespace by netlink into netstate's objects, and only the kinds asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from fabric.kernel import addresses, links, neighbors, qdiscs, routes
from fabric.kernel.links import Device
from fabric.kernel.netlink import Socket
from fabric.kernel.nsids import NamespaceIds
from fabric.netstate.objects import (
    Address,
    Bridge,
    Family,
    FdbEntry,
    Ipip,
    LinkMac,
    LinkMtu,
    LinkUp,
    Neighbor,
    NetObject,
    Qdisc,
    Route,
    Tun,
    Veth,
    Vxlan,
)

_KINDS_OF_DEVICES = {"bridge": Bridge, "veth": Veth, "vxlan": Vxlan, "ipip": Ipip, "tun": Tun}
MAC_LENGTH = len("00:00:00:00:00:00")
_RAISED_BY_THEMSELVES = _KINDS_OF_DEVICES.keys() - {"veth"}


class Reader:
    """The reader of one namespace."""

    def __init__(self, namespace: str, ids: NamespaceIds) -> None:
        self._namespace = namespace
        self._ids = ids
        self.names: dict[int, str] = {}
        """The devices by index, as last read."""

    def read(
        self, socket: Socket, kinds: frozenset[type], families: Collection[Family] = (4, 6)
    ) -> Iterator[NetObject]:
        """Yield every object of the kinds that is there; routes of these families only."""
        found = links.devices(socket)
        self.names = names = links.names_by_index(found)
        yield from self._links(socket, found, names, kinds)
        if LinkUp in kinds:
            yield from (LinkUp(it.name) for it in found if it.up and it.kind not in _RAISED_BY_THEMSELVES)
        if LinkMtu in kinds:
            yield from (LinkMtu(it.name, it.mtu) for it in found)
        if LinkMac in kinds:
            yield from (LinkMac(it.name, it.mac) for it in found if len(it.mac) == MAC_LENGTH)
        if Address in kinds:
            yield from addresses.read(socket, names)
        if Neighbor in kinds:
            yield from neighbors.read_neighbors(socket, names)
        if FdbEntry in kinds:
            yield from neighbors.read_entries(socket, found)
        if Qdisc in kinds:
            yield from qdiscs.read(socket, names)
        if Route in kinds:
            yield from routes.read(socket, names, families)

    def _links(
        self, socket: Socket, found: Sequence[Device], names: Mapping[int, str], kinds: frozenset[type]
    ) -> Iterator[NetObject]:
        wanted = [it for it in found if _KINDS_OF_DEVICES.get(it.kind) in kinds]
        far_ends = self._far_ends(socket, [it for it in wanted if it.kind == "veth"], found)
        for it in wanted:
            link = links.read_link(it, names, far_ends.get(it.index, ("", "")))
            if link is not None:
                yield link

    def _far_ends(
        self, socket: Socket, veths: Sequence[Device], found: Sequence[Device]
    ) -> dict[int, tuple[str, str]]:
        """Return (name, namespace) of the far end of each pair, by the near end's index.

        A far end in a namespace that is none of ours has an empty namespace; nothing is known of one whose
        namespace has no number here.
        """
        here = {it.index: it for it in found}
        ends = {
            it.index: (here[it.link].name, self._namespace)
            for it in veths
            if it.netns_id is None and it.link in here
        }
        away = [(it, it.netns_id) for it in veths if it.netns_id is not None and it.netns_id >= 0]
        spaces = self._ids.names(socket, (id for _, id in away))
        answers = socket.ask([links.question(it.link, id) for it, id in away])
        for (it, id), answer in zip(away, answers, strict=True):
            if not isinstance(answer, OSError):
                ends[it.index] = (links.device(answer[1]).name, spaces.get(id, ""))
        return ends
