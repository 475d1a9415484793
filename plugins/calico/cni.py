"""Calico's CNI plugin on one node: ADD, CHECK, DEL and GC.

ADD gives the pod its address, writes its WorkloadEndpoint (the datastore's record of where it is), tells of
both on the pod, and keeps its result in the node's own files, so that CHECK needs no store and pods are
repaired while it is away. DEL takes the endpoint, the address, and the file last: it is what says that
something is left. Cut anywhere, either is completed by the next.

An endpoint that somebody deletes comes back: an address without one would be taken for a leak, and given to
another pod.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

from calico import endpoints, workloads
from calico.addresses import Addresses
from calico.resources.endpoints import (
    INTERFACE_PREFIX,
    EndpointPort,
    WorkloadEndpoint,
    endpoint_name,
    interface_name,
)
from calico.resources.readers import NAME_LENGTH_MAX
from calico.results import Result, Results
from fabric.api.kinds import POD
from fabric.api.objects import Object, sandbox_id, uid_of
from fabric.control.client import Client
from fabric.control.clock import Clock
from fabric.errors import FabricError, NotFound
from fabric.netstate.objects import IPAddress, IPNetwork
from fabric.plugin.contract import Attachment, PodRef
from fabric.store.port import Store

RESTORE_SECONDS = 300.0
"""How often endpoints are missed: a third of the grace after which an address without one is given back."""

log = logging.getLogger(__name__)


class Cni:
    """The CNI plugin on one node."""

    def __init__(
        self,
        node: str,
        root: Path,
        store: Store,
        client: Client,
        clock: Clock,
        addresses: Addresses,
        mtu: Callable[[], int],
        refuse_new: Callable[[], None] = lambda: None,
        conflist: str = "",
        prefix: Callable[[], str] = lambda: INTERFACE_PREFIX,
    ) -> None:
        """`mtu` and `prefix` say what new veths get, `refuse_new` by a FabricError why none may come now."""
        self._node = node
        self._results = Results(root, conflist)
        self._store = store
        self._client = client
        self._clock = clock
        self._addresses = addresses
        self._mtu = mtu
        self._refuse_new = refuse_new
        self._attached: dict[str, Attachment] = {}
        self._revisions: dict[str, int] = {}
        self._ending: set[str] = set()
        self._prefix = prefix
        self._held: dict[str, Result] | None = None

    def has_address(self, address: IPNetwork) -> bool:
        """True where a pod of this node was given the address (a network of one), and has not ended."""
        is_one = address.prefixlen == address.max_prefixlen
        return is_one and any(address.network_address in it.ips for it in self._results_held().values())

    def has_device(self, name: str) -> bool:
        """True where a pod of this node was given a veth of that name, and has not ended."""
        return any(it.device == name for it in self._results_held().values())

    def _results_held(self) -> dict[str, Result]:
        if self._held is None:
            found = {container: self._results.kept(container) for container in self._results.containers()}
            self._held = {name: result for name, result in found.items() if result is not None}
        return self._held

    async def run(self) -> None:
        """Restore the endpoints of this node's pods, for ever."""
        while True:
            await asyncio.sleep(RESTORE_SECONDS)
            try:
                await self.restore()
            except FabricError as refusal:
                log.info("%s: endpoints cannot be looked after now: %s", self._node, refusal)

    async def add(self, ref: PodRef) -> Attachment:
        """Allocate, or find what was; FabricError when it cannot be now."""
        if (known := await self.check(ref)) is not None:
            return known
        self._refuse_new()
        name = self.endpoint_name(ref)
        mtu = self._mtu()
        pod = await self._client.get(POD, ref.name, ref.namespace)
        if uid_of(pod) != ref.uid:
            raise FabricError(f"pod {ref.namespace}/{ref.name} is not {ref.uid} any more but {uid_of(pod)}")
        found = await self._addresses.assign(ref, pod)
        device = interface_name(ref.namespace, ref.name, self._prefix())
        result = Result(ref.namespace, ref.name, ref.uid, found, mtu, endpoints.mac_of(ref.uid), device)
        endpoint = _endpoint(self._node, name, result, pod)
        self._revisions[ref.sandbox_id] = await workloads.write(self._store, self._clock, endpoint)
        await self._annotate(ref, found)
        self._results.keep(result)
        if self._held is not None:
            self._held[ref.sandbox_id] = result
        attached = self._attached[ref.sandbox_id] = endpoints.attachment(ref, found, mtu, device)
        return attached

    async def check(self, ref: PodRef) -> Attachment | None:
        """The attachment of a pod that was added; None when nothing is known of it.

        It is what ADD said, also after the configuration has changed: a pod keeps its veth's name and MTU.
        """
        container = ref.sandbox_id
        known = self._attached.get(container)
        if known is None and (kept := self._results.kept(container)) is not None:
            attached = endpoints.attachment(ref, kept.ips, kept.mtu, kept.device)
            known = self._attached[container] = attached
        return known

    def revision_of(self, ref: PodRef) -> int:
        """The store's revision at which the endpoint of a pod was written; 0 for one of an earlier life."""
        return self._revisions.get(ref.sandbox_id, 0)

    async def delete(self, ref: PodRef) -> None:
        """Release everything of the pod; nothing is no error. Its UID is enough."""
        container = ref.sandbox_id
        if ref.name and ref.namespace:
            await self._release(container, ref.namespace, endpoint_name(self._node, ref.name, ref.device))
            return
        for workload in await workloads.of_node(self._store, self._node):
            if workload.container == container:
                await self._release(container, workload.namespace, workload.name)
        await self._release(container)

    async def collect(self, alive: frozenset[str]) -> None:
        """Release everything of pods whose UIDs are not in `alive`."""
        containers = frozenset(map(sandbox_id, alive))
        for workload in await workloads.of_node(self._store, self._node):
            if workload.container and workload.container not in containers:
                await self._release(workload.container, workload.namespace, workload.name)
        known = self._results.containers() | self._attached.keys() | await self._addresses.held()
        for container in sorted(known - containers):
            await self._release(container)

    async def restore(self) -> None:
        """Write again what endpoints are missing of pods that were added and are the API's still."""
        for container in sorted(self._results.containers()):
            result = self._results.kept(container)
            if result is None:
                continue
            ref = result.ref
            if not await workloads.is_there(self._store, ref.namespace, self.endpoint_name(ref)):
                await self._restore(ref, result)

    async def _restore(self, ref: PodRef, result: Result) -> None:
        try:
            pod = await self._client.get(POD, ref.name, ref.namespace)
        except NotFound:
            return
        if uid_of(pod) != ref.uid or self._is_ending(ref.sandbox_id):
            return
        self._refuse_new()
        name = self.endpoint_name(ref)
        endpoint = _endpoint(self._node, name, result, pod)
        await workloads.write(self._store, self._clock, endpoint)
        if self._is_ending(ref.sandbox_id):
            await workloads.delete(self._store, ref.namespace, name, ref.sandbox_id)

    def _is_ending(self, container: str) -> bool:
        return container in self._ending or self._results.kept(container) is None

    async def _annotate(self, ref: PodRef, addresses: tuple[IPAddress, ...]) -> None:
        """Tell on the pod what its sandbox and its addresses are, as Calico's plugin does."""
        networks = ",".join(str(ip_network(address)) for address in addresses)
        told = {"containerID": ref.sandbox_id, "podIP": networks.split(",")[0], "podIPs": networks}
        annotations = {f"cni.projectcalico.org/{name}": text for name, text in told.items()}
        patch = {"metadata": {"annotations": annotations}}
        await self._client.patch(POD, ref.name, patch, namespace=ref.namespace, field_manager="calico")

    async def _release(self, container: str, namespace: str = "", name: str = "") -> None:
        self._ending.add(container)
        try:
            if name:
                await workloads.delete(self._store, namespace, name, container)
            await self._addresses.release(container)
            self._attached.pop(container, None)
            self._revisions.pop(container, None)
            if self._held is not None:
                self._held.pop(container, None)
            self._results.forget(container)
        finally:
            self._ending.discard(container)

    def endpoint_name(self, ref: PodRef) -> str:
        name = endpoint_name(self._node, ref.name, ref.device)
        if len(name) > NAME_LENGTH_MAX:
            limit = f"its WorkloadEndpoint would be called {name}; at most {NAME_LENGTH_MAX} characters fit"
            raise FabricError(f"the name of pod {ref.namespace}/{ref.name} is too long for Calico: {limit}")
        return name


def _endpoint(node: str, name: str, result: Result, pod: Object) -> WorkloadEndpoint:
    """The pod's WorkloadEndpoint, with what policies select by."""
    ref = result.ref
    spec = pod.get("spec") or {}
    account = spec.get("serviceAccountName") or "default"
    return WorkloadEndpoint.named(
        name,
        ref.namespace,
        labels=workloads.labels_of_pod(pod),
        node=node,
        container_id=ref.sandbox_id,
        pod=ref.name,
        endpoint=ref.device,
        service_account_name=account,
        ip_networks=tuple(map(ip_network, result.ips)),
        profiles=(f"kns.{ref.namespace}", f"ksa.{ref.namespace}.{account}"),
        interface_name=result.device,
        mac=result.mac,
        ports=tuple(_ports(spec)),
    )


def _ports(spec: Object) -> list[EndpointPort]:
    """Every port that a container of the pod gives a name, or a port of the host."""
    containers = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    found = (port for container in containers for port in container.get("ports") or ())
    return [
        EndpointPort(
            name=str(port.get("name") or ""),
            protocol=str(port.get("protocol") or "TCP"),
            port=int(port["containerPort"]),
        )
        for port in found
        if port.get("name") or port.get("hostPort")
    ]
