"""Pod statuses on their way to the API: one merge patch per change, and none when nothing changed.

What was written last counts until the informer shows something newer, so that a slow watch neither
repeats a write nor hides that somebody else has written.
"""

from __future__ import annotations

from dataclasses import dataclass

from fabric.api.kinds import POD
from fabric.api.objects import Object, resource_version_of, uid_of
from fabric.control.client import Client
from fabric.errors import Conflict, NotFound
from fabric.kubelet.podspec import status_of
from fabric.kubelet.podstatus import changes


@dataclass(frozen=True, slots=True)
class _Written:
    version: int
    status: Object
    """As computed: what the server made of it is not a difference."""


class StatusWriter:
    """The statuses of one node's pods."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._written: dict[str, _Written] = {}

    def standing(self, pod: Object) -> Object:
        """The status that stands: the informer's, or what was written since."""
        written = self._written.get(uid_of(pod))
        if written is not None and _version(pod) <= written.version:
            return written.status
        return status_of(pod)

    def is_own_echo(self, pod: Object) -> bool:
        """True when the object is what our last write made of it."""
        written = self._written.get(uid_of(pod))
        return written is not None and _version(pod) == written.version

    async def write(self, pod: Object, status: Object) -> None:
        """Write what differs from the standing status; a pod that is gone is no error."""
        standing = self.standing(pod)
        changed = changes(standing, status)
        if not changed:
            return
        meta = pod["metadata"]
        body = {"metadata": {"uid": meta["uid"]}, "status": changed}
        try:
            answer = await self._client.patch(
                POD, meta["name"], body, namespace=meta["namespace"], subresource="status"
            )
        except (NotFound, Conflict):
            return
        self._written[uid_of(pod)] = _Written(_version(answer), {**standing, **status})

    def forget(self, uid: str) -> None:
        self._written.pop(uid, None)


def _version(obj: Object) -> int:
    """Resource versions grow, and Kubernetes promises (since 1.35) that they compare as numbers."""
    text = resource_version_of(obj)
    return int(text) if text.isdigit() else 0
