"""The sources of pods' addresses: Calico's IPAM, or host-local over a subnet that a file names.

Both are asked by the id of the pod's sandbox and give the same answer again. With IPAM the handle is
`k8s-pod-network.<sandbox id>`, and annotations of the pod or its namespace may name pools or an address.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_interface
from pathlib import Path
from typing import Protocol

from calico.annotations import AnnotationRequest, asked, check_host_local
from calico.ipam.allocator import Ipam
from calico.ipam.blocks import Owner
from calico.ipam.candidates import PoolRequest
from calico.node_files import NETWORK
from calico.resources.datastore import listed
from calico.resources.pools import IPPool
from fabric.api.kinds import NAMESPACE
from fabric.api.objects import Object, annotations_of, labels_of
from fabric.control.client import Client
from fabric.errors import FabricError, NotFound, disk_refusals
from fabric.netstate.objects import Family, IPAddress, IPNetwork
from fabric.plugin.contract import PodRef
from fabric.plugin.host_local import HostLocal


class Addresses(Protocol):
    """A source of addresses gives a pod its own, and takes them back."""

    async def assign(self, ref: PodRef, pod: Object) -> tuple[IPAddress, ...]:
        """The pod's addresses, given now or before; FabricError when there is none."""
        ...

    async def release(self, sandbox_id: str) -> None:
        """Take back what the pod has; nothing is no error."""
        ...

    async def held(self) -> frozenset[str]:
        """Sandboxes that have an address by this node, as far as this node can tell cheaply."""
        ...


def handle_of(sandbox_id: str) -> str:
    """The IPAM handle of a pod's sandbox."""
    return f"{NETWORK}.{sandbox_id}"


class IpamAddresses:
    """Addresses from Calico's pools."""

    def __init__(self, ipam: Ipam, client: Client) -> None:
        self._ipam = ipam
        self._client = client

    async def assign(self, ref: PodRef, pod: Object) -> tuple[IPAddress, ...]:
        handle = handle_of(ref.sandbox_id)
        found = await self._ipam.addresses(handle)
        if found:
            await self._ipam.release_addresses(found[1:], handle)  # Two agents of the node gave it one each.
            return found[:1]
        owner = Owner(handle, {"namespace": ref.namespace, "node": self._ipam.host, "pod": ref.name})
        namespace = await self._namespace(ref.namespace)
        request = asked(annotations_of(pod), annotations_of(namespace))
        if request.address is not None:
            await self._ipam.assign(request.address, owner)
            return (request.address,)
        pools = await listed(self._ipam.store, IPPool)
        return await self._ipam.auto_assign(owner, _pool_request(request, labels_of(namespace), pools), pools)

    async def _namespace(self, name: str) -> Object:
        """The namespace; one that goes at this moment says nothing."""
        try:
            return await self._client.get(NAMESPACE, name)
        except NotFound:
            return {"metadata": {"name": name}}

    async def release(self, sandbox_id: str) -> None:
        await self._ipam.release_handle(handle_of(sandbox_id))

    async def held(self) -> frozenset[str]:
        """Sandboxes with addresses of this node's own blocks; borrowed ones are left to Calico's IPAM GC."""
        handles = await self._ipam.handles()
        return frozenset(it.removeprefix(handle_of("")) for it in handles if it.startswith(handle_of("")))


class FileAddresses:
    """Addresses from the subnet of a file of the node, as flannel writes it: FLANNEL_SUBNET=10.244.1.1/24."""

    def __init__(self, root: Path, file: str) -> None:
        self._path = root / file.lstrip("/")
        self._name = f"/{file.lstrip('/')} of the node"
        self._local = HostLocal(root, NETWORK)

    async def assign(self, ref: PodRef, pod: Object) -> tuple[IPAddress, ...]:
        check_host_local(annotations_of(pod))
        subnet = self._subnet()
        with disk_refusals(FabricError, "the node's addresses"):
            return self._local.allocate(ref.sandbox_id, ref.device, (subnet,))

    async def release(self, sandbox_id: str) -> None:
        with disk_refusals(FabricError, "the node's addresses"):
            self._local.release(sandbox_id)

    async def held(self) -> frozenset[str]:
        return self._local.owners()

    def mtu(self) -> int:
        """The MTU that the file names for pods; FabricError while there is none."""
        return int(self._values()["FLANNEL_MTU"])

    def _subnet(self) -> IPNetwork:
        return ip_interface(self._values()["FLANNEL_SUBNET"]).network

    def _values(self) -> Mapping[str, str]:
        try:
            text = self._path.read_text()
        except OSError as error:
            raise FabricError(f"{self._name} is not written yet: {error.strerror}") from error
        except ValueError as error:
            raise FabricError(f"{self._name} is not flannel's: {error}") from error
        values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        try:
            ip_interface(values["FLANNEL_SUBNET"]), int(values["FLANNEL_MTU"])
        except (KeyError, ValueError) as error:
            raise FabricError(f"{self._name} is not flannel's: {error}") from error
        return values


def _pool_request(
    request: AnnotationRequest, namespace_labels: Mapping[str, str], pools: tuple[IPPool, ...]
) -> PoolRequest:
    cidrs = tuple(_cidr(name, pools, 4) for name in request.pools)
    for name in request.pools_v6:
        _cidr(name, pools, 6)
    return PoolRequest(pools=cidrs, namespace_labels=namespace_labels)


def _cidr(name: str, pools: tuple[IPPool, ...], family: Family) -> IPNetwork:
    """The CIDR of a pool that an annotation names, by name or CIDR; host bits are cut off, as in Go."""
    where = f"annotation cni.projectcalico.org/ipv{family}pools"
    found = next((pool.spec.cidr for pool in pools if pool.name == name), None)
    if found is None:
        try:
            found = ip_interface(name).network if "/" in name else None
        except ValueError:
            found = None
    if found is None:
        known = ", ".join(pool.name for pool in pools) or "none"
        raise FabricError(f"{where}: no IPPool {name!r}; there are: {known}")
    if found.version != family:
        raise FabricError(f"{where}: {str(found.network_address)!r} isn't a IPv{family} address")
    return found
