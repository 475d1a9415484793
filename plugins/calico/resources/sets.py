"""NetworkSet and GlobalNetworkSet: networks with labels, which rules select like endpoints.

A NetworkSet is in a namespace, as pods are; a GlobalNetworkSet in none, and rules reach it by `global()`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calico.resources.envelope import Resource
from calico.resources.fields import key
from calico.resources.readers import listed, masked_network
from calico.resources.refusals import Refusal
from fabric.netstate.objects import IPNetwork

NAMESPACE_LABEL = "projectcalico.org/namespace"
"""Calico's own, on what is in a namespace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSetSpec:
    nets: tuple[IPNetwork, ...] = key("nets", listed(masked_network), default=())
    """Of both IP versions, in any order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSet(Resource):
    KIND: ClassVar[str] = "NetworkSet"
    SPEC: ClassVar[type] = NetworkSetSpec

    spec: NetworkSetSpec

    def refusals(self) -> list[Refusal]:
        return _own_label(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalNetworkSet(Resource):
    KIND: ClassVar[str] = "GlobalNetworkSet"
    SPEC: ClassVar[type] = NetworkSetSpec

    spec: NetworkSetSpec

    def refusals(self) -> list[Refusal]:
        return _own_label(self)


def _own_label(resource: Resource) -> list[Refusal]:
    if NAMESPACE_LABEL not in resource.labels:
        return []
    return [Refusal("metadata.labels", f"{NAMESPACE_LABEL} is not a valid label name", NAMESPACE_LABEL)]
