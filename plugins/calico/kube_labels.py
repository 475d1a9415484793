"""The labels of the Kubernetes Nodes, followed by an informer for all agents of a process.

Until a Node was seen its labels are not known, which is something else than none: an agent that starts anew
must not take away what it does not know yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fabric.api.objects import Key, Object, labels_of
from fabric.control.informer import Informer

Labels = Mapping[str, str]


class KubeLabels:
    """The labels of Kubernetes' Nodes by name, as an informer tells them."""

    def __init__(self, nodes: Informer) -> None:
        self._labels: dict[str, Labels] = {}
        self._followers: dict[str, tuple[object, Callable[[], None]]] = {}
        nodes.on_change(self._on_node)

    def of(self, node: str) -> Labels | None:
        """The labels now; None while there is no such Node, or none was seen yet."""
        return self._labels.get(node)

    def follow(self, node: str, who: object, on_change: Callable[[], None]) -> None:
        """Call `on_change` after each change of that Node's labels; of a node's agents the newest is told."""
        self._followers[node] = (who, on_change)

    def leave(self, node: str, who: object) -> None:
        """Follow no more."""
        if self._followers.get(node, (None,))[0] is who:
            del self._followers[node]

    def _on_node(self, key: Key, old: Object | None, new: Object | None) -> None:
        if new is None:
            self._labels.pop(key.name, None)
            return
        labels = labels_of(new)
        if self._labels.get(key.name) != labels:
            self._labels[key.name] = labels
            if key.name in self._followers:
                self._followers[key.name][1]()
