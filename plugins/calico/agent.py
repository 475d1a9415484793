"""The agent of one node: calico-node (Felix, confd and BIRD) and the CNI plugin beside it.

One loop: the datastore's snapshot changes, the node's state is computed again, and the difference applied.
Nothing is written before the whole datastore was read once and this node is registered: until then what an
earlier life left in the kernel stays and carries packets. Felix, BIRD and the carrier of tunl0 are three
consumers of one computation, and none waits for another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from calico import encapsulation, endpoints, node_files
from calico.addresses import FileAddresses, IpamAddresses
from calico.bgp.config import bird_config, wanted_secrets
from calico.bgp.secrets import Secrets
from calico.calc.feed import Feed
from calico.calc.objects import EndpointId
from calico.carrier import CarrierKeeper, TunnelWatch
from calico.cni import Cni
from calico.felix import ownership, routes
from calico.felix.node_state import HOSTS, NAT, NodeState
from calico.felix.policy_state import PolicySite, PolicyState
from calico.felix.site import Site
from calico.ipam.allocator import Ipam
from calico.kube_annotations import KubeAnnotations
from calico.kube_labels import KubeLabels
from calico.node_files import NodeFiles, conflist
from calico.registration import Registration
from calico.resources.bgp_configuration import effective as effective_bgp
from calico.resources.endpoints import INTERFACE_PREFIX, ClusterInformation, WorkloadEndpoint
from calico.resources.felix import FelixConfigurationSpec, effective
from calico.settings import Settings
from calico.status import Condition, down, up
from calico.syncer import Syncer
from fabric.control.clock import Clock, LoopClock
from fabric.control.netloop import NetLoop
from fabric.errors import FabricError
from fabric.netstate.objects import Route
from fabric.plugin.bird_keeper import BirdKeeper
from fabric.plugin.contract import AgentStatus, Attachment, NodeContext, PodRef

SETTLE_SECONDS = 0.02
"""A burst of changes is two computations: of the first at once, and so long after that of all others."""


class CalicoAgent:
    """The agent of one node: it computes, and three keepers carry out."""

    def __init__(
        self, context: NodeContext, settings: Settings, syncer: Syncer, feed: Feed, kube: KubeLabels
    ) -> None:
        """`syncer`, `feed` and `kube` are followed by somebody else, for all agents of the process."""
        self._context, self._settings = context, settings
        self._syncer, self._feed, self._kube = syncer, feed, kube
        clock, facts, store = LoopClock(), context.facts, context.store
        ipam = Ipam(store, clock, facts.name, node_labels=self._labels)
        self._file = FileAddresses(context.root, settings.subnet_file) if settings.subnet_file else None
        configured = conflist(facts.name, context.config.mtu, own_addresses=self._file is None)
        service_cidr = next(iter(context.config.service_cidrs), None)
        self._files = NodeFiles(context.root, facts.name, service_cidr, configured)
        self._cni = self._cni_plugin(clock, ipam, configured)
        own = (ipam, KubeAnnotations(context.client, facts.name)) if self._file is None else (None, None)
        self._registration = Registration(
            store, clock, facts, settings.rules, own[0], lambda: kube.of(facts.name), own[1]
        )
        self._protocols = frozenset({routes.ROUTE_PROTOCOL})
        owner = ownership.owner(
            ownership.RouteOwnership(
                lambda: self._protocols,
                self._is_of_pod,
                self._is_external,
                lambda: bool(self._felix().route_sync_disabled),
            )
        )
        host = TunnelWatch(context.host, lambda: self._bird.device_came(encapsulation.TUNL0))
        self._loop = NetLoop(host, owner)
        self._secrets = Secrets(context.client, self._changed_now)
        self._bird = BirdKeeper(node_files.bird(context.root), context.daemons, facts.name)
        self._carrier = CarrierKeeper(context.daemons)
        self._state: NodeState | None = None
        self._policies: PolicyState | None = None
        self._was_up = False
        self._concern: tuple[object, object] = (None, None)
        self._changed = asyncio.Event()
        self._computed = asyncio.Event()
        """Set while what is wanted in the kernel follows from the newest snapshot."""
        self._pass = asyncio.Event()
        """Set, and replaced, when what is wanted was computed again."""

    def _cni_plugin(self, clock: Clock, ipam: Ipam, configured: str) -> Cni:
        context = self._context
        return Cni(
            context.facts.name,
            context.root,
            context.store,
            context.client,
            clock,
            self._file or IpamAddresses(ipam, context.client),
            self._pod_mtu,
            self._refuse_new_pods,
            configured,
            lambda: self._prefixes()[0],
        )

    async def run(self) -> None:
        """Run for ever; every FabricError inside is retried."""
        name = self._context.facts.name
        self._syncer.follow(self, self._on_snapshot)
        self._feed.follow(name, self, self._changed_now)
        self._policies = PolicyState(self._feed.calculator, name)
        self._kube.follow(name, self, self._registration.trigger)
        try:
            async with asyncio.TaskGroup() as tasks:
                own = (self._loop, self._registration, self._bird, self._secrets, self._carrier, self._cni)
                for part in own:
                    tasks.create_task(part.run())
                while True:
                    self._changed.clear()
                    self._reconcile()
                    self._computed.set()
                    self._pass.set()
                    self._pass = asyncio.Event()
                    await self._next_change()
        finally:
            self._syncer.leave(self)
            self._feed.leave(name, self)
            self._kube.leave(name, self)

    def status(self) -> AgentStatus:
        """CalicoIsUp once kernel, BIRD and carrier are as the datastore says; never raises."""
        troubles = [
            self._syncer.last_error,
            self._registration.last_error,
            self._loop.last_error,
            self._bird.last_error if self._settings.runs_bird else "",
            self._carrier.last_error,
        ]
        try:
            mtu = self._pod_mtu()
            self._files.install(mtu)
        except FabricError as error:
            troubles.append(str(error))
            mtu = 0
        self._was_up = self._was_up or (bool(mtu) and self._is_up())
        if self._was_up and self._state is not None:
            configurations = self._syncer.snapshot.bgp_configurations
            as_number = effective_bgp(configurations.get("default")).as_number or 0
            condition = Condition(
                self._state, self._settings, self._carrier_kind(), mtu, as_number, self._loop.last_change
            )
            return up(condition, troubles)
        waiting = (
            "the node is being registered" if self._state is None else "BIRD and the kernel are being set up"
        )
        return down(next(filter(None, troubles), waiting))

    def powered_on(self) -> None:
        """Begin again: kernel, BIRD and carrier; pods wait until all three are there."""
        self._was_up = False
        self._loop.trigger()
        self._bird.trigger()
        self._carrier.trigger()

    async def add(self, pod: PodRef) -> Attachment:
        if not self._was_up and not self._is_up():
            raise FabricError(f"Calico is not up on {self._context.facts.name} yet")
        return self._with_its_routes(await self._cni.add(pod))

    async def check(self, pod: PodRef) -> Attachment | None:
        known = await self._cni.check(pod)
        return known and self._with_its_routes(known)

    async def until_programmed(self, pod: PodRef) -> None:
        """Return when the node masquerades, and enforces policies, by what the datastore said at its ADD.

        That is all that the pod's chains lead to, policies that other pods have already among it.
        """
        await self._syncer.until(self._cni.revision_of(pod))
        await self._computed.wait()
        endpoint = EndpointId(WorkloadEndpoint.KIND, pod.namespace, self._cni.endpoint_name(pod))
        while self._policies is not None and not self._policies.has(endpoint):
            await self._pass.wait()
        parts = self._policies.parts_of(endpoint) if self._policies else ()
        for part in (NAT, HOSTS, *parts):
            await self._loop.until_converged(part)

    async def delete(self, pod: PodRef) -> None:
        await self._cni.delete(pod)

    async def collect(self, alive: frozenset[str]) -> None:
        await self._cni.collect(alive)

    def _on_snapshot(self) -> None:
        """Registration looks only at what concerns it: with many nodes, most changes are others' business."""
        snapshot = self._syncer.snapshot
        concern = (snapshot.pools, snapshot.nodes.get(self._context.facts.name))
        if any(now is not before for now, before in zip(concern, self._concern, strict=True)):
            self._concern = concern
            self._registration.trigger()
        self._changed_now()

    def _changed_now(self) -> None:
        self._computed.clear()
        self._changed.set()

    def _is_up(self) -> bool:
        bird = self._bird.is_up or not self._settings.runs_bird
        return self._state is not None and self._loop.is_programmed and self._carrier.is_converged and bird

    def _reconcile(self) -> None:
        """Compute from the newest snapshot what is wanted in the kernel, of the carrier and of BIRD."""
        site = self._site()
        if site is None:
            return
        if self._state is None or self._state.site != site:
            before, self._state = self._state, NodeState(site)
            if before and before.site.felix.route_sync_disabled != site.felix.route_sync_disabled:
                self._loop.trigger()  # What is no more Felix's is forgotten before a plan could delete it.
        wanted = self._state.parts(self._syncer.snapshot) if self._settings.backend != "none" else {}
        if self._policies is not None:
            wanted = {**wanted, **self._policies.parts(PolicySite.of(site))}
        self._protocols |= {routes.protocol(site.felix)}
        self._loop.resync_seconds = site.resync_seconds
        self._loop.want_all(wanted)
        self._carrier.want(self._settings.backend != "none" and site.wants_ipip and not site.has_ipip)
        if self._settings.runs_bird:
            self._secrets.want(wanted_secrets(self._syncer.snapshot))
            self._bird.want(bird_config(self._syncer.snapshot, site.name, self._secrets.known))

    def _with_its_routes(self, attachment: Attachment) -> Attachment:
        """The pod's routes as FelixConfiguration says now; kubelet brings those that it has to them."""
        felix = self._felix()
        sources = {4: felix.device_route_source_address, 6: felix.device_route_source_address_v6}
        return endpoints.with_route_options(
            attachment, felix.device_route_protocol or endpoints.RTPROT_BOOT, sources
        )

    def _prefixes(self) -> tuple[str, ...]:
        """The beginnings of pods' devices; that of new ones first."""
        return tuple((self._felix().interface_prefix or INTERFACE_PREFIX).split(","))

    def _is_of_pod(self, device: str) -> bool:
        return device.startswith(self._prefixes()) or self._cni.has_device(device)

    def _is_external(self, route: Route) -> bool:
        """True of a route over a pod's device to no pod of the node, where removeExternalRoutes says so."""
        return bool(self._felix().remove_external_routes) and not self._cni.has_address(route.dst)

    def _labels(self) -> Mapping[str, str]:
        """The labels that pools select by: the Calico Node's; at first Kubernetes', or the topology's."""
        facts = self._context.facts
        node = self._syncer.snapshot.nodes.get(facts.name)
        return node.labels if node is not None else self._kube.of(facts.name) or facts.labels

    def _refuse_new_pods(self) -> None:
        """FabricError while the datastore is locked: nobody is to write what a migration would miss."""
        cluster = self._syncer.snapshot.of(ClusterInformation).get("default")
        if cluster is not None and cluster.spec.datastore_ready is False:
            raise FabricError("the datastore is locked (calicoctl datastore migrate unlock)")

    def _site(self) -> Site | None:
        """None before the datastore was read and has this node."""
        snapshot, facts = self._syncer.snapshot, self._context.facts
        node = snapshot.nodes.get(facts.name)
        if not snapshot.revision or node is None or node.spec.bgp is None:
            return None
        pools = tuple(pool for _, pool in sorted(snapshot.pools.items()))
        bare = replace(node, metadata=replace(node.metadata, resource_version=""))
        return Site(facts, bare, pools, self._felix(), "ipip" in self._context.features)

    def _felix(self) -> FelixConfigurationSpec:
        found = self._syncer.snapshot.felix_configurations
        return effective(found.get("default"), found.get(f"node.{self._context.facts.name}"))

    def _pod_mtu(self) -> int:
        if self._context.config.mtu:
            return self._context.config.mtu
        if self._file is not None:
            return self._file.mtu()
        return encapsulation.pod_mtu(
            self._context.facts.mtu, self._syncer.snapshot.pools.values(), self._felix()
        )

    def _carrier_kind(self) -> str:
        if self._state is None or not self._state.site.wants_ipip:
            return ""
        return "kernel" if self._state.site.has_ipip else "user space"

    async def _next_change(self) -> None:
        """Return at once for a change after a quiet time, and for those soon after a computation together."""
        now = asyncio.get_running_loop().time
        next_at = now() + SETTLE_SECONDS
        await self._changed.wait()
        await asyncio.sleep(next_at - now())
