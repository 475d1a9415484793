"""The difference between two sets of policies: which pairs reach each other in one and not in the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from fabric.api.objects import Object
from fabric.errors import BadInput, Problem
from fabric.plugin.policies import (
    PROTOCOLS,
    WITH_PORTS,
    Endpoint,
    Evaluator,
    Flow,
    Verdict,
    World,
    group_of,
    protocol_number,
)

Service = tuple[int, int]
"""Protocol and port; 0 where it has none."""
PORT_MAX = 65535


@dataclass(frozen=True, slots=True)
class Change:
    """A pair and a port that were open and are closed, or the other way round."""

    source: str
    destination: str
    service: Service
    before: bool
    why: str
    """Who decides it now."""


def changes(
    before: tuple[World, Evaluator],
    after: tuple[World, Evaluator],
    services: Sequence[Service] = (),
    others: Iterable[Endpoint] = (),
) -> Iterator[Change]:
    """The changes between the endpoints that both worlds have, and `others`.

    `services`: those to ask for; without any, the ports that each destination declares.
    """
    new = {str(it): it for it in after[0].endpoints}
    common = [(it, new[str(it)]) for it in before[0].endpoints if str(it) in new]
    common += ((it, it) for it in others)
    for source in common:
        for destination in common:
            if source[0] == destination[0]:
                continue
            for service in services or declared((*destination,)):
                old, now = (
                    judged(world[1], source[side], destination[side], service)
                    for side, world in enumerate((before, after))
                )
                if old.allowed != now.allowed:
                    names = str(source[0]), str(destination[0])
                    yield Change(*names, service, old.allowed, deciding(now))


def judged(evaluator: Evaluator, source: Endpoint, destination: Endpoint, service: Service) -> Verdict:
    return evaluator.judge(Flow(source, destination, *service))


def declared(endpoints: Iterable[Endpoint]) -> list[Service]:
    """The ports that endpoints declare, each once, in order."""
    return sorted({(port.protocol, port.number) for it in endpoints for port in it.ports})


def deciding(verdict: Verdict) -> str:
    """The decision that counts, as a sentence: the first denial, else the last word."""
    found = next((it for it in verdict.decisions if not it.allowed), verdict.decisions[-1])
    return f"{found.direction} of {found.at}: {found.why}"


def service_text(service: Service) -> str:
    protocol, port = service
    name = next((name for name, number in PROTOCOLS.items() if number == protocol), f"protocol {protocol}")
    return f"{port}/{name}" if protocol in WITH_PORTS else name


def overlaid(below: World, objects: Iterable[Object]) -> World:
    """The world with these objects applied: each replaces the one of its kind and name."""
    above = {_identity(it): it for it in objects}
    kept = (it for it in below.objects if _identity(it) not in above)
    return replace(below, objects=(*kept, *above.values()))


def _identity(obj: Object) -> tuple[str, ...]:
    metadata = obj["metadata"]
    return group_of(obj), str(obj["kind"]), metadata.get("namespace") or "", metadata["name"]


def service_of(text: str, *, parameter: str = "--port") -> Service:
    """Read `80/tcp`, `80`, `icmp` or a protocol's number."""
    number, slash, name = text.lower().rpartition("/")
    if not slash and name.isdecimal():
        number, name = name, "tcp"
    try:
        protocol = protocol_number(name)
    except ValueError:
        protocol = -1
    port = int(number) if number.isdecimal() else 0
    if protocol < 0 or (protocol in WITH_PORTS) != (0 < port <= PORT_MAX) or (number and not port):
        raise BadInput(Problem(parameter, f"{text!r} is no port; write 80/tcp, 53/udp or icmp"))
    return protocol, port
