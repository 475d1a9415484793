"""StagedKubernetesNetworkPolicy: a NetworkPolicy of Kubernetes that is not enforced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from calico.resources import crds
from calico.resources.envelope import Resource
from calico.resources.fields import Reader, key
from calico.resources.policies import EGRESS, INGRESS, STAGED_ACTIONS
from calico.resources.readers import choice, listed
from calico.resources.refusals import Refusal

_TEXTS = {"type": "array", "items": {"type": "string"}}
_SELECTOR = {
    "type": "object",
    "properties": {
        "matchLabels": {"type": "object", "additionalProperties": {"type": "string"}},
        "matchExpressions": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "key": {"type": "string"},
                    "operator": {"type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
                    "values": _TEXTS,
                },
                "required": ["key", "operator"],
            },
        },
    },
}
_PEERS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "podSelector": _SELECTOR,
            "namespaceSelector": _SELECTOR,
            "ipBlock": {
                "type": "object",
                "properties": {"cidr": {"type": "string"}, "except": _TEXTS},
                "required": ["cidr"],
            },
        },
    },
}
_PORTS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "protocol": {"type": "string", "enum": ["TCP", "UDP", "SCTP"]},
            "port": {"x-kubernetes-int-or-string": True},
            "endPort": {"type": "integer", "minimum": 1, "maximum": 65535},
        },
    },
}


def _by_schema(schema: Mapping[str, Any]) -> Reader:
    """A reader of Kubernetes' own JSON, which is kept as it is."""

    def reader(value: Any, path: str, refusals: list[Refusal]) -> Any:
        refusals += crds.refusals(path, schema, value)
        return value

    return Reader(reader, schema)


def _rules(peers: str) -> Reader:
    return listed(_by_schema({"type": "object", "properties": {peers: _PEERS, "ports": _PORTS}}))


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedKubernetesNetworkPolicySpec:
    """The spec of networking.k8s.io/v1, and what shall become of it."""

    staged_action: str = key("stagedAction", choice(*STAGED_ACTIONS), default="Set")
    pod_selector: Mapping[str, Any] = key("podSelector", _by_schema(_SELECTOR), default={}, always=True)
    ingress: tuple[Mapping[str, Any], ...] = key("ingress", _rules("from"), default=())
    egress: tuple[Mapping[str, Any], ...] = key("egress", _rules("to"), default=())
    policy_types: tuple[str, ...] = key("policyTypes", listed(choice(INGRESS, EGRESS)), default=())

    @property
    def effective_types(self) -> tuple[str, ...]:
        """The directions that the policy is about, by Kubernetes' rule: ingress in any case."""
        return self.policy_types or (INGRESS, *(EGRESS,) * bool(self.egress))


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedKubernetesNetworkPolicy(Resource):
    KIND: ClassVar[str] = "StagedKubernetesNetworkPolicy"
    SPEC: ClassVar[type] = StagedKubernetesNetworkPolicySpec

    spec: StagedKubernetesNetworkPolicySpec

    def refusals(self) -> list[Refusal]:
        return [*self._deletion()]

    def _deletion(self) -> Iterator[Refusal]:
        spec = self.spec
        given = {
            "podSelector": spec.pod_selector,
            "ingress": spec.ingress,
            "egress": spec.egress,
            "policyTypes": spec.policy_types,
        }
        for name, value in given.items():
            if value and spec.staged_action == "Delete":
                reason = "Spec fields should all be zero-value if stagedAction is Delete"
                yield Refusal(f"spec.{name}", reason)
