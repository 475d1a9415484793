"""Admission: a kubelet runs a pod that names its node only if the node can have it, and else fails it.

The checks are those of Kubernetes' kubelet, in its order and words: room for pods, resources, node affinity,
host ports, NoExecute taints. A pod is judged once, when the kubelet first meets it; what has been admitted
keeps its room until it has ended. A pod that ran before a restart of the kubelet is admitted as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from fabric.api.hostports import HostPort, host_ports
from fabric.api.nodeselection import node_selection_of
from fabric.api.objects import Object, is_deleting, labels_of, uid_of
from fabric.api.resources import CPU, MEMORY, PODS, Amounts, amounts, requests_of
from fabric.api.taints import first_untolerated, taints_of, tolerations_of
from fabric.kubelet.podspec import is_terminal, spec_of, status_of


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a pod is failed instead of run: a reason for status and event, and a message."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class _Share:
    """The part of the node that one admitted pod has."""

    requests: Amounts
    ports: tuple[HostPort, ...]


class Admission:
    """The pods that one node has admitted."""

    def __init__(self, allocatable: Mapping[str, str], node: Callable[[], Object]) -> None:
        """`node` returns the Node as it is now: its labels and taints decide."""
        self._allocatable = amounts(allocatable)
        self._node = node
        self._admitted: dict[str, _Share] = {}

    def admit(self, pod: Object) -> Rejection | None:
        """Admit a pod, or return why not. Asked again, the answer is the same for an admitted pod."""
        uid = uid_of(pod)
        if uid in self._admitted:
            return None
        share = _Share(requests_of(spec_of(pod)), host_ports(spec_of(pod)))
        if not status_of(pod).get("startTime"):
            node = self._node()
            rejection = (
                self._shortage(share) or _mismatch(pod, node) or self._clash(share) or _taint(pod, node)
            )
            if rejection is not None:
                return rejection
        self._admitted[uid] = share
        return None

    def admit_all(self, pods: Iterable[Object]) -> None:
        """Admit what a kubelet finds at its start: pods that ran first, then the older before the younger."""
        living = [pod for pod in pods if not is_terminal(status_of(pod)) and not is_deleting(pod)]
        for pod in sorted(living, key=_rank):
            self.admit(pod)

    def release(self, uid: str) -> None:
        """The pod has ended: others may have its room."""
        self._admitted.pop(uid, None)

    def _shortage(self, share: _Share) -> Rejection | None:
        room = self._allocatable.get(PODS, 0)
        if len(self._admitted) + 1 > room:
            return _out_of(PODS, 1, len(self._admitted), room)
        for name, wanted in _in_order(share.requests):
            if not wanted or (name not in self._allocatable and name not in (CPU, MEMORY)):
                continue
            used = sum(other.requests.get(name, 0) for other in self._admitted.values())
            capacity = self._allocatable.get(name, 0)
            if wanted > capacity - used:
                return _out_of(name, wanted, used, capacity)
        return None

    def _clash(self, share: _Share) -> Rejection | None:
        taken = [port for other in self._admitted.values() for port in other.ports] if share.ports else []
        if any(wanted.conflicts(port) for wanted in share.ports for port in taken):
            return _predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports")
        return None


def _mismatch(pod: Object, node: Object) -> Rejection | None:
    selection = node_selection_of(spec_of(pod))
    if selection.is_open or selection.matches(node["metadata"]["name"], labels_of(node)):
        return None
    return _predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")


def _taint(pod: Object, node: Object) -> Rejection | None:
    tolerations = tolerations_of(spec_of(pod))
    if first_untolerated(taints_of(node), tolerations, ("NoExecute",)) is None:
        return None
    return _predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate")


def _predicate(name: str, why: str) -> Rejection:
    return Rejection(name, f"Predicate {name} failed: {why}")


def _out_of(resource: str, requested: int, used: int, capacity: int) -> Rejection:
    return Rejection(
        f"OutOf{resource}",
        f"Node didn't have enough resource: {resource}, "
        f"requested: {requested}, used: {used}, capacity: {capacity}",
    )


def _in_order(requests: Amounts) -> list[tuple[str, int]]:
    """CPU and memory come first, as in Kubernetes."""
    first = [(name, requests.get(name, 0)) for name in (CPU, MEMORY)]
    return [*first, *sorted((n, amount) for n, amount in requests.items() if n not in (CPU, MEMORY))]


def _rank(pod: Object) -> tuple[bool, str, str]:
    meta = pod["metadata"]
    return not status_of(pod).get("startTime"), str(meta.get("creationTimestamp") or ""), str(meta["name"])
