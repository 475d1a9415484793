"""The underlay of a spec, computed: what every namespace has, and in which order wires are made. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fabric.bird.config import Config
from fabric.cluster.spec import ClusterSpec
from fabric.cluster.underlay.routers import BIRD_LOG
from fabric.netstate.objects import NetState
from fabric.netstate.port import Owner
from fabric.topology import routed, routers
from fabric.topology.addressing import Addresses
from fabric.topology.routed import Speaker
from fabric.topology.wiring import Wiring


@dataclass(frozen=True, slots=True)
class Underlay:
    """The graph of a spec with its addresses and states."""

    wiring: Wiring
    addresses: Addresses
    states: Mapping[str, NetState]
    """By namespace."""
    turns: Sequence[Sequence[str]]
    """Switches and routers in groups: no two of a group share a wire, so that no two make the same one."""
    hosts: Sequence[str]
    speakers: Mapping[str, Speaker]
    """What each router tells others, and whom."""
    birds: Mapping[str, Config]
    """What its BGP daemon reads."""

    @classmethod
    def of(cls, spec: ClusterSpec) -> Underlay:
        wiring = spec.underlay.wiring()
        given = spec.underlay.addresses(wiring, spec.interfaces())
        hosts = [it.name for it in wiring.devices if it.role == "host"]
        states = routed.states(wiring, given)
        speakers = routed.speakers(wiring, given)
        ranges, peering = spec.underlay.ranges.ranges(), spec.underlay.host_peering
        birds = {it: routers.config(speakers[it], ranges, peering, str(BIRD_LOG)) for it in speakers}
        return cls(wiring, given, states, _turns(wiring), hosts, speakers, birds)

    def owner(self, name: str) -> Owner:
        """Return what the underlay owns in a namespace."""
        return routed.owner(self.wiring.device(name).role)


def _turns(wiring: Wiring) -> list[list[str]]:
    """Colour the graph without its hosts, greedily: the first colour that no neighbour has."""
    colours: dict[str, int] = {}
    for device in wiring.of_role("switch", "router"):
        near = {colours[it] for it in wiring.neighbors(device.name, "switch", "router") if it in colours}
        colours[device.name] = next(colour for colour in range(len(near) + 1) if colour not in near)
    turns: list[list[str]] = [[] for _ in range(max(colours.values(), default=-1) + 1)]
    for name, colour in colours.items():
        turns[colour].append(name)
    return turns
