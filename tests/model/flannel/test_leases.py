"""Any number of nodes, any order: no subnet ever has two owners, and whoever lives gets its lease back."""

from __future__ import annotations

import asyncio
import random
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from support.flannel_cluster import conf_of, config, facts
from support.virtual_time import VirtualTimeLoop

from fabric.errors import FabricError
from fabric.plugin.reflector import Reflector
from fabric.store.memory import MemoryStore
from fabric.store.port import Delete, Put
from flannel.allocation import OutOfSubnets
from flannel.backends import BACKENDS
from flannel.lease_book import FOLLOWED, LeaseBook
from flannel.lease_keeper import LeaseKeeper
from flannel.leases import SUBNETS, parse_lease
from flannel.net_conf import NetConf

NODES = 5
CONFS = (conf_of(config(cidrs="10.244.0.0/21")), conf_of(config(cidrs="10.244.0.0/16 fd00:10:244::/61")))
"""Seven subnets; and with two families seven of IPv6, so that draws of different IPv4 subnets meet there."""
SUBNETS_THERE = 7

step = st.one_of(
    st.tuples(st.just("start"), st.integers(1, NODES)),
    st.tuples(st.just("start_all"), st.just(0)),
    st.tuples(st.just("kill"), st.integers(1, NODES)),
    st.tuples(st.just("delete"), st.integers(0, NODES)),
    st.tuples(st.just("wait"), st.sampled_from([0.01, 1.0, 3600.0, 83_000.0, 90_000.0])),
)


class FarStore(MemoryStore):
    """A store behind a network: other nodes' calls get between any two of one's own.

    It notes each put that takes a subnet from a node that still has it.
    """

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng
        self.robberies: list[str] = []

    async def range(self, *args, **kwargs):
        await self._travel()
        return await super().range(*args, **kwargs)

    async def get(self, key):
        await self._travel()
        return await super().get(key)

    async def txn(self, compares, success):
        await self._travel()
        before = {op.key: await super(FarStore, self).get(op.key) for op in success if isinstance(op, Put)}
        result = await super().txn(compares, success)
        for op in success if result.succeeded else ():
            old = before.get(op.key)
            if old and isinstance(op, Put) and _owner(op.key, old.value) != _owner(op.key, op.value):
                self.robberies.append(f"{op.key}: {old.value!r} became {op.value!r}")
        return result

    async def _travel(self) -> None:
        await asyncio.sleep(self._rng.choice((0.0, 0.01, 0.01, 0.01)))


def _owner(key: str, value: bytes) -> object:
    lease = parse_lease(key, value)
    return lease and lease.public_ips


class Fleet:
    """Nodes that start, die, and lose their leases, over one store."""

    def __init__(self, root: Path, seed: int, conf: NetConf) -> None:
        self._conf = conf
        self.store = FarStore(random.Random(seed))
        self.root = root
        self.seed = seed
        self.alive: dict[int, tuple[LeaseKeeper, asyncio.Task[None]]] = {}

    async def start(self, number: int) -> None:
        if number in self.alive:
            return
        keeper = LeaseKeeper(
            self.store,
            self._conf,
            BACKENDS["vxlan"],
            facts(number, *self._conf.networks[1:] and ("192.168.0.0/16", "fd00:192:168::/64")),
            self.root / f"node-{number}",
            on_change=lambda: None,
            rng=random.Random(self.seed + number),
        )
        self.alive[number] = keeper, asyncio.create_task(self._live(keeper))

    async def start_all(self, _: int) -> None:
        for number in range(1, NODES + 1):
            await self.start(number)

    async def _live(self, keeper: LeaseKeeper) -> None:
        while True:
            try:
                await keeper.acquire()
                break
            except OutOfSubnets:
                raise
            except FabricError:
                await asyncio.sleep(1)
        reflector = Reflector(self.store, FOLLOWED)
        book = LeaseBook(reflector)
        book.follow(keeper, lambda: keeper.judge(book))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(reflector.run())
            tasks.create_task(keeper.run())

    async def kill(self, number: int) -> None:
        if number in self.alive:
            _, task = self.alive.pop(number)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def delete(self, index: int) -> None:
        """An operator deletes the lease that stands there."""
        kvs = (await self.store.range(SUBNETS)).kvs
        if index < len(kvs):
            await self.store.txn([], [Delete(kvs[index].key)])

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def check(self) -> None:
        """Nobody was robbed; what the store holds names each node once at most."""
        assert not self.store.robberies
        leases = [parse_lease(kv.key, kv.value) for kv in (await self.store.range(SUBNETS)).kvs]
        owners = [lease.public_ips[0] for lease in leases if lease]
        assert len(owners) == len(leases) == len(set(owners)) <= SUBNETS_THERE
        taken = [subnet for lease in leases if lease for subnet in lease.subnets]
        assert not [pair for pair in combinations(taken, 2) if pair[0].overlaps(pair[1])]

    async def settle(self) -> None:
        """With time, everyone alive holds what the store says it holds, and no two the same."""
        await asyncio.sleep(10)
        await self.check()
        held = {number: keeper.held for number, (keeper, _) in self.alive.items()}
        assert all(held.values())
        assert len({h.lease.subnets for h in held.values() if h}) == len(held)
        for holder in held.values():
            kv = await self.store.get(holder.lease.key) if holder else None
            assert kv is not None and parse_lease(kv.key, kv.value) == holder.lease


async def play(steps, seed: int, conf: NetConf) -> None:
    with TemporaryDirectory() as root:
        fleet = Fleet(Path(root), seed, conf)
        try:
            for verb, argument in steps:
                await getattr(fleet, verb)(argument)
                await fleet.check()
            await fleet.settle()
        finally:
            for number in tuple(fleet.alive):
                await fleet.kill(number)


@settings(max_examples=150, deadline=None)
@given(st.lists(step, max_size=25), st.integers(0, 1000), st.sampled_from(CONFS))
def test_no_interleaving_gives_a_subnet_twice(steps, seed, conf):
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(play(steps, seed, conf))
