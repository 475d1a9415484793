"""Of the pods that have ended, only so many are kept for the user to look at; the oldest go first."""

from __future__ import annotations

from collections.abc import Iterable

from fabric.api.kinds import POD
from fabric.api.objects import Key, Object, is_deleting, key_of, uid_of
from fabric.control.client import Client
from fabric.control.controller import Controller
from fabric.control.informers import Informers
from fabric.controllers.placement import is_terminated
from fabric.errors import Conflict, NotFound

_INDEX = "terminated pods, for the controllers"
_ALL = "terminated"
"""The one key of this controller: all terminated pods of the cluster."""


class TerminatedPodController:
    """Keeps at most `kept_max` terminated pods."""

    def __init__(self, client: Client, informers: Informers, *, kept_max: int) -> None:
        self._client = client
        self._kept_max = kept_max
        self._pods = informers.of(POD)
        self._pods.add_index(_INDEX, _terminated)
        self._controller: Controller[str] = Controller("terminated-pods", self.reconcile)
        self._pods.on_change(self._note)

    async def run(self) -> None:
        await self._controller.run()

    async def reconcile(self, key: str) -> None:
        pods = [pod for pod in self._pods.by_index(_INDEX, _ALL) if not is_deleting(pod)]
        pods.sort(key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), key_of(pod)))
        for pod in pods[: max(0, len(pods) - self._kept_max)]:
            namespace, name = key_of(pod)
            try:
                await self._client.delete(POD, name, namespace, grace_period_seconds=0, uid=uid_of(pod))
            except (NotFound, Conflict):
                continue

    def _note(self, key: Key, old: Object | None, new: Object | None) -> None:
        if new is not None and is_terminated(new) and len(self._pods.by_index(_INDEX, _ALL)) > self._kept_max:
            self._controller.queue.add(_ALL)


def _terminated(pod: Object) -> Iterable[str]:
    return (_ALL,) if is_terminated(pod) else ()
