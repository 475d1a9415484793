"""The informers of one process: one per kind and selection, shared by all who ask for the same."""

from __future__ import annotations

import asyncio

from fabric.api.kinds import Kind
from fabric.control.client import Client
from fabric.control.informer import Informer


class Informers:
    """The shared factory, and the owner of its informers' tasks."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._informers: dict[tuple[Kind, str, str, str], Informer] = {}
        self._tasks: asyncio.TaskGroup | None = None

    def of(
        self, kind: Kind, *, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> Informer:
        """The informer for these arguments; the same arguments give the same one."""
        identity = (kind, namespace, label_selector, field_selector)
        if identity not in self._informers:
            informer = Informer(
                self._client,
                kind,
                namespace=namespace,
                label_selector=label_selector,
                field_selector=field_selector,
            )
            self._informers[identity] = informer
            self._start(informer)
        return self._informers[identity]

    async def run(self) -> None:
        """Run them all, also those that are asked for later, until cancelled or a bug ends one."""
        async with asyncio.TaskGroup() as self._tasks:
            try:
                for informer in tuple(self._informers.values()):
                    self._start(informer)
                await asyncio.get_running_loop().create_future()
            finally:
                self._tasks = None

    async def synced(self) -> None:
        """Wait until each informer asked for so far, also while this waits, has its first list."""
        waited_for: set[int] = set()
        while rest := [i for i in self._informers.values() if id(i) not in waited_for]:
            for informer in rest:
                await informer.synced()
                waited_for.add(id(informer))

    def _start(self, informer: Informer) -> None:
        if self._tasks is not None:
            self._tasks.create_task(informer.run(), name=f"informer of {informer.kind}")
