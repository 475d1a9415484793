"""Findings in policies: what selects nobody, matches nothing, is shadowed, or says what has no effect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fabric.api.objects import Object
from fabric.plugin.policies import (
    PROTOCOLS,
    Description,
    Direction,
    Endpoint,
    Evaluator,
    PortDescription,
    RuleDescription,
    World,
)
from fabric.plugin.policy_reading import reference
from fabric.policy import evaluators


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault of one policy, at a field of it."""

    object: Object
    path: str
    what: str

    @property
    def policy(self) -> str:
        return reference(self.object)


def findings(world: World, evaluator: Evaluator, plugin: str) -> list[Finding]:
    """All findings, in the order of the policies."""
    found = [
        Finding(it, "apiVersion", why) for it, why in evaluators.without_effect(world, plugin, evaluator)
    ]
    for description in evaluator.describe():
        found += (Finding(description.policy, path, what) for path, what in _of(description, world))
    return found


def _of(description: Description, world: World) -> Iterator[tuple[str, str]]:
    yield from _namespace(description.policy, world)
    if not description.selected:
        yield "spec", _selects_nobody(description.policy, world)
    yield from description.faults
    silent: set[Direction] = set()
    for rule in description.rules:
        place = f"spec.{rule.direction}"
        if rule.direction not in description.directions:
            if rule.direction not in silent:
                yield place, f"has no effect: the policy's types do not name {rule.direction.capitalize()}"
            silent.add(rule.direction)
            continue
        if rule.covered_by is not None:
            yield f"{place}[{rule.index}]", f"is never needed: {place}[{rule.covered_by}] decides all of it"
        for peer in rule.peers:
            if not peer.endpoints and not peer.has_networks:
                yield peer.path, "matches nobody: no pod, node or set of networks is meant"
        for port in rule.ports:
            if (what := _unserved(port, _servers(rule, description))) is not None:
                yield port.path, what


def _namespace(policy: Object, world: World) -> Iterator[tuple[str, str]]:
    name = policy["metadata"].get("namespace")
    if (
        name
        and name != "default"
        and all(it["metadata"]["name"] != name for it in world.of_kind("Namespace"))
    ):
        yield "metadata.namespace", f"there is no Namespace {name}"


def _selects_nobody(policy: Object, world: World) -> str:
    namespace = policy["metadata"].get("namespace")
    here = [it for it in world.pods if not namespace or it.namespace == namespace]
    if not here:
        return f"selects nobody: namespace {namespace} has no pod" if namespace else "selects nobody"
    if all(it.is_host_network for it in here):
        return "selects nobody: all pods there are of the host's network, where policies do not apply"
    return "selects nobody: no pod has these labels"


def _servers(rule: RuleDescription, description: Description) -> tuple[Endpoint, ...]:
    """The pods whose ports the rule names: those selected, for egress those meant, if none else may be."""
    if rule.direction == "ingress":
        return description.selected
    if not rule.peers or any(it.has_networks for it in rule.peers):
        return ()
    return tuple(dict.fromkeys(endpoint for peer in rule.peers for endpoint in peer.endpoints))


def _unserved(port: PortDescription, servers: tuple[Endpoint, ...]) -> str | None:
    """Say what is wrong with a port that no server declares; nothing where one declares no ports at all."""
    pods = [it for it in servers if it.kind == "pod"]
    if not pods or len(pods) < len(servers) or any(port.is_served_by(it) for it in pods):
        return None
    protocol = next(
        (name for name, number in PROTOCOLS.items() if number == port.protocol), str(port.protocol)
    )
    if port.name:
        return f"no pod that is meant has a {protocol} port named {port.name!r}: it matches nothing"
    if any(not it.ports for it in pods) or (port.first, port.last) == (0, 65535):
        return None
    shown = str(port.first) if port.first == port.last else f"{port.first} to {port.last}"
    return f"no pod that is meant serves port {shown}/{protocol}"
