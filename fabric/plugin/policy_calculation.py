"""The port to a network plugin's calculation of policies: what it costs is measured without a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from fabric.api.objects import Object
from fabric.netstate.objects import NetState
from fabric.plugin.contract import NetworkConfig, NodeFacts


class Calculation(Protocol):
    """The calculation that the agents of one process share, and what each of them renders of it.

    Its objects are Namespaces, Pods with a node (`spec.nodeName`) and addresses (`status.podIPs`), and
    NetworkPolicies. A pod may be on a node that none of the agents is for: it is a peer of the policies only.
    """

    def put(self, obj: Object) -> None:
        """Enter an object, or change it."""
        ...

    def drop(self, obj: Object) -> None:
        """Remove an object; none is no error."""
        ...

    def compute(self) -> Mapping[str, Mapping[str, NetState]]:
        """Return each node's rules and sets by parts; a part that stayed is the same object."""
        ...


@runtime_checkable
class Calculates(Protocol):
    """A network plugin that enforces policies, and whose calculation can be had by itself."""

    def policy_calculation(self, config: NetworkConfig, nodes: Sequence[NodeFacts]) -> Calculation:
        """An empty calculation for the agents of these nodes."""
        ...
