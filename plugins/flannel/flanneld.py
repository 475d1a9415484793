"""flanneld on one node: a lease in the store, and the kernel as all leases say it must be.

First the lease, then everything in the kernel at once (device, address, peers, masquerade, forward, in
that order), then subnet.env, and from there on one loop: whenever a lease changes, the state is
computed again and the difference applied. What a stranger deletes comes back as soon as the kernel tells of
it, or with the next read, 90 seconds later at most. It ends when the store has another configuration that
can be used.
"""

from __future__ import annotations

import asyncio
import random

from fabric.control.loop import Loop
from fabric.control.netloop import NetLoop
from fabric.errors import BadInput, FabricError
from fabric.plugin.contract import AgentStatus, NodeContext
from flannel import ownership, subnet_env
from flannel.annotations import NodeAnnotations, annotations_for
from flannel.backend import Site
from flannel.backends import BACKENDS, OPTIONS
from flannel.cni import Cni
from flannel.lease_book import LeaseBook
from flannel.lease_keeper import LeaseKeeper
from flannel.leases import CONFIG_KEY
from flannel.net_conf import attaches_pods, parse
from flannel.node_state import NodeState
from flannel.status import down, up


class Flanneld:
    """A life of flanneld on one node, with one configuration."""

    def __init__(self, context: NodeContext, book: LeaseBook, cni: Cni, rng: random.Random) -> None:
        """FabricError when the book has no configuration, BadInput when it has one that cannot be used."""
        self._context = context
        self._book = book
        self._config = config = book.config
        if config is None:
            raise FabricError(f"no network configuration: {CONFIG_KEY} is not in the store yet")
        self._conf = conf = parse(config, CONFIG_KEY, OPTIONS)
        self._refused_config: bytes | None = None
        self._cni = cni
        name = context.facts.name
        self._loop = Loop(f"flanneld of {name}", self._reconcile)
        self._keeper = LeaseKeeper(
            context.store,
            conf,
            BACKENDS[conf.backend],
            context.facts,
            context.root,
            on_change=self._loop.trigger,
            rng=rng,
        )
        before = subnet_env.read(context.root)
        owner = ownership.owner(conf, before.networks if before else ())
        self._net = NetLoop(context.host, owner, on_pass=self._on_net_pass)
        self._annotations = NodeAnnotations(context.client, name)
        self._state: NodeState | None = None
        self._installed = False
        self._trouble = ""
        self._outdated = asyncio.Event()

    async def run(self) -> None:
        """Run until the store has another usable configuration; every FabricError inside is retried."""
        self._book.follow(self, self._on_book)
        try:
            async with asyncio.TaskGroup() as tasks:
                loops = (self._net, self._keeper, self._annotations, self._loop)
                parts = [tasks.create_task(loop.run()) for loop in loops]
                await self._outdated.wait()
                for part in parts:
                    part.cancel()
        finally:
            self._book.leave(self)

    def status(self) -> AgentStatus:
        """FlannelIsUp once subnet.env is written; before that, what it waits for."""
        keepers = (self._net, self._keeper, self._book, self._loop)
        troubles = (*(keeper.last_error for keeper in keepers), self._trouble)
        if self._state is not None and self._installed:
            return up(self._state, troubles, self._net.last_change)
        waiting = (
            "waiting for a subnet" if self._keeper.held is None else "devices and routes are being set up"
        )
        return down(next(filter(None, troubles), waiting))

    def powered_on(self) -> None:
        """Read the kernel again: whatever was in it is gone."""
        self._net.trigger()

    def _on_book(self) -> None:
        self._keeper.judge(self._book)
        self._loop.trigger()

    def _on_net_pass(self) -> None:
        if not self._installed:
            self._loop.trigger()

    async def _reconcile(self) -> None:
        """Turn the leases as they are now into what is wanted in the kernel, on disk, and of the Node."""
        if self._is_outdated():
            self._outdated.set()
            return
        if self._keeper.held is None or not self._book.revision:
            # Without the peers' leases their routes would be deleted, and made again a moment later.
            return
        site = Site(self._context.facts, self._conf, self._keeper.held.lease)
        if self._state is None or self._state.site.lease != site.lease:
            self._installed = False
            endpoints = attaches_pods(self._context.config)
            self._state = NodeState(BACKENDS[self._conf.backend], site, self._mtu(), endpoints=endpoints)
            self._annotations.want(annotations_for(site.lease))
        self._net.want_all(self._state.parts(self._book.leases))
        if not self._installed and self._net.is_programmed:
            self._cni.install(self._state.env, configured=attaches_pods(self._context.config))
            self._installed = True

    def _mtu(self) -> int:
        given = self._context.config.mtu
        return given or BACKENDS[self._conf.backend].mtu(self._conf, self._context.facts)

    def _is_outdated(self) -> bool:
        """True when the store has another configuration, and a right one; a wrong one is only told."""
        found = self._book.config
        if found is None or found in (self._config, self._refused_config):
            return False
        try:
            parse(found, CONFIG_KEY, OPTIONS)
        except BadInput as error:
            self._refused_config = found
            self._trouble = f"the new configuration is not used: {error}"
            return False
        return True
