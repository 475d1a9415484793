"""The IPAM's settings, which stand at `/calico/ipam/v2/config`; absent, Calico's defaults hold."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from calico.ipam import keys
from calico.ipam.records import Record, read
from calico.resources.allocation import IPAMConfiguration
from fabric.store.port import Put, Store

BLOCKS_PER_HOST_MAX = 20


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of one cluster's IPAM."""

    strict_affinity: bool = False
    """True: a node takes addresses only from its own blocks."""
    auto_allocate_blocks: bool = True
    max_blocks_per_host: int = 0
    """0 is 20."""

    @property
    def blocks_per_host_max(self) -> int:
        return self.max_blocks_per_host or BLOCKS_PER_HOST_MAX

    def refusal(self) -> str:
        """Why `calicoctl ipam configure` does not write this, in Calico's words; empty where it does."""
        if not self.strict_affinity and not self.auto_allocate_blocks:
            return "Cannot disable 'StrictAffinity' and 'AutoAllocateBlocks' at the same time"
        if self.max_blocks_per_host and not self.strict_affinity:
            return "MaxBlocksPerHost requires StrictAffinity to be enabled"
        return ""

    def to_json(self) -> bytes:
        doc: dict[str, Any] = {
            "strict_affinity": self.strict_affinity,
            "auto_allocate_blocks": self.auto_allocate_blocks,
        }
        doc |= {"maxBlocksPerHost": self.max_blocks_per_host} if self.max_blocks_per_host else {}
        return json.dumps(doc, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, value: bytes) -> Configuration:
        """Read it; a flag that is left out is false, as Go reads it. ValueError when it is none."""
        doc = json.loads(value)
        if not isinstance(doc, dict):
            raise ValueError("not an IPAM configuration")
        limit = doc.get("maxBlocksPerHost") or 0
        return cls(bool(doc.get("strict_affinity")), bool(doc.get("auto_allocate_blocks")), int(limit))

    @classmethod
    def of(cls, resource: IPAMConfiguration) -> Configuration:
        spec = resource.spec
        return cls(spec.strict_affinity, spec.auto_allocate_blocks, spec.max_blocks_per_host)

    def resource(self) -> IPAMConfiguration:
        return IPAMConfiguration.named(
            "default",
            strict_affinity=self.strict_affinity,
            auto_allocate_blocks=self.auto_allocate_blocks,
            max_blocks_per_host=self.max_blocks_per_host,
        )


async def read_configuration(store: Store) -> Configuration:
    """The configuration in the store, or Calico's defaults."""
    record: Record[Configuration | None] = await read(store, keys.CONFIG, Configuration.from_json)
    return record.value or Configuration()


async def write_configuration(store: Store, configuration: Configuration) -> None:
    await store.txn([], [Put(keys.CONFIG, configuration.to_json())])
