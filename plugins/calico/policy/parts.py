"""All that a world says of Calico's policies beside the policies themselves, read once."""

from __future__ import annotations

from calico.policy import hosts
from calico.policy.chains import profiles
from calico.policy.hosts import EVERY_DEVICE, HostEndpoint
from calico.policy.members import Members
from calico.policy.network import WIRE, Network
from calico.policy.settings import SettingsOfNodes
from fabric.netstate.objects import IPAddress
from fabric.plugin.policies import World


class Parts:
    """The parts of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.profiles = profiles(world)
        self.hosts = hosts.read_all(world, {name: it.labels for name, it in self.profiles.items()})
        self.members = Members(world, [it.as_member() for it in self.hosts])
        self.settings = SettingsOfNodes(world)
        self.network = Network(world)

    def guard(self, node: str, device: str, version: int) -> HostEndpoint | None:
        """The host endpoint for a device of a node, or for `*`; the first by name of several."""
        addresses = [] if device == EVERY_DEVICE else self._addresses(node, device, version)
        return next((it for it in self.hosts if it.node == node and it.guards(device, addresses)), None)

    def _addresses(self, node: str, device: str, version: int) -> list[IPAddress]:
        """All addresses of a device; a host endpoint is for both IP versions."""
        if device == WIRE:
            found = self.world.nodes.get(node)
            return list(found.addresses) if found is not None else []
        tunnels = (self.network.own_address(node, device, it) for it in (4, 6))
        return [it for it in tunnels if it is not None]
