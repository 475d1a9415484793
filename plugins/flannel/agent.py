"""The agent of one node: flanneld, begun anew for each configuration, and the CNI plugin beside it.

The two meet in the node's files only (subnet.env), as on a real node: pods can be attached while
flanneld waits for the store.
"""

from __future__ import annotations

import asyncio
import logging
import random

from fabric.errors import FabricError
from fabric.plugin.contract import AgentStatus, Attachment, NodeContext, PodRef
from flannel.cni import Cni
from flannel.flanneld import Flanneld
from flannel.lease_book import LeaseBook
from flannel.status import down

log = logging.getLogger(__name__)


class FlannelAgent:
    """The agent of a node: its flanneld and its CNI plugin."""

    def __init__(self, context: NodeContext, book: LeaseBook, rng: random.Random | None = None) -> None:
        self._context = context
        self._book = book
        self._rng = rng or random.Random()
        self._cni = Cni(context.root)
        self._flanneld: Flanneld | None = None
        self._waiting_for = "flannel has not started"

    async def run(self) -> None:
        """Run for ever; every FabricError inside is retried."""
        changed = asyncio.Event()
        self._book.follow(self, changed.set)
        try:
            while True:
                changed.clear()
                try:
                    self._flanneld = Flanneld(self._context, self._book, self._cni, self._rng)
                except FabricError as error:
                    log.info("%s: %s", self._context.facts.name, error)
                    self._waiting_for = str(error)
                    await changed.wait()
                else:
                    await self._flanneld.run()
        finally:
            self._book.leave(self)

    def status(self) -> AgentStatus:
        """FlannelIsUp once subnet.env is written; before that, what it waits for."""
        if self._flanneld:
            return self._flanneld.status()
        return down(self._book.last_error or self._waiting_for)

    def powered_on(self) -> None:
        if self._flanneld:
            self._flanneld.powered_on()

    async def add(self, pod: PodRef) -> Attachment:
        return self._cni.add(pod)

    async def check(self, pod: PodRef) -> Attachment | None:
        return self._cni.check(pod)

    async def until_programmed(self, pod: PodRef) -> None:
        """Return at once: flanneld wants nothing for a single pod."""

    async def delete(self, pod: PodRef) -> None:
        self._cni.delete(pod.uid)

    async def collect(self, alive: frozenset[str]) -> None:
        self._cni.collect(alive)
