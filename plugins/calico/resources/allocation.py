"""IPAMConfiguration and BlockAffinity: the two resources through which users see the IPAM.

Their truth is in the IPAM's own keys (`/calico/ipam/v2/config`, `/calico/ipam/v2/host/…`); as resources they
are views.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calico.resources.envelope import Resource
from calico.resources.fields import key
from calico.resources.readers import choice, flag, network, number, text
from calico.resources.refusals import Refusal
from fabric.netstate.objects import IPNetwork

AFFINITY_STATES = ("pending", "confirmed", "pendingDeletion")


@dataclass(frozen=True, slots=True, kw_only=True)
class IPAMConfigurationSpec:
    strict_affinity: bool = key("strictAffinity", flag, default=False, always=True)
    auto_allocate_blocks: bool = key("autoAllocateBlocks", flag, default=True, always=True)
    max_blocks_per_host: int = key("maxBlocksPerHost", number(0, 2**31 - 1), default=0, always=True)
    """0 is the IPAM's own limit of 20."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IPAMConfiguration(Resource):
    KIND: ClassVar[str] = "IPAMConfiguration"
    SPEC: ClassVar[type] = IPAMConfigurationSpec

    spec: IPAMConfigurationSpec

    def refusals(self) -> list[Refusal]:
        if self.name == "default":
            return []
        return [
            Refusal(
                "metadata.name",
                "Cannot create an IPAMConfiguration resource with a name other than 'default'",
                self.name,
            )
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockAffinitySpec:
    state: str = key("state", choice(*AFFINITY_STATES))
    node: str = key("node", text)
    type: str = key("type", choice("host", "virtual"), default="host")
    cidr: IPNetwork = key("cidr", network)
    deleted: str = key("deleted", choice("true", "false"), default="false")


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockAffinity(Resource):
    KIND: ClassVar[str] = "BlockAffinity"
    SPEC: ClassVar[type] = BlockAffinitySpec

    spec: BlockAffinitySpec
