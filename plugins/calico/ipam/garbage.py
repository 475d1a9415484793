"""The IPAM's garbage collector, in Calico a part of kube-controllers: it finds what nobody has any more.

An address is a leak when its handle is nobody's. It is released when it was the same leak a grace ago: the
same place in the same block, given out by the same write. A block that was empty for a grace is given up when
its node has another one. Handles are settled, and affinities of nodes that are not there released, at once:
neither can hurt a living owner.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from calico.ipam.affinities import blocks_of, release, release_host
from calico.ipam.blocks import Block
from calico.ipam.handles import settle
from calico.ipam.snapshot import Snapshot, read_snapshot
from calico.ipam.writing import take_back
from fabric.control.clock import Clock
from fabric.netstate.objects import IPAddress, IPNetwork
from fabric.store.port import Store

GRACE_SECONDS = 900


class Leak(NamedTuple):
    """An allocation whose handle is nobody's."""

    cidr: IPNetwork
    ordinal: int
    sequence_number: int
    handle: str


class IdleBlock(NamedTuple):
    """An empty block of a node that has others too."""

    cidr: IPNetwork
    host: str
    sequence_number: int
    """The block's own: it counts every write."""


class Collector:
    """The collector remembers since when it has seen each leak; one that forgot waits another grace."""

    def __init__(self, store: Store, clock: Clock, grace_seconds: float = GRACE_SECONDS) -> None:
        self._store = store
        self._clock = clock
        self._grace = timedelta(seconds=grace_seconds)
        self._seen: dict[Leak | IdleBlock, datetime] = {}

    async def collect(self, alive: frozenset[str], hosts: frozenset[str]) -> tuple[IPAddress, ...]:
        """Collect what is of no handle in `alive` and no node in `hosts`; return the addresses released."""
        snapshot = await read_snapshot(self._store)
        for host in sorted({name.host for name in snapshot.affinities} - hosts):
            await release_host(self._store, host)
        for handle, cidr in mismatches(snapshot):
            await settle(self._store, handle, cidr)
        now = self._clock.now()
        found: list[Leak | IdleBlock] = [*leaks(snapshot, alive), *idle_blocks(snapshot)]
        self._seen = {each: self._seen.get(each, now) for each in found}
        ripe = [each for each, since in self._seen.items() if now - since >= self._grace]
        await self._give_up([each for each in ripe if isinstance(each, IdleBlock)])
        return await self._release([each for each in ripe if isinstance(each, Leak)])

    async def _release(self, found: list[Leak]) -> tuple[IPAddress, ...]:
        released: list[IPAddress] = []
        for leak in sorted(
            found, key=lambda leak: (leak.cidr.version, leak.cidr.network_address, leak.ordinal)
        ):
            released += await take_back(self._store, leak.cidr, partial(still_leaked, leak))
        return tuple(released)

    async def _give_up(self, found: list[IdleBlock]) -> None:
        """Release the idle blocks, as long as their node keeps one."""
        for block in found:
            if len(await blocks_of(self._store, block.host)) > 1:
                await release(self._store, block.host, block.cidr, only_empty=True)


def leaks(snapshot: Snapshot, alive: frozenset[str]) -> Iterator[Leak]:
    """Every allocation with a handle that is not alive."""
    for block in snapshot.blocks.values():
        for ordinal, owner in block.allocated():
            if owner.handle is not None and owner.handle not in alive:
                yield Leak(block.cidr, ordinal, block.sequence_numbers.get(ordinal, 0), owner.handle)


def idle_blocks(snapshot: Snapshot) -> Iterator[IdleBlock]:
    """Every empty block of a node that has more than one block."""
    counts = Counter(block.host for block in snapshot.blocks.values())
    for block in snapshot.blocks.values():
        if block.host and block.is_empty and counts[block.host] > 1:
            yield IdleBlock(block.cidr, block.host, block.sequence_number)


def mismatches(snapshot: Snapshot) -> Iterator[tuple[str, IPNetwork]]:
    """Handles that count something else than a block holds for them."""
    for handle_id, handle in snapshot.handles.items():
        for cidr, count in handle.counts.items():
            block = snapshot.blocks.get(cidr)
            if count != (len(block.ordinals_of(handle_id)) if block else 0):
                yield handle_id, cidr


def still_leaked(leak: Leak, block: Block) -> tuple[int, ...]:
    """The leak's ordinal, if it is still the same allocation."""
    owner = block.owner(leak.ordinal)
    same = owner is not None and (owner.handle or "") == leak.handle
    return (
        (leak.ordinal,)
        if same and block.sequence_numbers.get(leak.ordinal, 0) == leak.sequence_number
        else ()
    )
