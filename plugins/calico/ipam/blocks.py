"""A block: a few addresses in one object of the store, and who has each of them.

`unallocated` is a queue of ordinals: taken at its head, given back at its tail, so that an address is used
again as late as can be. An allocation points at attributes, which all allocations with the same handle and
the same secondary attributes share. The JSON is Calico's to the letter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

from fabric.netstate.objects import IPAddress, IPNetwork

_HOST = "host:"


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of an address: a handle, by which it is released, and attributes for people."""

    handle: str | None
    attributes: Mapping[str, str] = field(default_factory=dict)
    """pod, namespace, node, type, timestamp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of addresses; every change returns a new one."""

    cidr: IPNetwork
    affinity: str | None
    """`host:<node>`, or None when the block belongs to no node."""
    claim_time: str | None
    """When the affinity was claimed, RFC 3339."""
    allocations: tuple[int | None, ...]
    """Per ordinal, the index of its owner, or None when it is free."""
    unallocated: tuple[int, ...]
    owners: tuple[Owner, ...]
    sequence_number: int
    """One more with each write; starts at the time of creation in nanoseconds."""
    sequence_numbers: Mapping[int, int]
    """Per allocated ordinal, the block's number when it was given out."""

    @classmethod
    def claimed(cls, cidr: IPNetwork, host: str, now: datetime) -> Block:
        """A new block of a host, all of it free."""
        ordinals = range(cidr.num_addresses)
        return cls(
            cidr=cidr,
            affinity=_HOST + host,
            claim_time=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            allocations=(None,) * len(ordinals),
            unallocated=tuple(ordinals),
            owners=(),
            sequence_number=int(now.timestamp()) * 1_000_000_000 + now.microsecond * 1000,
            sequence_numbers={},
        )

    @property
    def host(self) -> str:
        """The node that the block belongs to, or nothing."""
        affinity = self.affinity or ""
        return affinity.removeprefix(_HOST) if affinity.startswith(_HOST) else ""

    @property
    def is_empty(self) -> bool:
        return all(allocation is None for allocation in self.allocations)

    def address(self, ordinal: int) -> IPAddress:
        return self.cidr.network_address + ordinal

    def ordinal(self, address: IPAddress) -> int:
        """The ordinal of an address: its distance from the block's first."""
        return int(address) - int(self.cidr.network_address)

    def owner(self, ordinal: int) -> Owner | None:
        index = self.allocations[ordinal]
        return None if index is None else self.owners[index]

    def allocated(self) -> Iterator[tuple[int, Owner]]:
        """Each ordinal that is given out, with its owner, upwards."""
        for ordinal, index in enumerate(self.allocations):
            if index is not None:
                yield ordinal, self.owners[index]

    def ordinals_of(self, handle: str) -> tuple[int, ...]:
        return tuple(ordinal for ordinal, owner in self.allocated() if owner.handle == handle)

    def free(self, reserved: Callable[[IPAddress], bool]) -> Iterator[int]:
        """Ordinals that may be given out, in the order in which they will be."""
        return (ordinal for ordinal in self.unallocated if not reserved(self.address(ordinal)))

    def taken(self, ordinals: Sequence[int], owner: Owner) -> Block:
        """The block with these free ordinals given to the owner."""
        owners = self.owners if owner in self.owners else (*self.owners, owner)
        index = owners.index(owner)
        chosen = frozenset(ordinals)
        return replace(
            self,
            allocations=tuple(index if o in chosen else have for o, have in enumerate(self.allocations)),
            unallocated=tuple(o for o in self.unallocated if o not in chosen),
            owners=owners,
            sequence_numbers={**self.sequence_numbers, **dict.fromkeys(ordinals, self.sequence_number)},
        )

    def released(self, ordinals: Iterable[int]) -> Block:
        """The block with these allocated ordinals free again, behind all others; idle owners go."""
        gone = tuple(dict.fromkeys(ordinals))
        chosen = frozenset(gone)
        left = [None if o in chosen else have for o, have in enumerate(self.allocations)]
        kept = sorted({index for index in left if index is not None})
        return replace(
            self,
            allocations=tuple(None if index is None else kept.index(index) for index in left),
            unallocated=(*self.unallocated, *gone),
            owners=tuple(self.owners[index] for index in kept),
            sequence_numbers={o: n for o, n in self.sequence_numbers.items() if o not in chosen},
        )

    def disowned(self) -> Block:
        """The block without its node: it gives out no more by affinity."""
        return replace(self, affinity=None, claim_time=None)

    def written(self) -> Block:
        """The block as it is written over an earlier one."""
        return replace(self, sequence_number=self.sequence_number + 1)

    def claim_age_seconds(self, now: datetime) -> float:
        """Seconds since the affinity was claimed; a block without that time is old enough for anything."""
        return (now - _instant(self.claim_time)).total_seconds() if self.claim_time else float("inf")

    def to_json(self) -> bytes:
        """The block's JSON as Calico writes it: Go's field order, maps in the order of their keys as text."""
        doc: dict[str, Any] = {"cidr": str(self.cidr), "affinity": self.affinity}
        if self.claim_time:
            doc["affinityClaimTime"] = self.claim_time
        doc["allocations"] = self.allocations
        doc["unallocated"] = self.unallocated
        doc["attributes"] = [
            {"handle_id": owner.handle, "secondary": dict(sorted(owner.attributes.items()))}
            for owner in self.owners
        ]
        doc["sequenceNumber"] = self.sequence_number
        numbers = {str(ordinal): number for ordinal, number in self.sequence_numbers.items()}
        doc["sequenceNumberForAllocation"] = dict(sorted(numbers.items()))
        doc["deleted"] = False
        return json.dumps(doc, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, value: bytes) -> Block:
        """Read `to_json`'s, or Calico's own; ValueError when it is no block, whatever it is."""
        try:
            return _block(json.loads(value))
        except (KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
            raise ValueError(f"not a block: {error!r}") from error


def _block(doc: dict[str, Any]) -> Block:
    numbers = doc.get("sequenceNumberForAllocation") or {}
    old_host = _text(doc.get("hostAffinity"))
    cidr = ip_network(_text(doc["cidr"]) or "")
    owners = tuple(map(_owner, doc["attributes"] or ()))
    block = Block(
        cidr=cidr,
        affinity=_text(doc.get("affinity")) or (_HOST + old_host if old_host else None),
        claim_time=_text(doc.get("affinityClaimTime")),
        allocations=tuple(None if it is None else _within(it, len(owners)) for it in doc["allocations"]),
        unallocated=tuple(_within(ordinal, cidr.num_addresses) for ordinal in doc["unallocated"] or ()),
        owners=owners,
        sequence_number=int(doc.get("sequenceNumber") or 0),
        sequence_numbers={int(ordinal): int(number) for ordinal, number in numbers.items()},
    )
    if len(block.allocations) != cidr.num_addresses:
        raise ValueError(f"not a block: {len(block.allocations)} allocations in {cidr}")
    if block.claim_time:
        _instant(block.claim_time)
    return block


def _owner(doc: dict[str, Any]) -> Owner:
    attributes = doc.get("secondary") or {}
    return Owner(_text(doc.get("handle_id")), {str(key): str(value) for key, value in attributes.items()})


def _within(value: Any, bound: int) -> int:
    """The index; ValueError when it is none below the bound."""
    if type(value) is not int or not 0 <= value < bound:
        raise ValueError(f"not a block: {value!r} is not a number from 0 to {bound - 1}")
    return value


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"not a block: {value!r} is no text")


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
