"""The pods' network on one node: ADD and DEL at the plugin's agent, and the kernel brought to what it says.

Only objects that an attachment names are read, replaced or added; what the plugin's agent owns is left to
it. Drift is looked for here and repaired where pods are worked on, so that a repair never meets a deletion.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from fabric.api.hostports import HostPort
from fabric.api.objects import Object, uid_of
from fabric.errors import FabricError, KernelRefused
from fabric.kernel.attach import attach
from fabric.kubelet.drift import Drift, owner_of
from fabric.kubelet.portmap import HostPorts, localnet
from fabric.netstate.flows import flows_of
from fabric.netstate.objects import NetState
from fabric.netstate.plan import Plan, diff
from fabric.netstate.port import Kernel, pod_namespace
from fabric.plugin.contract import Attachment, NodeAgent, PodRef
from fabric.runtime.contract import SandboxStatus

PROGRAMMED_SECONDS_MAX = 5.0

log = logging.getLogger(__name__)


def pod_ref(pod: Object) -> PodRef:
    """Return a pod's name at the network plugin."""
    meta = pod["metadata"]
    return PodRef(meta.get("namespace", ""), meta["name"], uid_of(pod), pod_namespace(uid_of(pod)))


def orphan_ref(uid: str, name: str = "", namespace: str = "") -> PodRef:
    """Return the name of a pod of which only the UID is sure."""
    return PodRef(namespace, name, uid, pod_namespace(uid))


class PodNetwork:
    """Attachments of one node, by pod UID."""

    def __init__(self, node_name: str, kernel: Kernel, agent: NodeAgent, root: Path) -> None:
        """`root`: the node's private files. `host_ports.run` must be running."""
        self.host_ports = HostPorts(kernel.host(node_name), root)
        self._node_name = node_name
        self._kernel = kernel
        self._agent = agent
        self._attached: dict[str, Attachment] = {}
        self._drift = Drift(kernel.host(node_name))
        self._unfollow: dict[str, Callable[[], None]] = {}
        self._refs: dict[str, PodRef] = {}
        self._programmed: set[str] = set()
        """Pods whose attachment is in the kernel, as far as was seen."""

    def addresses(self, uid: str) -> tuple[str, ...]:
        """The pod's addresses, primary first; empty before its network is up."""
        attachment = self._attached.get(uid)
        return tuple(str(ip.ip) for ip in attachment.ips) if attachment else ()

    def is_up(self, uid: str) -> bool:
        """True once the kernel was brought to the attachment, and no drift was seen since."""
        return uid in self._programmed

    async def attach(self, ref: PodRef, ports: Sequence[HostPort] = ()) -> None:
        """Bring the pod's network up, or repair it, and map its host ports.

        FabricError when the agent cannot allocate or Linux refuses: ask again later.
        """
        attachment = await self._agent.add(ref)
        self._programmed.discard(ref.uid)
        self._attached[ref.uid] = attachment
        self._refs[ref.uid] = ref
        on_node = attachment.node | localnet(attachment) if ports else attachment.node
        self._drift.keep(ref.uid, on_node)
        await attach(self._kernel, self._node_name, ref.netns, on_node, attachment.pod)
        self._follow(ref, attachment.pod)
        await self.host_ports.put(ref, ports, attachment.ips)
        await self._until_programmed(ref)
        self._programmed.add(ref.uid)

    def _follow(self, ref: PodRef, state: NetState) -> None:
        self._stop_following(ref.uid)
        self._unfollow[ref.uid] = self._kernel.follow(ref.netns, state, lambda: self._drift.suspect(ref.uid))

    def _stop_following(self, uid: str) -> None:
        if uid in self._unfollow:
            self._unfollow.pop(uid)()

    async def _until_programmed(self, ref: PodRef) -> None:
        try:
            async with asyncio.timeout(PROGRAMMED_SECONDS_MAX):
                await self._agent.until_programmed(ref)
        except TimeoutError:
            within, told = f"within {PROGRAMMED_SECONDS_MAX:g} s", self._agent.status().message
            what = f"the network plugin has not programmed the pod's endpoint {within}: {told}"
            raise FabricError(what) from None

    async def detach(self, ref: PodRef) -> None:
        """Release the pod's addresses; its devices are gone with its namespace. Idempotent.

        No connection of the pod's is known to the node any more when another pod gets its address.
        """
        attachment = self._attached.get(ref.uid)
        if attachment is not None:
            gone = Plan(flows=tuple(flows_of(ip.ip) for ip in attachment.ips))
            with suppress(KernelRefused):  # The node is off: its connections went with it.
                await self._kernel.host(self._node_name).apply(gone)
        await self._agent.delete(ref)
        self.lose(ref.uid)

    def lose(self, uid: str) -> None:
        """The pod's namespace is gone; what was allocated stays."""
        self.host_ports.drop(uid)
        self._attached.pop(uid, None)
        self._stop_following(uid)
        self._drift.drop(uid)
        self._refs.pop(uid, None)
        self._programmed.discard(uid)

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` when a namespace tells of a change to a pod's part; return how to end it."""
        stop = self._drift.listen(wake)

        def end() -> None:
            stop()
            for uid in tuple(self._unfollow):
                self._stop_following(uid)

        return end

    async def drifted_as_told(self, sandboxes: Iterable[SandboxStatus]) -> frozenset[str]:
        """Look at what the namespaces told of, and return the pods for which something differs."""
        uids = self._living(sandboxes)
        found = set(await self._drift.look(uids))
        suspects = self._drift.take_suspects()
        return self._noted(found | await self._drifted_inside(uid for uid in uids if uid in suspects - found))

    async def drifted(self, sandboxes: Iterable[SandboxStatus]) -> frozenset[str]:
        """Read every namespace and return the pods whose network is not what the agent says it must be."""
        uids = self._living(sandboxes)
        found = {uid for uid in uids if await self._agent.check(self._refs[uid]) != self._attached.get(uid)}
        found |= await self._drift.drifted(uids)
        return self._noted(found | await self._drifted_inside(uid for uid in uids if uid not in found))

    async def _drifted_inside(self, uids: Iterable[str]) -> set[str]:
        """Read these pods' own namespaces."""
        return {uid for uid in uids if uid in self._attached and await self._has_drifted(uid)}

    def _living(self, sandboxes: Iterable[SandboxStatus]) -> list[str]:
        alive = {sandbox.id for sandbox in sandboxes if sandbox.alive}
        return [uid for uid in self._attached if uid in alive]

    def _noted(self, found: set[str]) -> frozenset[str]:
        still = found & self._attached.keys()
        self._programmed -= still
        return frozenset(still)

    async def _has_drifted(self, uid: str) -> bool:
        desired = self._attached[uid].pod
        try:
            actual = await self._kernel.host(self._refs[uid].netns).read(owner_of(desired))
        except FabricError as error:
            log.info("pod %s cannot be read: %s", uid, error)
            return False
        return bool(diff(desired, actual))
