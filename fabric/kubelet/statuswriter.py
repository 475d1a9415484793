"""The status writer patches pod statuses, by merge key, when something changed and not otherwise.

What was written last counts until the informer shows something newer, so that a slow watch neither
repeats a write nor hides that somebody else has written.
"""

from __future__ import annotations

from dataclasses import dataclass

from fabric.api.kinds import POD
from fabric.api.objects import Object, resource_version_of, uid_of
from fabric.control.client import STRATEGIC, Client
from fabric.errors import Conflict, NotFound
from fabric.kubelet.podspec import status_of
from fabric.kubelet.podstatus import changes


@dataclass(frozen=True, slots=True)
class _Written:
    version: int
    status: Object
    """As computed (what the server made of it is not a difference), with the conditions of others."""
    news: bool
    """True when the answer showed conditions of others that this kubelet has not looked at."""


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
        return written is not None and _version(pod) == written.version and not written.news

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
                POD,
                meta["name"],
                body,
                namespace=meta["namespace"],
                subresource="status",
                patch_type=STRATEGIC,
            )
        except (NotFound, Conflict):
            return
        computed = {**standing, **status}
        full = _with_others(computed, changed, answer)
        news = _by_type(full) != _by_type(computed)
        self._written[uid_of(pod)] = _Written(_version(answer), full, news)

    def forget(self, uid: str) -> None:
        self._written.pop(uid, None)


def _with_others(computed: Object, changed: Object, answer: Object) -> Object:
    """The computed status, but each condition that was not written just now as the server has it."""
    ours = {entry["type"] for entry in changed.get("conditions") or ()}
    conditions = [entry for entry in computed.get("conditions") or () if entry.get("type") in ours]
    conditions += [c for c in status_of(answer).get("conditions") or () if c.get("type") not in ours]
    return {**computed, "conditions": conditions}


def _by_type(status: Object) -> dict[str, Object]:
    return {entry.get("type", ""): entry for entry in status.get("conditions") or ()}


def _version(obj: Object) -> int:
    """Resource versions grow, and Kubernetes promises (since 1.35) that they compare as numbers."""
    text = resource_version_of(obj)
    return int(text) if text.isdigit() else 0
