"""The matrix that policies mean, without a packet: what a probed matrix is laid upon."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from fabric.plugin.policies import PROTOCOLS, WITH_PORTS, Endpoint, Evaluator, Flow
from fabric.policy import differences
from fabric.verify.matrix import Cell, Mark, Matrix, Place, Port
from fabric.verify.probes import Protocol

ECHO_REQUEST_V6 = 128
_NAMES: dict[int, Protocol] = {PROTOCOLS["tcp"]: "tcp", PROTOCOLS["udp"]: "udp", PROTOCOLS["sctp"]: "sctp"}


def predicted(
    evaluator: Evaluator,
    sources: Sequence[Endpoint],
    destinations: Sequence[Endpoint],
    ports: Sequence[Port],
    *,
    staged: bool = False,
) -> Matrix:
    """Judge every source to every destination by every port; a place without a common family has no cell."""
    cells: dict[Place, Cell] = {}
    for source in sources:
        for destination in destinations:
            for port in ports:
                if source.address(port.version) and destination.address(port.version):
                    verdict = evaluator.judge(flow_to(source, destination, port), staged=staged)
                    mark = Mark.allowed if verdict.allowed else Mark.blocked
                    place = str(source), str(destination), port
                    cells[place] = Cell(mark, differences.deciding(verdict))
    return Matrix(tuple(map(str, sources)), tuple(map(str, destinations)), tuple(ports), cells)


def flow_to(source: Endpoint, destination: Endpoint, port: Port) -> Flow:
    """The first packet of what a probe asks by that port."""
    flow = Flow(source, destination, PROTOCOLS[port.protocol], port.number, version=port.version)
    if port.protocol == "icmp" and port.version == 6:
        return replace(flow, protocol=PROTOCOLS["icmpv6"], icmp_type=ECHO_REQUEST_V6)
    return flow


def declared_ports(pods: Iterable[Endpoint]) -> list[Port]:
    """The ports that pods declare, each once, of the families that the pods have."""
    known = list(pods)
    versions: list[Literal[4, 6]] = [4, 6]
    services = [it for it in differences.declared(known) if it[0] in WITH_PORTS]
    return [
        Port(_NAMES[protocol], number, version)
        for version in versions
        if any(pod.address(version) for pod in known)
        for protocol, number in services
    ]
