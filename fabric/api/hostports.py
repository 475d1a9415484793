"""Host ports are ports of a node that a pod asks for; two pods of one node cannot have the same one.

A port without an address is on all of the node's addresses. A pod in its node's network has its ports there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fabric.api.objects import Object

ANY_ADDRESS = ("", "0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class HostPort:
    """A port of a node, by protocol and address, and the port of the container behind it."""

    protocol: str
    port: int
    address: str
    container_port: int = field(default=0, compare=False)

    def conflicts(self, other: HostPort) -> bool:
        if (self.protocol, self.port) != (other.protocol, other.port):
            return False
        return self.address == other.address or self.address in ANY_ADDRESS or other.address in ANY_ADDRESS


def host_ports(spec: Object) -> tuple[HostPort, ...]:
    """Return the host ports of a pod's containers, sidecars among them, in their order."""
    sidecars = (c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always")
    return tuple(
        HostPort(
            port.get("protocol") or "TCP",
            port["hostPort"],
            port.get("hostIP") or "",
            port.get("containerPort") or 0,
        )
        for container in (*sidecars, *(spec.get("containers") or ()))
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )
