"""Passwords of BGP sessions, from Secrets in the namespace of calico-node.

Only Secrets that some session names are read, each by a watch of its own that begins when it is first wanted
and ends when it is no more. What is missing is said once; sessions that need it wait until it is there.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Callable, Mapping

from calico.bgp.peers import SECRETS_NAMESPACE, SecretRef
from fabric.api.kinds import SECRET
from fabric.api.objects import Key, Object
from fabric.control.client import Client
from fabric.control.informer import Informer

log = logging.getLogger(__name__)


class Secrets:
    """The passwords that are wanted, as far as they are there."""

    def __init__(self, client: Client, on_change: Callable[[], None]) -> None:
        """`on_change` is called when `known` changed."""
        self._client = client
        self._on_change = on_change
        self._wanted: frozenset[SecretRef] = frozenset()
        self._told = asyncio.Event()
        self._informers: dict[str, tuple[Informer, asyncio.Task[None]]] = {}
        self._listed: set[str] = set()
        self._missing: frozenset[SecretRef] = frozenset()
        self.known: Mapping[SecretRef, str] = {}
        """Replaced, never changed."""

    def want(self, wanted: frozenset[SecretRef]) -> None:
        """Have these, and no others, in `known`."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._told.set()

    async def run(self) -> None:
        """Follow what is wanted, for ever."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._told.wait()
                self._told.clear()
                self._follow(tasks)
                self._read()

    def _follow(self, tasks: asyncio.TaskGroup) -> None:
        names = {ref.name for ref in self._wanted if ref.name}
        for name in self._informers.keys() - names:
            self._informers.pop(name)[1].cancel()
            self._listed.discard(name)
        for name in names - self._informers.keys():
            informer = Informer(
                self._client, SECRET, namespace=SECRETS_NAMESPACE, field_selector=f"metadata.name={name}"
            )
            informer.on_change(lambda *_: self._read())
            self._informers[name] = (informer, tasks.create_task(self._watch(name, informer)))

    async def _watch(self, name: str, informer: Informer) -> None:
        """Run the informer; when its first list is there, what is missing is known to be missing."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(informer.run())
            await informer.synced()
            self._listed.add(name)
            self._read()

    def _read(self) -> None:
        found = {ref: text for ref in self._wanted if (text := self._password(ref)) is not None}
        self._say_what_is_missing(self._wanted - found.keys())
        if found != self.known:
            self.known = found
            self._on_change()

    def _password(self, ref: SecretRef) -> str | None:
        entry = self._informers.get(ref.name)
        secret = entry[0].get(Key(SECRETS_NAMESPACE, ref.name)) if entry else None
        return None if secret is None else _decoded(secret, ref.key)

    def _say_what_is_missing(self, missing: frozenset[SecretRef]) -> None:
        sure = frozenset(ref for ref in missing if ref.name in self._listed)
        for ref in sorted(sure - self._missing):
            log.warning(
                "BGP sessions wait for a password: no Secret %s/%s with a key %s",
                SECRETS_NAMESPACE,
                ref.name,
                ref.key,
            )
        self._missing = sure


def _decoded(secret: Object, key: str) -> str | None:
    """The text of one key; None where it is not there, or is no text."""
    data = secret.get("data") or {}
    try:
        return base64.b64decode(data[key], validate=True).decode()
    except (KeyError, TypeError, binascii.Error, UnicodeDecodeError):
        return None
