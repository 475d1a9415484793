"""flanneld on one node: a lease in the store, and the kernel as all leases say it must be.

First the configuration, then the lease, then everything in the kernel at once (device, address,
peers, masquerade, forward, in that order), then subnet.env, and from there on one loop: whenever a
lease changes, the state is computed again and the difference applied. What a stranger deletes comes
back with the next read of the kernel, five seconds later at most.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from fabric.control.netloop import NetLoop
from fabric.errors import FabricError
from fabric.plugin.contract import AgentStatus, Attachment, NodeContext, PodRef
from flannel import ownership
from flannel.annotations import NodeAnnotations, annotations_for
from flannel.backend import Site
from flannel.backends import BACKENDS, OPTIONS
from flannel.cni import Cni
from flannel.lease_book import LeaseBook
from flannel.lease_keeper import LeaseKeeper
from flannel.leases import CONFIG_KEY
from flannel.net_conf import NetConf, parse
from flannel.node_state import NodeState
from flannel.status import down, up

RETRY_SECONDS = 1.0
SETTLE_SECONDS = 0.05
RESYNC_SECONDS = 5.0

T = TypeVar("T")
log = logging.getLogger(__name__)


class FlannelAgent:
    """One node's flanneld and CNI plugin. `run` is called once."""

    def __init__(self, context: NodeContext, rng: random.Random | None = None) -> None:
        self._context = context
        self._rng = rng or random.Random()
        self._cni = Cni(context.root)
        self._annotations = NodeAnnotations(context.client, context.facts.name)
        self._book = LeaseBook(context.store, self._on_book)
        self._changed = asyncio.Event()
        self._keeper: LeaseKeeper | None = None
        self._loop: NetLoop | None = None
        self._state: NodeState | None = None
        self._installed = False
        self._waiting_for = "flannel has not started"

    async def run(self) -> None:
        """Run for ever; every FabricError inside is retried."""
        conf = await self._until_done(self._fetch_conf)
        self._keeper = keeper = self._make_keeper(conf)
        await self._until_done(keeper.acquire)
        self._waiting_for = "the leases of the other nodes are not read yet"
        self._loop = NetLoop(self._context.host, ownership.owner(conf), resync_seconds=RESYNC_SECONDS)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._loop.run())
            tasks.create_task(self._keep_kernel(conf, keeper, self._loop))
            tasks.create_task(self._book.run())
            tasks.create_task(keeper.run())
            tasks.create_task(self._annotations.run())

    def status(self) -> AgentStatus:
        """FlannelIsUp once subnet.env is written; before that, what it waits for."""
        if not self._installed or self._state is None or self._loop is None:
            error = self._loop.last_error if self._loop else ""
            return down(error or self._waiting_for)
        return up(self._state, self._loop.last_error, self._book.last_error)

    async def add(self, pod: PodRef) -> Attachment:
        return self._cni.add(pod)

    async def check(self, pod: PodRef) -> Attachment | None:
        return self._cni.check(pod)

    async def delete(self, pod: PodRef) -> None:
        self._cni.delete(pod.uid)

    async def collect(self, alive: frozenset[str]) -> None:
        self._cni.collect(alive)

    async def _until_done(self, step: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await step()
            except FabricError as error:
                if self._waiting_for != str(error):
                    log.info("%s: %s", self._context.facts.name, error)
                self._waiting_for = str(error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _fetch_conf(self) -> NetConf:
        kv = await self._context.store.get(CONFIG_KEY)
        if kv is None:
            raise FabricError(f"no network configuration: {CONFIG_KEY} is not in the store yet")
        return parse(kv.value, CONFIG_KEY, OPTIONS)

    def _make_keeper(self, conf: NetConf) -> LeaseKeeper:
        context, backend = self._context, BACKENDS[conf.backend]
        return LeaseKeeper(
            context.store,
            conf,
            backend,
            context.facts,
            context.root,
            on_change=self._changed.set,
            rng=self._rng,
        )

    def _on_book(self) -> None:
        if self._keeper is not None:
            self._keeper.judge(self._book)
        self._changed.set()

    async def _keep_kernel(self, conf: NetConf, keeper: LeaseKeeper, loop: NetLoop) -> None:
        while True:
            await self._next_change()
            if keeper.held is None or not self._book.revision:
                # Without the peers' leases their routes would be deleted, and made again a moment later.
                continue
            site = Site(self._context.facts, conf, keeper.held.lease)
            if self._state is None or self._state.site.lease != site.lease:
                self._turn(site)
            if self._state is not None:
                loop.want(self._state.desired_state(self._book.leases))
                self._install_when_settled(self._state, loop)

    def _turn(self, site: Site) -> None:
        """Another lease: other device, other rules, and soon another subnet.env."""
        backend, facts = BACKENDS[site.conf.backend], self._context.facts
        mtu = self._context.config.mtu or backend.mtu(site.conf, facts)
        self._state = NodeState(backend, site, mtu)
        self._installed = False
        self._waiting_for = "the node's devices and routes are being set up"
        self._annotations.want(annotations_for(site.lease))

    def _install_when_settled(self, state: NodeState, loop: NetLoop) -> None:
        if self._installed or not loop.settled:
            return
        try:
            self._cni.install(state.env)
        except FabricError as error:
            self._waiting_for = str(error)
        else:
            self._installed = True

    async def _next_change(self) -> None:
        """Wait for a change; while subnet.env is to be written, look often whether the kernel is ready."""
        pending = self._state is not None and not self._installed
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS if pending else None):
                await self._changed.wait()
        self._changed.clear()
