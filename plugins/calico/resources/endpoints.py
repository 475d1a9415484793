"""WorkloadEndpoint: a pod's place in the network; Profile: rules and labels that endpoints inherit.

An endpoint's name joins node, orchestrator, pod and device by dashes, with the dashes inside each part
doubled: pod-1 on node-1 is `node--1-k8s-pod--1-eth0`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from calico.resources import carried
from calico.resources.envelope import Resource
from calico.resources.fields import key, rest
from calico.resources.readers import (
    address,
    flag,
    listed,
    mapping,
    masked_network,
    nested,
    number,
    text,
)
from calico.resources.refusals import Refusal
from calico.resources.rules import PolicyRule, rule_refusals, rules
from fabric.netstate.objects import IPAddress, IPNetwork

INTERFACE_PREFIX = "cali"
DEFAULT_ALLOW = "projectcalico-default-allow"
"""The profile that every cluster has, by which host endpoints of Calico's own making let everything pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPort:
    name: str = key("name", text, default="")
    protocol: str = key("protocol", text)
    port: int = key("port", number(1, 65535))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadEndpointSpec:
    orchestrator: str = key("orchestrator", text, default="k8s")
    workload: str = key("workload", text, default="")
    node: str = key("node", text)
    container_id: str = key("containerID", text, default="")
    pod: str = key("pod", text, default="")
    endpoint: str = key("endpoint", text, default="eth0")
    service_account_name: str = key("serviceAccountName", text, default="")
    ip_networks: tuple[IPNetwork, ...] = key("ipNetworks", listed(masked_network), default=())
    ipv4_gateway: IPAddress | None = key("ipv4Gateway", address, default=None)
    ipv6_gateway: IPAddress | None = key("ipv6Gateway", address, default=None)
    profiles: tuple[str, ...] = key("profiles", listed(text), default=())
    interface_name: str = key("interfaceName", text, default="")
    mac: str = key("mac", text, default="")
    ports: tuple[EndpointPort, ...] = key("ports", listed(nested(EndpointPort)), default=())
    rest: Mapping[str, Any] = rest(carried.WORKLOAD_ENDPOINT)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadEndpoint(Resource):
    KIND: ClassVar[str] = "WorkloadEndpoint"
    SPEC: ClassVar[type] = WorkloadEndpointSpec

    spec: WorkloadEndpointSpec

    def refusals(self) -> list[Refusal]:
        spec = self.spec
        expected = endpoint_name(spec.node, spec.pod or spec.workload, spec.endpoint, spec.orchestrator)
        if self.name == expected:
            return []
        reason = f"the WorkloadEndpoint name does not match the primary identifiers: expected {expected}"
        return [Refusal("metadata.name", reason, self.name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSpec:
    ingress: tuple[PolicyRule, ...] = key("ingress", rules, default=())
    egress: tuple[PolicyRule, ...] = key("egress", rules, default=())
    labels_to_apply: Mapping[str, str] = key("labelsToApply", mapping, default={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile(Resource):
    KIND: ClassVar[str] = "Profile"
    SPEC: ClassVar[type] = ProfileSpec

    spec: ProfileSpec

    def refusals(self) -> list[Refusal]:
        directions = (("ingress", self.spec.ingress), ("egress", self.spec.egress))
        return [
            refusal
            for direction, given in directions
            for index, rule in enumerate(given)
            for refusal in rule_refusals(f"spec.{direction}[{index}]", rule)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterInformationSpec:
    cluster_guid: str = key("clusterGUID", text, default="")
    cluster_type: str = key("clusterType", text, default="")
    calico_version: str = key("calicoVersion", text, default="")
    datastore_ready: bool | None = key("datastoreReady", flag, default=None)
    variant: str = key("variant", text, default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterInformation(Resource):
    KIND: ClassVar[str] = "ClusterInformation"
    SPEC: ClassVar[type] = ClusterInformationSpec

    spec: ClusterInformationSpec

    def refusals(self) -> list[Refusal]:
        if self.name == "default":
            return []
        return [Refusal("metadata.name", "the only ClusterInformation is 'default'", self.name)]


def endpoint_name(node: str, pod: str, endpoint: str = "eth0", orchestrator: str = "k8s") -> str:
    """The name of a pod's WorkloadEndpoint."""
    return "-".join(part.replace("-", "--") for part in (node, orchestrator, pod, endpoint))


def endpoint_parts(name: str) -> tuple[str, ...]:
    """Undo `endpoint_name`: (node, orchestrator, pod, endpoint); ValueError when the name is none."""
    parts = tuple(part.replace("--", "-") for part in re.split(r"(?<!-)-(?!-)", name))
    if len(parts) != 4 or "-".join(part.replace("-", "--") for part in parts) != name:
        raise ValueError(
            f"{name!r} is no WorkloadEndpoint name: node-orchestrator-pod-endpoint, dashes inside doubled"
        )
    return parts


def interface_name(namespace: str, pod: str, prefix: str = INTERFACE_PREFIX) -> str:
    """The host's end of a pod's veth: the prefix and eleven digits of a hash, at most 15 characters."""
    return prefix + hashlib.sha1(f"{namespace}.{pod}".encode(), usedforsecurity=False).hexdigest()[:11]
