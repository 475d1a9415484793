"""The agent of one node: calico-node (Felix, confd and BIRD) and the CNI plugin beside it.

One loop: the datastore's view changes, the node's state is computed again, and the difference applied.
Nothing is written before the whole datastore was read once and this node is registered: until then what an
earlier life left in the kernel stays and carries packets. Felix, BIRD and the carrier of tunl0 are three
consumers of one computation, and none waits for another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from calico import encapsulation
from calico.addresses import FileAddresses, IpamAddresses
from calico.bgp.config import bird_config, wanted_secrets
from calico.bgp.keeper import BirdKeeper
from calico.bgp.secrets import Secrets
from calico.cni import Cni
from calico.encapsulation import TUNL0
from calico.felix import ownership
from calico.felix.node_state import NodeState
from calico.felix.site import Site
from calico.ipam.allocator import Ipam
from calico.registration import Registration
from calico.resources.felix import effective
from calico.settings import Settings
from calico.status import Condition, down, up
from calico.view import Book
from fabric.control.clock import LoopClock
from fabric.control.netloop import NetLoop
from fabric.errors import FabricError
from fabric.netstate.objects import NetState
from fabric.plugin.contract import (
    IPIP_CARRIER,
    AgentStatus,
    Attachment,
    NodeContext,
    PodRef,
    Program,
)

SETTLE_SECONDS = 0.02
"""A burst of changes is one computation."""
CARRIER_LOOK_SECONDS = 0.05
RESYNC_SECONDS = 5.0
CARRIER = Program(TUNL0, (IPIP_CARRIER, TUNL0))

Labels = Callable[[], Mapping[str, str]]


class CalicoAgent:
    """One node."""

    def __init__(self, context: NodeContext, settings: Settings, book: Book, kube_labels: Labels) -> None:
        """`book` is followed by somebody else; `kube_labels` are those of the Kubernetes Node now."""
        self._context = context
        self._settings = settings
        self._book = book
        self._clock = LoopClock()
        facts = context.facts
        self._ipam = Ipam(context.store, self._clock, facts.name, node_labels=kube_labels)
        self._file = FileAddresses(context.root, settings.subnet_file) if settings.subnet_file else None
        self._cni = Cni(
            facts.name,
            context.root,
            context.store,
            context.client,
            self._clock,
            self._file or IpamAddresses(self._ipam, context.client),
            self._pod_mtu,
        )
        ipam = None if self._file else self._ipam
        self._registration = Registration(
            context.store, self._clock, facts, settings.rules, ipam, kube_labels
        )
        self._loop = NetLoop(context.host, ownership.owner(), resync_seconds=RESYNC_SECONDS)
        self._secrets = Secrets(context.client, self._changed_now)
        self._bird = BirdKeeper(context)
        self._state: NodeState | None = None
        self._carried: bool | None = None
        self._wants_carrier = False
        self._was_up = False
        self._concern: tuple[object, object] = (None, None)
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Run for ever; every FabricError inside is retried."""
        self._book.follow(self, self._on_book)
        try:
            async with asyncio.TaskGroup() as tasks:
                parts = (self._loop, self._registration, self._bird, self._secrets)
                for part in parts:
                    tasks.create_task(part.run())
                tasks.create_task(self._keep_carrier())
                while True:
                    self._changed.clear()
                    self._reconcile()
                    await self._next_change()
        finally:
            self._book.leave(self)

    def status(self) -> AgentStatus:
        """CalicoIsUp once the kernel is as the datastore says, and BIRD runs where it shall."""
        self._was_up = self._was_up or self._is_up()
        troubles = (
            self._book.last_error,
            self._registration.last_error,
            self._loop.last_error,
            self._bird.last_error if self._settings.runs_bird else "",
        )
        if self._was_up and self._state is not None:
            condition = Condition(self._state, self._settings, self._carrier_kind(), self._pod_mtu())
            return up(condition, troubles)
        waiting = (
            "the node is being registered" if self._state is None else "BIRD and the kernel are being set up"
        )
        return down(next(filter(None, troubles), waiting))

    def powered_on(self) -> None:
        """Begin again: kernel, BIRD and carrier; pods wait until all three are there."""
        self._was_up, self._carried = False, None
        self._loop.poke()
        self._bird.poke()

    async def add(self, pod: PodRef) -> Attachment:
        if not self._was_up and not self._is_up():
            raise FabricError(f"Calico is not up on {self._context.facts.name} yet")
        return await self._cni.add(pod)

    async def check(self, pod: PodRef) -> Attachment | None:
        return await self._cni.check(pod)

    async def delete(self, pod: PodRef) -> None:
        await self._cni.delete(pod)

    async def collect(self, alive: frozenset[str]) -> None:
        await self._cni.collect(alive)

    def relabelled(self) -> None:
        """The Kubernetes Node has other labels."""
        self._registration.poke()

    def _on_book(self) -> None:
        """Registration looks only at what concerns it: with many nodes, most changes are others' business."""
        view = self._book.view
        concern = (view.pools, view.nodes.get(self._context.facts.name))
        if any(now is not before for now, before in zip(concern, self._concern, strict=True)):
            self._concern = concern
            self._registration.poke()
        self._changed_now()

    def _changed_now(self) -> None:
        self._changed.set()

    def _is_up(self) -> bool:
        bird = self._bird.is_up or not self._settings.runs_bird
        return self._state is not None and self._loop.settled and bird

    def _reconcile(self) -> None:
        """From the view as it is now to what is wanted in the kernel and of BIRD."""
        site = self._site()
        if site is None:
            return
        if self._state is None or self._state.site != site:
            self._state = NodeState(site)
        desired: NetState = frozenset()
        if self._settings.backend != "none":
            desired = self._state.desired_state(self._book.view)
        self._wants_carrier = self._settings.backend != "none" and site.wants_ipip and not site.has_ipip
        self._loop.want(desired)
        if self._settings.runs_bird:
            self._secrets.want(wanted_secrets(self._book.view))
            self._bird.want(bird_config(self._book.view, site.name, self._secrets.known))

    def _site(self) -> Site | None:
        """None before the datastore was read and has this node."""
        view, facts = self._book.view, self._context.facts
        node = view.nodes.get(facts.name)
        if not view.revision or node is None or node.spec.bgp is None:
            return None
        configurations = (view.felix_configurations.get(name) for name in ("default", f"node.{facts.name}"))
        pools = tuple(pool for _, pool in sorted(view.pools.items()))
        bare = replace(node, metadata=replace(node.metadata, resource_version=""))
        return Site(facts, bare, pools, effective(*configurations), "ipip" in self._context.features)

    def _pod_mtu(self) -> int:
        if self._context.config.mtu:
            return self._context.config.mtu
        if self._file is not None:
            return self._file.mtu()
        return encapsulation.pod_mtu(self._context.facts.mtu, self._book.view.pools.values())

    def _carrier_kind(self) -> str:
        if self._state is None or not self._state.site.wants_ipip:
            return ""
        return "kernel" if self._state.site.has_ipip else "user space"

    async def _keep_carrier(self) -> None:
        """See that the carrier of tunl0 runs where the kernel has no ipip, and nowhere else."""
        while True:
            if self._wants_carrier != self._carried:
                with suppress(FabricError):
                    wanted = self._wants_carrier
                    if wanted:
                        await self._context.daemons.keep(CARRIER)
                    else:
                        await self._context.daemons.end(CARRIER.name)
                    self._carried = wanted
            await asyncio.sleep(CARRIER_LOOK_SECONDS)

    async def _next_change(self) -> None:
        await self._changed.wait()
        await asyncio.sleep(SETTLE_SECONDS)
