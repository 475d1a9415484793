"""ConfigMaps and Secrets, read when somebody needs them and kept for a while, for all kubelets of a process.

A watch on all of them would cost every node the whole cluster's maps; a pod's start costs at most one
read of each. What is missing is asked for again after two seconds.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from fabric.api.kinds import Kind
from fabric.api.objects import Object
from fabric.control.client import Client
from fabric.errors import NotFound

FOUND_SECONDS = 30.0
MISSING_SECONDS = 2.0
KEPT_MAX = 2048

_Key = tuple[Kind, str, str]


@dataclass(frozen=True, slots=True)
class _Entry:
    obj: Object | None
    until: float


class SourceCache:
    """Shared by all kubelets of a process."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._kept: OrderedDict[_Key, _Entry] = OrderedDict()
        self._reading: dict[_Key, asyncio.Lock] = {}

    async def fetch(
        self, namespace: str, references: Iterable[tuple[Kind, str]]
    ) -> dict[tuple[Kind, str], Object | None]:
        """Return each object, at most 30 s old, or None where there is none."""
        return {(kind, name): await self._get((kind, namespace, name)) for kind, name in references}

    async def _get(self, key: _Key) -> Object | None:
        lock = self._reading.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                return await self._get_alone(key)
        finally:
            if not lock.locked():
                self._reading.pop(key, None)

    async def _get_alone(self, key: _Key) -> Object | None:
        now = asyncio.get_running_loop().time()
        entry = self._kept.get(key)
        if entry is not None and now < entry.until:
            return entry.obj
        obj = await self._read(key)
        self._kept[key] = _Entry(obj, now + (FOUND_SECONDS if obj else MISSING_SECONDS))
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return obj

    async def _read(self, key: _Key) -> Object | None:
        kind, namespace, name = key
        try:
            return await self._client.get(kind, name, namespace)
        except NotFound:
            return None
