"""The report that `ipam check` writes and `ipam release` reads: every allocation, and who uses it.

The form is calicoctl's. Of several reports only what all of them say is leaked counts as leaked.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from calico.calicoctl.session import Refused
from calico.ipam import keys
from calico.ipam.blocks import Block, Owner
from calico.ipam.check import EMPTY_HANDLE, Finding, Use
from calico.ipam.snapshot import Snapshot
from calico.resources import datastore
from calico.resources.endpoints import ClusterInformation
from calico.version import VERSION
from fabric.netstate.objects import IPAddress
from fabric.store.port import Store


@dataclass(frozen=True, slots=True)
class Allocation:
    """An address that was given out."""

    address: IPAddress
    owner: Owner
    sequence_number: int
    node: str
    borrowed: bool
    users: tuple[str, ...]
    """Who really has it; nobody: it leaked."""

    @property
    def attributes(self) -> str:
        """`Main:<handle> Extra:namespace=default,node=node-1,…`"""
        extra = ",".join(f"{key}={self.owner.attributes[key]}" for key in sorted(self.owner.attributes))
        return f"Main:{self.owner.handle or '<none>'} Extra:{extra}"

    def to_json(self) -> dict[str, Any]:
        attributes = self.owner.attributes
        shown = {
            "ip": str(self.address),
            "handle": self.owner.handle or "",
            "sequenceNumber": self.sequence_number,
            "pod": attributes.get("pod", ""),
            "namespace": attributes.get("namespace", ""),
            "node": self.node,
            "type": attributes.get("type", ""),
            "creationTimestamp": attributes.get("timestamp", ""),
        }
        kept: dict[str, Any] = {key: value for key, value in shown.items() if value != ""}
        kept["inUse"] = bool(self.users)
        if self.borrowed:
            kept["borrowed"] = True
        return kept | {"owners": list(self.users) or None}


def allocations(snapshot: Snapshot, uses: Iterable[Use]) -> Sequence[Allocation]:
    """Everything that is given out, in the order of blocks and addresses."""
    users: dict[IPAddress, list[str]] = defaultdict(list)
    for use in uses:
        users[use.address].append(use.owner)
    return [
        _allocation(block, ordinal, owner, tuple(users.get(block.address(ordinal), ())))
        for block in snapshot.blocks.values()
        for ordinal, owner in block.allocated()
    ]


def _allocation(block: Block, ordinal: int, owner: Owner, users: tuple[str, ...]) -> Allocation:
    node = owner.attributes.get("node") or block.host
    number = block.sequence_numbers.get(ordinal, 0)
    return Allocation(block.address(ordinal), owner, number, node, node != block.host, users)


async def written(store: Store, found: Sequence[Allocation], findings: Iterable[Finding]) -> str:
    """The report's text."""
    information = await cluster_information(store)
    empty = {finding.subject for finding in findings if finding.category == EMPTY_HANDLE}
    kvs = (await store.range(keys.HANDLES)).kvs
    revisions = {kv.key.removeprefix(keys.HANDLES): kv.mod_revision for kv in kvs}
    leaked = [
        {"ID": handle, "UID": None, "Revision": str(revisions[handle])}
        for handle in sorted(empty)
        if handle in revisions
    ]
    report = {
        "version": VERSION,
        "clusterGUID": information.spec.cluster_guid,
        "datastoreLocked": information.spec.datastore_ready is False,
        "clusterInformationRevision": information.metadata.resource_version,
        "clusterType": information.spec.cluster_type,
        "allocations": {str(one.address): [one.to_json()] for one in found},
    }
    return json.dumps(report | ({"leakedHandles": leaked} if leaked else {}), indent=2) + "\n"


async def cluster_information(store: Store) -> ClusterInformation:
    """The cluster's; Refused while it is not written yet."""
    found = await datastore.get(store, ClusterInformation, "default")
    if found is None:
        raise Refused("resource does not exist: ClusterInformation(default) with error: <nil>")
    return found


@dataclass(frozen=True, slots=True)
class Leaked:
    """The addresses that a report, or each of several, calls leaked."""

    addresses: Mapping[IPAddress, tuple[str, int]]
    """Handle and sequence number, by address."""
    handles: Mapping[str, int]
    """Mod revision by handle."""

    def __and__(self, newer: Leaked) -> Leaked:
        """The leaks of both, as the newer report has them; a handle that changed between them is no leak."""
        addresses = {it: found for it, found in newer.addresses.items() if it in self.addresses}
        handles = {it: revision for it, revision in newer.handles.items() if self.handles.get(it) == revision}
        return Leaked(addresses, handles)


@dataclass(frozen=True, slots=True)
class Report:
    """A report, read."""

    version: str
    cluster_guid: str
    revision: str
    """Resource version of ClusterInformation when it was written."""
    leaked: Leaked


def read(path: Path) -> Report:
    """Refused when it cannot be read."""
    try:
        return _report(json.loads(path.read_text()))
    except OSError as error:
        raise Refused(f"open {path}: {(error.strerror or '').lower()}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(f"{path} is no report of ipam check: {error!r}") from None


def _report(doc: Any) -> Report:
    idle = [one for found in doc["allocations"].values() for one in found if not one["inUse"]]
    addresses = {
        ip_address(one["ip"]): (str(one.get("handle", "")), int(one.get("sequenceNumber", 0))) for one in idle
    }
    handles = {str(it["ID"]): int(it["Revision"]) for it in doc.get("leakedHandles") or ()}
    revision = str(doc["clusterInformationRevision"])
    return Report(str(doc["version"]), str(doc["clusterGUID"]), revision, Leaked(addresses, handles))
