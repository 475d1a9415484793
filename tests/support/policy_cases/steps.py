"""A case is a name and steps; a step is what is done before all pods ask all pods again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from support.policy_cluster import PolicyCluster
from support.policy_objects import Object
from support.policy_worlds import kubernetes_policy

Direction = Literal["ingress", "egress"]
DIRECTIONS: tuple[Direction, ...] = ("ingress", "egress")
_SIDES = {"ingress": "from", "egress": "to"}


class Action(Protocol):
    """A change of the cluster."""

    def do(self, net: PolicyCluster) -> None: ...


@dataclass(frozen=True)
class Put:
    """An object is created, or replaces the one of its name."""

    obj: Object

    def do(self, net: PolicyCluster) -> None:
        net.put(self.obj)


@dataclass(frozen=True)
class Delete:
    """An object is deleted."""

    obj: Object

    def do(self, net: PolicyCluster) -> None:
        net.delete(self.obj)


@dataclass(frozen=True)
class Label:
    """A pod `x/a`, or a namespace, gets labels; None takes one away."""

    name: str
    labels: Mapping[str, str | None]

    def do(self, net: PolicyCluster) -> None:
        net.label(self.name, self.labels)


@dataclass(frozen=True)
class AddPod:
    """A pod begins to run, with these options of `serving`."""

    name: str
    options: Mapping[str, Any]

    def do(self, net: PolicyCluster) -> None:
        net.add_pod(self.name, **self.options)


@dataclass(frozen=True)
class DeletePod:
    """A pod goes."""

    name: str

    def do(self, net: PolicyCluster) -> None:
        net.delete_pod(self.name)


@dataclass(frozen=True)
class Case:
    """A case, as its test is named."""

    name: str
    steps: tuple[tuple[Action, ...], ...]

    def __str__(self) -> str:
        return self.name


def put(*objects: Object) -> tuple[Action, ...]:
    """A step that writes objects."""
    return tuple(map(Put, objects))


def delete(*objects: Object) -> tuple[Action, ...]:
    return tuple(map(Delete, objects))


def case(name: str, *steps: Iterable[Action]) -> Case:
    return Case(name, tuple(map(tuple, steps)))


def rule(direction: Direction, *among: Object, ports: list[Object] | None = None) -> Object:
    """A rule with these peers, and these ports."""
    return {_SIDES[direction]: [*among]} | ({} if ports is None else {"ports": ports})


def policy(
    direction: Direction, *rules: Object, name: str = "policy", namespace: str = "x", **spec: Any
) -> Object:
    """A NetworkPolicy for one direction, of all pods of its namespace unless `spec` has a podSelector."""
    types = {"policyTypes": [direction.capitalize()]}
    return kubernetes_policy(name, namespace, **{direction: [*rules]}, **(types | spec))
