"""The client of Calico's resources, as libcalico-go's: it keeps their rules, and refuses in Calico's words.

IPAMConfiguration and BlockAffinity are views of the IPAM's keys; ClusterInformation is the cluster's own; a
node that Kubernetes has cannot be deleted here, because its agent registers it at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from calico import admission, decommissioning, workloads
from calico.ipam import keys
from calico.ipam.allocator import Ipam
from calico.ipam.configuration import Configuration
from calico.ipam.records import read
from calico.ipam.snapshot import block_affinities, read_snapshot
from calico.resources import datastore, without_effect
from calico.resources.allocation import BlockAffinity, IPAMConfiguration
from calico.resources.datastore import title
from calico.resources.endpoints import ClusterInformation
from calico.resources.envelope import Metadata, Resource
from calico.resources.nodes import Node
from calico.resources.table import kind_of, store_key
from fabric.api.kinds import NODE
from fabric.control.clock import Clock
from fabric.errors import AlreadyExists, Conflict, FabricError, NotFound
from fabric.plugin.commands import Cluster
from fabric.store.port import Delete, ModRevision, Put

UPDATE_TRIES_MAX = 5
RETRY_SECONDS = 0.05

READ_ONLY: dict[type[Resource], str] = {
    ClusterInformation: "resource is readonly",
    BlockAffinity: "affinities are the IPAM's own",
}


class NotSupported(FabricError):
    """An operation that there is not for this kind."""

    def __init__(self, operation: str, what: str, reason: str) -> None:
        super().__init__(f"operation {operation} is not supported on {what}: {reason}")


class ResourceClient:
    """Resources of one cluster."""

    def __init__(self, cluster: Cluster, clock: Clock, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._cluster = cluster
        self._store = cluster.store
        self._clock = clock

    async def get(self, resource_type: type[Resource], name: str, namespace: str = "") -> Resource:
        """The resource now; NotFound."""
        found: Resource | None
        if resource_type in (BlockAffinity, IPAMConfiguration):
            every = (await self.listed(resource_type))[0]
            found = next((resource for resource in every if resource.name == name), None)
        else:
            found = await self._read(resource_type, name, namespace)
        if found is None:
            raise datastore.does_not_exist(resource_type, name, namespace)
        return found

    async def listed(
        self, resource_type: type[Resource], namespace: str = ""
    ) -> tuple[Sequence[Resource], int]:
        """All of a kind, of one namespace or of all, and a revision of the store at which they were so."""
        revision = await self._store.revision()
        if resource_type is BlockAffinity:
            return block_affinities(await read_snapshot(self._store)), revision
        if resource_type is IPAMConfiguration:
            record = await read(self._store, keys.CONFIG, Configuration.from_json)
            if record.value is None:
                return (), revision
            resource = record.value.resource()
            version = replace(resource.metadata, resource_version=str(record.revision))
            return (replace(resource, metadata=version),), revision
        return await datastore.listed(self._store, resource_type, namespace), revision

    @staticmethod
    def refuse_read_only(operation: str, resource_type: type[Resource], name: str) -> None:
        """NotSupported for a kind that is not written here."""
        if resource_type in READ_ONLY:
            raise NotSupported(operation, f"{resource_type.KIND}({name})", READ_ONLY[resource_type])

    async def create(self, resource: Resource, operation: str = "create") -> Resource:
        """Write a new one; AlreadyExists, InvalidResource."""
        self.refuse_read_only(operation, type(resource), resource.name)
        kept = resource.metadata
        metadata = Metadata(
            name=kept.name, namespace=kept.namespace, labels=kept.labels, annotations=kept.annotations
        )
        fresh = replace(resource, metadata=metadata)
        with suppress(NotFound):
            await self.get(type(fresh), fresh.name, fresh.metadata.namespace)
            raise datastore.exists_already(fresh)
        await admission.check(self._store, self._cluster.config.pod_cidrs, fresh, None)
        self._tell(fresh)
        if isinstance(fresh, IPAMConfiguration):
            return await self._write_configuration(fresh, 0)
        return await datastore.create(self._store, fresh, self._clock)

    async def update(self, resource: Resource, operation: str = "replace") -> Resource:
        """Replace spec and status of one that is there; labels and annotations are added to those it has.

        With a resource version it must be the present one, else Conflict.
        """
        self.refuse_read_only(operation, type(resource), resource.name)
        wanted = resource.metadata.resource_version
        for _ in range(UPDATE_TRIES_MAX):
            old = await self.get(type(resource), resource.name, resource.metadata.namespace)
            if wanted and wanted != old.metadata.resource_version:
                raise Conflict(f"update conflict: {title(resource)}")
            labels = {**old.labels, **resource.labels}
            annotations = {**old.metadata.annotations, **resource.metadata.annotations}
            metadata = replace(old.metadata, labels=labels, annotations=annotations)
            with suppress(Conflict):
                new = replace(resource, metadata=metadata, status=resource.status or old.status)
                return await self.put(new, old)
            await asyncio.sleep(RETRY_SECONDS)
        raise Conflict(f"update conflict: {title(resource)}")

    async def apply(self, resource: Resource) -> Resource:
        """Create it, or replace the one that is there."""
        try:
            return await self.create(resource, "apply")
        except AlreadyExists:
            return await self.update(resource, "apply")

    async def put(self, new: Resource, old: Resource) -> Resource:
        """Write `new` over `old`, which was read; Conflict when it changed since."""
        await admission.check(self._store, self._cluster.config.pod_cidrs, new, old)
        self._tell(new)
        if isinstance(new, IPAMConfiguration):
            return await self._write_configuration(new, int(old.metadata.resource_version))
        return await datastore.update(self._store, new)

    def _tell(self, resource: Resource) -> None:
        for text in without_effect.warnings(resource):
            self._warn(text)

    async def delete(
        self, resource_type: type[Resource], name: str, namespace: str = "", resource_version: str = ""
    ) -> None:
        """Remove one with what hangs on it; NotFound, and Conflict when it is not of that version."""
        self.refuse_read_only("delete", resource_type, name)
        resource = await self.get(resource_type, name, namespace)
        if resource_version and resource_version != resource.metadata.resource_version:
            raise Conflict(f"update conflict: {title(resource)}")
        if isinstance(resource, Node):
            await self._release_node(resource)
        if isinstance(resource, IPAMConfiguration):
            await self._delete_configuration(resource)
            return
        await admission.before_delete(self._store, resource)
        await datastore.delete(self._store, resource_type, name, namespace)

    async def _read(self, resource_type: type[Resource], name: str, namespace: str) -> Resource | None:
        try:
            return await datastore.get(self._store, resource_type, name, namespace)
        except UnicodeEncodeError:  # A name that is no text is nobody's.
            return None
        except (ValueError, AttributeError) as error:
            key = store_key(kind_of(resource_type), name, namespace)
            raise FabricError(f"{key} cannot be read ({error}): repair or delete the key") from None

    async def _release_node(self, node: Node) -> None:
        if await self._is_part_of_the_cluster(node.name):
            reason = "the node is part of the cluster and would register again; take it out of the topology"
            raise NotSupported("delete", title(node), reason)
        pods = await workloads.of_node(self._store, node.name)
        by_hand = [address for pod in pods if not pod.container for address in pod.addresses]
        await Ipam(self._store, self._clock, node.name).release_addresses(by_hand)
        await decommissioning.release(self._store, self._clock, node.name, pods)
        await decommissioning.delete_resources(self._store, node.name)

    async def _is_part_of_the_cluster(self, node: str) -> bool:
        """True when Kubernetes has the node: then an agent of it registers it again."""
        try:
            await self._cluster.client.get(NODE, node)
        except NotFound:
            return False
        return True

    async def _write_configuration(self, resource: IPAMConfiguration, over: int) -> Resource:
        value = Configuration.of(resource).to_json()
        result = await self._store.txn([ModRevision(keys.CONFIG, over)], [Put(keys.CONFIG, value)])
        if not result.succeeded:
            raise Conflict(f"update conflict: {title(resource)}")
        version = replace(resource.metadata, resource_version=str(result.revision))
        return replace(resource, metadata=version)

    async def _delete_configuration(self, resource: IPAMConfiguration) -> None:
        seen = ModRevision(keys.CONFIG, int(resource.metadata.resource_version))
        if not (await self._store.txn([seen], [Delete(keys.CONFIG)])).succeeded:
            raise Conflict(f"update conflict: {title(resource)}")
