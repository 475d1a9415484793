"""The way of a flow's first packet from host to host, and whom it passes on each.

A pod's egress policies are asked on its node, its ingress policies on its own; a node always reaches its
own pods. Host endpoints are asked where a packet enters or leaves a host by a device that they guard: first
doNotTrack policies (not for devices of pods, nor by a host endpoint for every device), then preDNAT ones,
then those of what ends or begins at the host, or with applyOnForward of what it forwards. A packet that one
of the first two stages accepts is not asked again by the host endpoint on its way in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from calico.policy.chains import Checkpoint, Profile, Reader
from calico.policy.hosts import EVERY_DEVICE, HostEndpoint, is_failsafe
from calico.policy.network import WIRE
from calico.policy.parts import Parts
from calico.policy.policies import NORMAL, PRE_DNAT, UNTRACKED
from calico.policy.rules import Packet
from fabric.plugin.policies import PROTOCOLS, Decision, Direction, Endpoint, Flow

POD = "cali"
"""A pod's device on its node."""
_IPIP = 4
_NEIGHBOR_DISCOVERY = frozenset((130, 131, 132, 133, 135, 136))
"""Types of ICMPv6 without which IPv6 does not work: a pod's host always takes them."""


class Walk:
    """A flow on its way."""

    def __init__(self, parts: Parts, reader: Reader, flow: Flow) -> None:
        self._parts = parts
        self._reader = reader
        self._flow = flow
        self.decisions: list[Decision] = []

    def go(self) -> None:
        source, target = self._flow.source, self._flow.destination
        packet = self._packet()
        if _is_pod(source) and source.node == target.node and target.kind != "address":
            self._on_one_node(source, target, packet)
            return
        device = self._parts.network.device(source.node, target.node, packet.destination)
        if _is_pod(source):
            accepted = self._pre_routing(source.node, POD, packet)
            self._forwarded(source.node, POD, device, packet, source=source, accepted=accepted)
            if self._parts.network.masquerades(packet.source, packet.destination):
                node = self._parts.world.nodes.get(source.node)
                packet = replace(
                    packet, source=(node.address(packet.version) if node else None) or packet.source
                )
        elif source.host:
            own = self._parts.network.own_address(source.host, device, packet.version)
            packet = replace(packet, source=own or packet.source)
            if _is_pod(target) and target.node == source.host:
                why = "its own node always reaches it"
                self.decisions.append(Decision("ingress", str(target), True, why))
                return
            self._sent(source.host, device, packet)
        if target.kind != "address":
            self._arrives(target, device, packet)

    def _on_one_node(self, source: Endpoint, target: Endpoint, packet: Packet) -> None:
        accepted = self._pre_routing(source.node, POD, packet)
        if _is_pod(target):
            self._forwarded(source.node, POD, POD, packet, source=source, target=target, accepted=accepted)
            return
        settings = self._parts.settings.of(source.node)
        if packet.protocol == PROTOCOLS["icmpv6"] and packet.icmp_type in _NEIGHBOR_DISCOVERY:
            why = "IPv6's neighbour discovery is always allowed between a pod and its node"
            self.decisions.append(Decision("egress", str(source), True, why))
            return
        self._leaves_pod(source, packet)
        allowed = settings.endpoint_to_host != "Drop"
        why = f"defaultEndpointToHostAction of packets to a pod's own node is {settings.endpoint_to_host}"
        self.decisions.append(Decision("ingress", f"node/{source.node}", allowed, why))

    def _arrives(self, target: Endpoint, device: str, packet: Packet) -> None:
        accepted = self._pre_routing(target.node, device, packet)
        if _is_pod(target):
            self._forwarded(target.node, device, POD, packet, target=target, accepted=accepted)
        elif not accepted:
            self._ask_host(target.host, device, "ingress", packet)

    def _pre_routing(self, node: str, device: str, packet: Packet) -> bool:
        """Ask doNotTrack and preDNAT policies; whether one of them accepted the packet."""
        if device != POD and self._ask_early(node, device, "ingress", UNTRACKED, packet):
            return True
        return self._ask_early(node, device, "ingress", PRE_DNAT, packet)

    def _sent(self, node: str, device: str, packet: Packet) -> None:
        """A packet of a host's own leaves it."""
        if not self._ask_early(node, device, "egress", UNTRACKED, packet):
            self._ask_host(node, device, "egress", packet)

    def _forwarded(
        self,
        node: str,
        into: str,
        out: str,
        packet: Packet,
        *,
        source: Endpoint | None = None,
        target: Endpoint | None = None,
        accepted: bool = False,
    ) -> None:
        if not accepted:
            self._ask_forward(node, into, "ingress", packet)
        if source is not None:
            self._leaves_pod(source, packet)
        if target is not None:
            self._decide(self._of_pod(target, "ingress"), packet)
        self._ask_forward(node, out, "egress", packet)

    def _leaves_pod(self, pod: Endpoint, packet: Packet) -> None:
        settings = self._parts.settings.of(pod.node)
        is_vxlan = (packet.protocol, packet.port) == (PROTOCOLS["udp"], settings.vxlan_port)
        if (is_vxlan and not settings.allows_vxlan) or (
            packet.protocol == _IPIP and not settings.allows_ipip
        ):
            why = f"pods may not send {'VXLAN' if is_vxlan else 'IPIP'} packets of their own"
            self.decisions.append(Decision("egress", str(pod), False, why))
            return
        self._decide(self._of_pod(pod, "egress"), packet)

    def _of_pod(self, pod: Endpoint, direction: Direction) -> Checkpoint:
        names = (f"kns.{pod.namespace}", f"ksa.{pod.namespace}.{pod.service_account}")
        labels = self._parts.members.of_pod(pod).labels
        return Checkpoint(str(pod), labels, direction, profiles=self._profiles(names))

    def _ask_early(self, node: str, device: str, direction: Direction, stage: str, packet: Packet) -> bool:
        """Ask the policies of an early stage, if there are any; whether they accepted the packet."""
        host = self._guard(node, device, direction, stage)
        if host is None or is_failsafe(self._parts.settings.of(node).failsafe(direction), packet, direction):
            return False
        checkpoint = Checkpoint(str(host), host.labels, direction, stage, drops=False)
        return self._decide(checkpoint, packet, is_silent=not self._reader.governs(checkpoint))

    def _ask_host(self, node: str, device: str, direction: Direction, packet: Packet) -> None:
        """Ask the host endpoint for what begins or ends at the host."""
        host = self._guard(node, device, direction)
        if host is None:
            return
        if is_failsafe(self._parts.settings.of(node).failsafe(direction), packet, direction):
            why = f"port {packet.port} is one of the host's failsafe ports"
            self.decisions.append(Decision(direction, str(host), True, why))
            return
        profiles = self._profiles(host.profiles)
        self._decide(Checkpoint(str(host), host.labels, direction, profiles=profiles), packet)

    def _ask_forward(self, node: str, device: str, direction: Direction, packet: Packet) -> None:
        host = self._guard(node, device, direction)
        if host is not None:
            checkpoint = Checkpoint(str(host), host.labels, direction, is_forward=True)
            self._decide(checkpoint, packet, is_silent=not self._reader.governs(checkpoint))

    def _guard(
        self, node: str, device: str, direction: Direction, stage: str = NORMAL
    ) -> HostEndpoint | None:
        """The host endpoint that is asked for a device; at an early stage, one that has policies there."""
        own = self._parts.guard(node, device, self._flow.family)
        every = self._parts.guard(node, EVERY_DEVICE, self._flow.family)
        if stage == NORMAL:
            return own or every
        candidates = (own,) if stage == UNTRACKED else (own, every)
        for host in candidates:
            if host is not None and any(
                self._reader.governs(Checkpoint("", host.labels, it, stage)) for it in _governed(stage)
            ):
                return host
        return None

    def _decide(self, checkpoint: Checkpoint, packet: Packet, *, is_silent: bool = False) -> bool:
        decision, accepted = self._reader.decide(checkpoint, packet)
        if not is_silent:
            self.decisions.append(decision)
        return accepted

    def _profiles(self, names: Sequence[str]) -> Sequence[Profile]:
        return [self._parts.profiles[name] for name in names if name in self._parts.profiles]

    def _packet(self) -> Packet:
        flow = self._flow
        source, target = (it.address(flow.family) for it in (flow.source, flow.destination))
        assert source is not None and target is not None
        return Packet(
            source, target, flow.protocol, flow.source_port, flow.port, flow.icmp_type, flow.icmp_code
        )


def _governed(stage: str) -> tuple[Direction, ...]:
    return ("ingress",) if stage == PRE_DNAT else ("ingress", "egress")


def _is_pod(endpoint: Endpoint) -> bool:
    return endpoint.kind == "pod" and not endpoint.is_host_network


__all__ = ["WIRE", "Walk"]
