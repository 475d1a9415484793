"""Whatever is asked for and configured in between, the IPAM decides as an oracle of its rules does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from random import Random

from hypothesis import event, given, settings
from hypothesis import strategies as st
from support.calico_ipam import WatchedStore, noon_clock, owner, put_resources
from support.calico_ipam_oracle import Oracle, Pool, Refused
from support.virtual_time import VirtualTimeLoop

from calico.ipam import affinities
from calico.ipam.allocator import AddressTaken, Ipam, OutOfAddresses
from calico.ipam.candidates import NoPool, PoolRequest
from calico.ipam.configuration import Configuration, write_configuration
from calico.ipam.snapshot import read_snapshot
from calico.resources.nodes import Node
from calico.resources.pools import IPPool, IPReservation
from calico.resources.table import kind_of, store_key
from fabric.errors import FabricError
from fabric.store.port import Delete

NODES = ("node-1", "node-2", "node-3")
POOLS = (
    Pool("pool-1", IPv4Network("10.244.0.0/28"), 30),
    Pool("pool-2", IPv4Network("10.245.0.0/29"), 31),
)
WORDS = {"per host block limit": "limit", "autoAllocateBlocks": "not automatic", "strict affinity": "strict"}

node = st.sampled_from(NODES)
name = st.sampled_from(["pool-1", "pool-2"])
change = st.one_of(
    st.tuples(st.just("disabled"), st.booleans()),
    st.tuples(st.just("node_selector"), st.sampled_from(["all()", "rack == '1'"])),
    st.tuples(st.just("namespace_selector"), st.sampled_from(["", "team == 'a'"])),
    st.tuples(st.just("uses"), st.sampled_from([("Workload", "Tunnel"), ("Workload",), ("Tunnel",)])),
    st.tuples(st.just("mode"), st.sampled_from(["Automatic", "Manual"])),
)
asked = st.sampled_from([(), (), (), ("pool-1",), ("pool-2", "pool-1")])
use = st.sampled_from(["Workload"] * 4 + ["Tunnel"])
add = st.tuples(st.just("add"), node, asked, st.booleans(), use, st.sampled_from([1, 1, 3, 24]))
step = st.one_of(
    *[add] * 8,
    *[st.tuples(st.just("release"), st.integers(0, 50))] * 3,
    st.tuples(st.just("fix"), node, st.sampled_from([244, 245]), st.integers(0, 17)),
    st.tuples(st.just("configure"), st.booleans(), st.sampled_from([True, True, False]), st.integers(0, 2)),
    st.tuples(st.just("edit"), name, change),
    st.tuples(st.just("delete_pool"), name),
    st.tuples(st.just("restore_pool"), name),
    st.tuples(st.just("label"), node, st.sampled_from(["1", "2"])),
    st.tuples(st.just("reserve"), st.integers(0, 7), st.integers(29, 32)),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 61.0])),
)


class Pair:
    """The IPAM and its oracle, which get the same requests and must answer the same."""

    def __init__(self) -> None:
        self.store, clock = WatchedStore(), noon_clock()
        self.oracle = Oracle({it.name: it for it in POOLS}, {it: {"rack": "1"} for it in NODES})
        self.ipams = {
            it: Ipam(self.store, clock, it, node_labels=lambda it=it: self.oracle.labels[it], rng=Random(1))
            for it in NODES
        }
        self.count = 0

    async def prepare(self) -> None:
        await put_resources(self.store, *map(resource, POOLS))
        for it in NODES:
            await self.label(it, "1")

    async def add(self, host: str, asked: tuple[str, ...], in_team: bool, use: str, count: int) -> None:
        for _ in range(count):
            await self._add(host, asked, {"team": "a"} if in_team else {}, use)

    async def _add(self, host: str, asked: tuple[str, ...], team: dict[str, str], use: str) -> None:
        who = self._somebody(host)
        cidrs = tuple(pool.cidr for pool in POOLS for it in asked if pool.name == it)
        cidrs = tuple(sorted(cidrs, key=lambda cidr: asked.index(_name(cidr))))
        wish = PoolRequest(pools=cidrs, namespace_labels=team, use=use)
        real = await outcome(self.ipams[host].auto_assign(who, wish))
        self._compare(real, lambda now: self.oracle.auto(host, who.handle, asked, team, now, use))

    async def fix(self, host: str, octet: int, last: int) -> None:
        address, who = IPv4Address(f"10.{octet}.0.{last}"), self._somebody(host)
        real = await outcome(self.ipams[host].assign(address, who), address)
        self._compare(real, lambda now: self.oracle.fixed(host, address, who.handle, now))

    async def release(self, index: int) -> None:
        holders = sorted(set(self.oracle.holders().values()))
        if holders:
            handle = holders[index % len(holders)]
            await self.ipams["node-2"].release_handle(handle)
            self.oracle.release(handle)

    async def configure(self, strict: bool, automatic: bool, limit: int) -> None:
        self.oracle.strict, self.oracle.automatic, self.oracle.limit = strict, automatic, limit
        await write_configuration(self.store, Configuration(strict, automatic, limit))

    async def edit(self, name: str, change: tuple[str, object]) -> None:
        if name in self.oracle.pools:
            self.oracle.edit_pool(name, **dict([change]))
            await put_resources(self.store, resource(self.oracle.pools[name]))

    async def delete_pool(self, name: str) -> None:
        if pool := self.oracle.pools.get(name):
            await put_resources(self.store, resource(replace(pool, disabled=True)))
            await affinities.release_pool(self.store, pool.cidr)
            await self.store.txn([], [Delete(store_key(kind_of(IPPool), name, ""))])
            self.oracle.delete_pool(name)

    async def restore_pool(self, name: str) -> None:
        (self.oracle.pools[name],) = (pool for pool in POOLS if pool.name == name)
        await put_resources(self.store, resource(self.oracle.pools[name]))

    async def label(self, host: str, rack: str) -> None:
        self.oracle.labels[host] = {"rack": rack}
        await put_resources(self.store, Node.named(host, labels={"rack": rack}))

    async def reserve(self, index: int, length: int) -> None:
        network = IPv4Network((f"10.244.0.{index * 2}", length), strict=False)
        self.oracle.reserved = network
        await put_resources(self.store, IPReservation.named("some", reserved_cidrs=(network,)))

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def judge(self) -> None:
        """Blocks, their nodes and every holder are the oracle's."""
        snapshot = await read_snapshot(self.store)
        hosts = {cidr: block.host for cidr, block in snapshot.blocks.items()}
        assert hosts == {cidr: block.host for cidr, block in self.oracle.blocks.items()}
        held = {
            block.address(ordinal): owner.handle
            for block in snapshot.blocks.values()
            for ordinal, owner in block.allocated()
        }
        assert held == self.oracle.holders()

    def _somebody(self, host: str):
        self.count += 1
        return owner(f"pod-{self.count}", host)

    def _compare(self, real, decide) -> None:
        try:
            expected = decide(asyncio.get_running_loop().time())
        except Refused as rule:
            expected = str(rule)
        event(expected if isinstance(expected, str) else "an address")
        assert real == expected


async def outcome(request, address=None):
    """The address, or the rule that a refusal names."""
    try:
        found = await request
    except NoPool:
        return "no pool"
    except AddressTaken:
        return "taken"
    except OutOfAddresses as error:
        return next((rule for word, rule in WORDS.items() if word in str(error)), "exhausted")
    except FabricError as error:
        return repr(error)
    return address if address is not None else found[0]


def resource(pool: Pool) -> IPPool:
    return IPPool.named(
        pool.name,
        cidr=pool.cidr,
        block_size=pool.block_size,
        disabled=pool.disabled,
        node_selector=pool.node_selector,
        namespace_selector=pool.namespace_selector,
        allowed_uses=pool.uses,
        assignment_mode=pool.mode,
    )


def _name(cidr: IPv4Network) -> str:
    return next(pool.name for pool in POOLS if pool.cidr == cidr)


async def play(steps) -> None:
    pair = Pair()
    await pair.prepare()
    for verb, *arguments in steps:
        await getattr(pair, verb)(*arguments)
        await pair.judge()


@settings(max_examples=100, deadline=None)
@given(st.lists(step, min_size=12, max_size=40))
def test_the_ipam_decides_as_the_oracle(steps):
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(play(steps))
