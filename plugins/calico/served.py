"""Calico's kinds as the API server serves them: `kubectl get ippools` shows what calicoctl wrote, and back.

Objects stand at Calico's keys and as Calico's JSON. IPAMConfiguration and BlockAffinity are views of keys of
the IPAM. Node is Kubernetes' here, and WorkloadEndpoints are the agents' business: neither is served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import orjson

from calico import admission
from calico.columns import PRINTER_COLUMNS
from calico.ipam import affinities, keys
from calico.ipam.configuration import Configuration
from calico.ipam.snapshot import affinity_name, block_affinity
from calico.resources import table, without_effect
from calico.resources.allocation import BlockAffinity, IPAMConfiguration
from calico.resources.datastore import encode
from calico.resources.endpoints import ClusterInformation, Profile, WorkloadEndpoint
from calico.resources.envelope import Resource
from calico.resources.fields import schema
from calico.resources.nodes import Node
from calico.resources.readers import ANYTHING
from calico.resources.refusals import InvalidResource
from fabric.api.kinds import Kind
from fabric.api.objects import Object
from fabric.errors import Invalid
from fabric.netstate.objects import IPNetwork
from fabric.plugin.contract import NetworkConfig
from fabric.plugin.served import READ_ONLY, ServedKind, StorageCodec
from fabric.store.port import Store

T = TypeVar("T")
NOT_SERVED: tuple[type[Resource], ...] = (Node, WorkloadEndpoint)
READ_ONLY_TYPES: tuple[type[Resource], ...] = (BlockAffinity, ClusterInformation, Profile)


def kinds(config: NetworkConfig) -> Sequence[ServedKind]:
    """Every kind that kubectl sees."""
    return tuple(
        _served(resource_type, table.kind_of(resource_type), config.pod_cidrs)
        for resource_type in table.RESOURCE_TYPES.values()
        if resource_type not in NOT_SERVED
    )


@dataclass(frozen=True, slots=True)
class ResourceCodec:
    """A resource at its key, as `datastore` writes it; what others left out is filled in as it is read."""

    resource_type: type[Resource]
    prefix: str

    def tail(self, name: str) -> str:
        return name

    def name(self, tail: str) -> str | None:
        return tail or None

    def decode(self, value: bytes, tail: str) -> Object | None:
        resource = _readable(lambda: self.resource_type.from_object(orjson.loads(value)))
        if resource is None:
            return None
        key = (resource.metadata.namespace, resource.name)
        return resource.to_object() if "/".join(filter(None, key)) == tail else None

    def encode(self, obj: Object) -> bytes:
        return encode(self.resource_type.from_object(obj))


class AffinityCodec:
    """An affinity's key says node and block, its value the state."""

    prefix = keys.HOSTS

    def tail(self, name: str) -> str:
        raise ValueError(f"{name}: affinities are written by the IPAM alone")

    def name(self, tail: str) -> str | None:
        found = keys.parse_affinity(self.prefix + tail)
        return affinity_name(found) if found else None

    def decode(self, value: bytes, tail: str) -> Object | None:
        found = keys.parse_affinity(self.prefix + tail)
        state = _readable(lambda: affinities.from_json(value))
        return block_affinity(found, state).to_object() if found and state else None

    def encode(self, obj: Object) -> bytes:
        raise ValueError("affinities are written by the IPAM alone")


class IPAMConfigurationCodec:
    """The IPAM's settings, one key of another form, are the IPAMConfiguration `default`."""

    prefix = keys.CONFIG

    def tail(self, name: str) -> str:
        return ""

    def name(self, tail: str) -> str | None:
        return "default" if not tail else None

    def decode(self, value: bytes, tail: str) -> Object | None:
        found = _readable(lambda: Configuration.from_json(value))
        return found.resource().to_object() if found else None

    def encode(self, obj: Object) -> bytes:
        return Configuration.of(IPAMConfiguration.from_object(obj)).to_json()


@dataclass(frozen=True, slots=True)
class CalicoRules:
    """The rules of a write through the API: the resource's own, then those between resources."""

    resource_type: type[Resource]
    pod_cidrs: Sequence[IPNetwork]

    async def admit(self, store: Store, new: Object, old: Object | None) -> Object:
        resource = self.resource_type.from_object(new)
        if found := tuple(self.resource_type.unread_refusals(new, old or {})):
            raise InvalidResource(self.resource_type.KIND, resource.name, found)
        before = _readable(lambda: self.resource_type.from_object(old)) if old is not None else None
        await admission.check(store, self.pod_cidrs, resource, before)
        admitted = resource.to_object()
        return old if old is not None and admitted == old else admitted

    async def before_delete(self, store: Store, obj: Object) -> Object:
        return (await admission.before_delete(store, self.resource_type.from_object(obj))).to_object()


def _served(resource_type: type[Resource], kind: Kind, pod_cidrs: Sequence[IPNetwork]) -> ServedKind:
    properties = {"spec": schema(resource_type.SPEC), "status": {"type": "object", **ANYTHING}}
    return ServedKind(
        kind.group,
        kind.version,
        kind.kind,
        kind.plural,
        kind.namespaced,
        kind.short_names,
        verbs=READ_ONLY if resource_type in READ_ONLY_TYPES else kind.verbs,
        codec=_codec(resource_type, kind),
        rules=CalicoRules(resource_type, pod_cidrs),
        columns=PRINTER_COLUMNS,
        has_age=False,
        warnings=partial(_warnings, resource_type),
        description=_DESCRIPTIONS[kind.kind],
        properties=properties,
    )


def _warnings(resource_type: type[Resource], obj: Object) -> Iterator[str]:
    """The sentences on fields that change nothing, and on selectors that YAML may have eaten."""
    yield from without_effect.warnings(resource_type.from_object(obj))
    for name, value in (obj.get("spec") or {}).items():
        if name.endswith("Selector") and value == "":
            yield (
                f"spec.{name} is empty, as if it were not given; "
                "in YAML a selector that begins with ! must be quoted: '!has(x)'"
            )


def _codec(resource_type: type[Resource], kind: Kind) -> StorageCodec:
    if resource_type is BlockAffinity:
        return AffinityCodec()
    if resource_type is IPAMConfiguration:
        return IPAMConfigurationCodec()
    return ResourceCodec(resource_type, table.prefix(kind))


def _readable(read: Callable[[], T]) -> T | None:
    """The value that `read` returns, or None where somebody wrote by hand, and wrong."""
    try:
        return read()
    except (Invalid, ValueError, AttributeError):
        return None


_DESCRIPTIONS = {
    "BGPConfiguration": "How nodes speak BGP: `default` for all of them, `node.<name>` for one.",
    "BGPFilter": "Which routes a BGPPeer takes and gives; the first rule that matches decides.",
    "BGPPeer": "Who speaks BGP with whom beyond the node-to-node mesh.",
    "BlockAffinity": "A block of addresses that belongs to a node, as the IPAM has it.",
    "ClusterInformation": "What the cluster is: its GUID, its type, and whether the datastore is ready.",
    "FelixConfiguration": "What Felix does on nodes: `default` for all of them, `node.<name>` for one.",
    "GlobalNetworkPolicy": "Which packets of the endpoints that it selects pass; it is in no namespace.",
    "GlobalNetworkSet": "Networks with labels, which rules select by namespaceSelector global().",
    "HostEndpoint": "An interface of a node, or all of them, to which policies apply.",
    "IPAMConfiguration": "How the IPAM gives out blocks and addresses.",
    "IPPool": "Addresses for pods, how packets between their nodes travel, and which nodes take from it.",
    "IPReservation": "Addresses that the IPAM never gives out by itself.",
    "NetworkPolicy": "Which packets of its namespace's endpoints that it selects pass.",
    "NetworkSet": "Networks with labels, which rules select like the endpoints of its namespace.",
    "Profile": "Rules and labels that endpoints inherit.",
    "StagedGlobalNetworkPolicy": "A GlobalNetworkPolicy that is not enforced.",
    "StagedKubernetesNetworkPolicy": "A NetworkPolicy of Kubernetes that is not enforced.",
    "StagedNetworkPolicy": "A NetworkPolicy that is not enforced.",
    "Tier": "Policies in tiers are applied tier by tier, by order.",
}
