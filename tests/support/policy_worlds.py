"""Worlds for questions about policies: namespaces x, y, z with pods a, b, c, as cyclonus has them.

Each pod serves TCP, UDP and SCTP on 80 and 81, under names such as serve-80-tcp; node-1 has x, node-2 has y
and z. Whatever is asked, it is asked by `allowed(evaluator, "x/a", "y/b", port)`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import replace
from itertools import count

from fabric.plugin.policies import (
    NAMESPACE_NAME_LABEL,
    PROTOCOLS,
    Endpoint,
    Flow,
    Port,
    World,
    outside,
    protocol_number,
)

PORTS = tuple(
    Port(number, PROTOCOLS[protocol], f"serve-{number}-{protocol}")
    for number in (80, 81)
    for protocol in ("tcp", "udp", "sctp")
)
NODES = {"x": "node-1", "y": "node-2", "z": "node-2"}
PODS = tuple(f"{namespace}/{name}" for namespace in "xyz" for name in "abc")


def node(name, *addresses, **fields):
    return Endpoint("node", name, addresses=tuple(map(ipaddress.ip_address, addresses)), node=name, **fields)


def pods():
    numbers = count(1)
    for namespace in "xyz":
        for name in "abc":
            number = next(numbers)
            addresses = (f"10.244.{'xyz'.index(namespace) + 1}.{number}", f"fd00::{number}")
            yield Endpoint(
                "pod",
                name,
                namespace,
                tuple(map(ipaddress.ip_address, addresses)),
                {"pod": name},
                node=NODES[namespace],
                ports=PORTS,
            )


def world(*objects, endpoints: Iterable[Endpoint] = (), namespaces=None, **changes):
    """The world of three namespaces; `changes`: fields of pods by `x_a`, which replace theirs."""
    found = [
        replace(it, **changes.get(f"{it.namespace}_{it.name}", {}))
        for it in (
            *pods(),
            node("node-1", "192.168.0.1", "fd01::1"),
            node("node-2", "192.168.0.2", "fd01::2"),
        )
    ]
    labels = {name: {"ns": name, NAMESPACE_NAME_LABEL: name} for name in "xyz"} | (namespaces or {})
    return World((*found, *endpoints), labels, objects)


def endpoint(of: World, name: str) -> Endpoint:
    """The endpoint of that name: `x/a`, `node/node-1`, or an address."""
    return next((it for it in of.endpoints if str(it) == name), None) or outside(name)


def verdict(evaluator, of: World, source, destination, port=80, protocol="tcp", *, staged=False, **more):
    flow = Flow(endpoint(of, source), endpoint(of, destination), protocol_number(protocol), port, **more)
    return evaluator.judge(flow, staged=staged)


class Question:
    """A world with its evaluator."""

    def __init__(self, of: World, evaluator) -> None:
        self.world = of
        self.evaluator = evaluator(of)

    def verdict(self, source, destination, port=80, protocol="tcp", **more):
        return verdict(self.evaluator, self.world, source, destination, port, protocol, **more)

    def allows(self, source, destination, port=80, protocol="tcp", **more):
        return self.verdict(source, destination, port, protocol, **more).allowed

    def sources(self, destination, port=80, protocol="tcp", **more):
        """The pods that reach it, but itself."""
        return {
            it for it in PODS if it != destination and self.allows(it, destination, port, protocol, **more)
        }

    def targets(self, source, port=80, protocol="tcp", **more):
        """The pods that it reaches, but itself."""
        return {it for it in PODS if it != source and self.allows(source, it, port, protocol, **more)}


def kubernetes_policy(name="policy", namespace="x", **spec):
    """A NetworkPolicy; `spec` without a podSelector selects every pod of the namespace."""
    metadata = {"name": name, "namespace": namespace}
    body = {"podSelector": {}} | spec
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": body}


def calico(kind, name="policy", namespace="", labels=None, **spec):
    """An object of projectcalico.org/v3."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    metadata |= {"labels": labels} if labels else {}
    return {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": metadata, "spec": spec}
