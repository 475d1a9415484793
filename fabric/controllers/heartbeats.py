"""How long each node has been silent, by our own clock.

A node's clock may be wrong, so its time stamps are not compared with ours: what counts is when we last
saw one of them change. After a start, and after a time in which the server could not be heard,
every node is given its time anew.
"""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime

from fabric.api.objects import Object, condition, uid_of


class Heartbeats:
    """The last sign of life of each node, by name."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[Hashable, datetime]] = {}

    def silent_seconds(self, node: Object, lease: Object | None, now: datetime) -> float:
        """Note what node and lease say now; return how long they have said the same."""
        name, sign = node["metadata"]["name"], _sign_of_life(node, lease)
        last = self._last.get(name)
        if last is None or last[0] != sign:
            self._last[name] = (sign, now)
            return 0.0
        return (now - last[1]).total_seconds()

    def forget(self, name: str) -> None:
        """Begin anew with this node: it is gone, or we could not hear it."""
        self._last.pop(name, None)


def _sign_of_life(node: Object, lease: Object | None) -> Hashable:
    ready = condition(node, "Ready") or {}
    renewed = (lease.get("spec") or {}).get("renewTime") if lease is not None else None
    return uid_of(node), renewed, ready.get("lastHeartbeatTime")
