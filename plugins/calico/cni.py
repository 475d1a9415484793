"""ADD, CHECK, DEL and GC of one node, as Calico's CNI plugin has them.

ADD gives the pod its address and writes its WorkloadEndpoint, the datastore's record of where it is; the
result is kept in the node's own files, as CNI's runtimes keep it, so that CHECK needs no store and pods are
repaired while it is away. DEL undoes it in the same order backwards, each step on its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from calico import endpoints
from calico.addresses import NETWORK, Addresses
from calico.resources import datastore
from calico.resources.endpoints import (
    ClusterInformation,
    EndpointPort,
    WorkloadEndpoint,
    endpoint_name,
    interface_name,
)
from fabric.api.kinds import POD
from fabric.api.objects import Object, labels_of
from fabric.control.client import Client
from fabric.control.clock import Clock
from fabric.errors import AlreadyExists, Conflict, FabricError, NotFound
from fabric.netstate.objects import IPAddress
from fabric.plugin.contract import Attachment, PodRef
from fabric.store.port import Store

RESULTS = Path("var/lib/cni/results")
WRITE_TRIES_MAX = 10


class Cni:
    """One node's pods."""

    def __init__(
        self,
        node: str,
        root: Path,
        store: Store,
        client: Client,
        clock: Clock,
        addresses: Addresses,
        mtu: Callable[[], int],
    ) -> None:
        """`mtu` says what pods get; FabricError while it is not known."""
        self._node = node
        self._results = root / RESULTS
        self._store = store
        self._client = client
        self._clock = clock
        self._addresses = addresses
        self._mtu = mtu
        self._attached: dict[str, Attachment] = {}

    async def add(self, ref: PodRef) -> Attachment:
        """Allocate, or find what was; FabricError when it cannot be now."""
        if (known := await self.check(ref)) is not None:
            return known
        await self._check_unlocked()
        mtu = self._mtu()
        pod = await self._client.get(POD, ref.name, ref.namespace)
        found = await self._addresses.assign(ref, pod)
        await self._write_endpoint(_endpoint(self._node, ref, pod, found))
        self._keep(ref, found, mtu)
        attached = self._attached[ref.uid] = endpoints.attachment(ref, found, mtu)
        return attached

    async def check(self, ref: PodRef) -> Attachment | None:
        """What must be for a pod that was added; None when nothing is known of it."""
        known = self._attached.get(ref.uid)
        if known is None and (kept := self._kept(ref.uid)) is not None:
            known = endpoints.attachment(ref, tuple(map(ip_address, kept["ips"])), kept["mtu"])
            self._attached[ref.uid] = known
        return known

    async def delete(self, ref: PodRef) -> None:
        """Release everything of the pod; nothing is no error."""
        await self._release(ref.uid, ref.namespace, ref.name)

    async def collect(self, alive: frozenset[str]) -> None:
        """Release everything of pods that are not in `alive`."""
        for uid in self._known() - alive:
            kept = self._kept(uid) or {}
            await self._release(uid, kept.get("namespace", ""), kept.get("pod", ""))
        for endpoint in await datastore.listed(self._store, WorkloadEndpoint):
            uid = endpoint.spec.container_id
            if endpoint.spec.node == self._node and uid not in alive:
                await self._release(uid, endpoint.metadata.namespace, endpoint.spec.pod)

    async def _check_unlocked(self) -> None:
        """FabricError while the datastore is locked: nobody is to write what a migration would miss."""
        cluster = await datastore.get(self._store, ClusterInformation, "default")
        if cluster is not None and cluster.spec.datastore_ready is False:
            raise FabricError("the datastore is locked (calicoctl datastore migrate unlock)")

    async def _release(self, uid: str, namespace: str, name: str) -> None:
        if name:
            await self._delete_endpoint(uid, namespace, endpoint_name(self._node, name))
        await self._addresses.release(uid)
        self._attached.pop(uid, None)
        self._path(uid).unlink(missing_ok=True)

    async def _write_endpoint(self, endpoint: WorkloadEndpoint) -> None:
        """Create it, or replace the one of an earlier pod of that name."""
        for _ in range(WRITE_TRIES_MAX):
            with suppress(AlreadyExists, Conflict, NotFound):
                before = await datastore.get(
                    self._store, WorkloadEndpoint, endpoint.name, endpoint.metadata.namespace
                )
                if before is None:
                    await datastore.create(self._store, endpoint, self._clock)
                else:
                    kept = replace(before.metadata, labels=endpoint.labels)
                    await datastore.update(self._store, replace(endpoint, metadata=kept))
                return
        raise FabricError(f"WorkloadEndpoint({endpoint.name}) changes faster than it can be written")

    async def _delete_endpoint(self, uid: str, namespace: str, name: str) -> None:
        """Delete it if it is this pod's, and not that of a later one of the same name."""
        for _ in range(WRITE_TRIES_MAX):
            with suppress(Conflict, NotFound):
                found = await datastore.get(self._store, WorkloadEndpoint, name, namespace)
                if found is not None and found.spec.container_id == uid:
                    await datastore.delete(self._store, WorkloadEndpoint, name, namespace)
                return
        raise FabricError(f"WorkloadEndpoint({name}) changes faster than it can be deleted")

    def _keep(self, ref: PodRef, addresses: tuple[IPAddress, ...], mtu: int) -> None:
        """Write the result in one step: a reader sees all of it or none."""
        kept = {"namespace": ref.namespace, "pod": ref.name, "ips": list(map(str, addresses)), "mtu": mtu}
        path = self._path(ref.uid)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_suffix(".new")
            fresh.write_text(json.dumps(kept))
            fresh.replace(path)
        except OSError as error:
            raise FabricError(f"the node's CNI files cannot be written: {error}") from error

    def _kept(self, uid: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self._path(uid).read_text())
        except (OSError, ValueError):
            return None
        return found

    def _known(self) -> frozenset[str]:
        prefix = f"{NETWORK}-"
        names = (path.stem for path in self._results.glob(f"{prefix}*.json"))
        return frozenset(name.removeprefix(prefix) for name in names) | self._attached.keys()

    def _path(self, uid: str) -> Path:
        return self._results / f"{NETWORK}-{uid}.json"


def _endpoint(node: str, ref: PodRef, pod: Object, addresses: tuple[IPAddress, ...]) -> WorkloadEndpoint:
    """The pod's WorkloadEndpoint, with what policies select by."""
    spec = pod.get("spec") or {}
    account = spec.get("serviceAccountName") or "default"
    labels = labels_of(pod) | {
        "projectcalico.org/namespace": ref.namespace,
        "projectcalico.org/orchestrator": "k8s",
        "projectcalico.org/serviceaccount": account,
    }
    return WorkloadEndpoint.named(
        endpoint_name(node, ref.name, ref.device),
        ref.namespace,
        labels=labels,
        node=node,
        container_id=ref.uid,
        pod=ref.name,
        endpoint=ref.device,
        service_account_name=account,
        ip_networks=tuple(ip_network(address) for address in addresses),
        profiles=(f"kns.{ref.namespace}", f"ksa.{ref.namespace}.{account}"),
        interface_name=interface_name(ref.namespace, ref.name),
        mac=endpoints.mac_of(ref.uid),
        ports=tuple(_ports(spec)),
    )


def _ports(spec: Object) -> list[EndpointPort]:
    """Every port that a container of the pod names."""
    found = (port for container in spec.get("containers") or () for port in container.get("ports") or ())
    return [
        EndpointPort(
            name=str(port.get("name") or ""),
            protocol=str(port.get("protocol") or "TCP"),
            port=int(port["containerPort"]),
        )
        for port in found
    ]
