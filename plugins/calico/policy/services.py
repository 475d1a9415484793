"""The endpoints of Services, as rules with `services` mean them: addresses with protocol and port.

They are read from EndpointSlices; where a Service has none, from its selector and the pods of the world.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from fabric.api.objects import Object, key_of, labels_of
from fabric.netstate.objects import IPAddress
from fabric.plugin.policies import Endpoint, World, protocol_number

SERVICE_NAME = "kubernetes.io/service-name"
Place = tuple[IPAddress, int, int]
"""Address, protocol and port."""


class Services:
    """The endpoints of every Service of a world."""

    def __init__(self, world: World) -> None:
        self._places: dict[tuple[str, str], set[Place]] = {}
        for piece in world.of_kind("EndpointSlice", "discovery.k8s.io"):
            namespace = key_of(piece).namespace or "default"
            known = self._places.setdefault((namespace, labels_of(piece).get(SERVICE_NAME, "")), set())
            known |= set(_of_slice(piece))
        for service in world.of_kind("Service"):
            name = key_of(service)
            key = (name.namespace or "default", name.name)
            if key not in self._places:
                self._places[key] = set(_of_selector(service, key[0], world))

    def places(self, namespace: str, name: str) -> set[Place]:
        return self._places.get((namespace, name), set())


def _of_slice(piece: Object) -> Iterator[Place]:
    ports = [
        (protocol_number(it.get("protocol") or "TCP"), it.get("port") or 0) for it in piece.get("ports") or ()
    ]
    for endpoint in piece.get("endpoints") or ():
        for text in endpoint.get("addresses") or ():
            yield from ((ipaddress.ip_address(text), *port) for port in ports)


def _of_selector(service: Object, namespace: str, world: World) -> Iterator[Place]:
    spec = service.get("spec") or {}
    selector = spec.get("selector") or {}
    pods = [it for it in world.pods if it.namespace == namespace and selector.items() <= it.labels.items()]
    for port in spec.get("ports") or ():
        protocol = protocol_number(port.get("protocol") or "TCP")
        target = port.get("targetPort", port.get("port"))
        for pod in pods if selector else ():
            for number in _numbers(pod, target, protocol):
                yield from ((address, protocol, number) for address in pod.addresses)


def _numbers(pod: Endpoint, target: object, protocol: int) -> frozenset[int]:
    return pod.numbers(target, protocol) if isinstance(target, str) else frozenset((int(str(target)),))
