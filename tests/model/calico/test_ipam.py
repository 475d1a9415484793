"""Any number of nodes, any order, any death: no address is given twice, and none stays lost."""

from __future__ import annotations

import asyncio
import random
from ipaddress import IPv4Address

from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.calico_ipam import WatchedStore, calls_left, noon_clock, owner, pool, put_resources
from support.virtual_time import VirtualTimeLoop

from calico.ipam.allocator import Ipam, OutOfAddresses
from calico.ipam.candidates import PoolRequest
from calico.ipam.check import Use, check
from calico.ipam.configuration import Configuration, write_configuration
from calico.ipam.garbage import Collector
from calico.ipam.records import TooBusy
from calico.ipam.snapshot import read_snapshot
from calico.ipam.tunnels import IPIP, tunnel_address

NODES = ("node-1", "node-2", "node-3", "node-4")
POOL = pool(cidr="10.244.0.0/28", block_size=30)
SMALL = pool("pool-2", cidr="10.245.0.0/30", block_size=32, ipip_mode="Always")
node = st.sampled_from(NODES)
step = st.one_of(
    st.tuples(st.just("add"), node, st.integers(1, 3)),
    st.tuples(st.just("add_and_die"), node, st.integers(1, 25)),
    st.tuples(st.just("delete"), st.integers(0, 20), st.none()),
    st.tuples(st.just("delete_and_die"), st.integers(0, 20), st.integers(1, 12)),
    st.tuples(st.just("release_by_address"), st.integers(0, 20), st.none()),
    st.tuples(st.just("lose_node"), node, st.integers(1, 12)),
    st.tuples(st.just("tunnel"), node, st.none()),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.05, 1.0, 61.0]), st.none()),
)


class Cluster:
    """Nodes that give out addresses at the same time, over one far store."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.store = WatchedStore(rng)
        self.clock = noon_clock()
        self.ipams = {name: Ipam(self.store, self.clock, name, rng=rng) for name in NODES}
        self.held: dict[str, tuple[IPv4Address, ...]] = {}
        self.agents = {name: asyncio.Lock() for name in NODES}
        self.tasks: list[asyncio.Task[None]] = []
        self.count = 0

    async def prepare(self, strict: bool) -> None:
        await put_resources(self.store, POOL, SMALL)
        await write_configuration(self.store, Configuration(strict_affinity=strict))

    def start(self, work, calls: int | None = None) -> None:
        async def live() -> None:
            calls_left.set(calls)
            try:
                await work
            except (OutOfAddresses, TooBusy):
                return

        self.tasks.append(asyncio.create_task(live()))

    async def add(self, host: str, count: int) -> None:
        self.start(self._add(host, count))

    async def add_and_die(self, host: str, calls: int) -> None:
        self.start(self._add(host, 2), calls)

    async def _add(self, host: str, count: int) -> None:
        self.count += 1
        who = owner(f"pod-{self.count}", host)
        found = await self.ipams[host].auto_assign(who, PoolRequest(count=count, pools=(POOL.spec.cidr,)))
        everyone = [address for addresses in self.held.values() for address in addresses]
        assert not set(found) & set(everyone), "one address twice"
        assert len(set(found)) == count
        self.held[who.handle] = found

    def _victim(self, index: int) -> tuple[str, tuple[IPv4Address, ...]] | None:
        handles = sorted(handle for handle in self.held if "tunnel" not in handle)
        handle = handles[index % len(handles)] if handles else None
        return (handle, self.held.pop(handle)) if handle else None

    async def delete(self, index: int, calls: int | None) -> None:
        if victim := self._victim(index):
            self.start(self.ipams[NODES[index % 4]].release_handle(victim[0]), calls)

    delete_and_die = delete

    async def release_by_address(self, index: int, _: None) -> None:
        if victim := self._victim(index):
            self.start(self.ipams[NODES[index % 4]].release_addresses(victim[1], victim[0]))

    async def lose_node(self, host: str, calls: int) -> None:
        """Its affinities are released, while others (and it itself) go on."""
        self.start(self.ipams["node-1"].release_host(host), calls)

    async def tunnel(self, host: str, _: None) -> None:
        self.start(self._tunnel(host))

    async def _tunnel(self, host: str) -> None:
        async with self.agents[host]:
            address = await tunnel_address(self.ipams[host], IPIP, {})
        assert address in SMALL.spec.cidr
        self.held[IPIP.handle(host)] = (address,)

    async def wait(self, seconds: float, _: None) -> None:
        await asyncio.sleep(seconds)

    async def settle(self) -> None:
        """With time and one collector, the store holds exactly what its owners hold."""
        results = await asyncio.gather(*self.tasks, return_exceptions=True)
        assert not [r for r in results if isinstance(r, Exception)], results
        collector = Collector(self.store, self.clock)
        for _ in range(2):
            await collector.collect(frozenset(self.held), frozenset(NODES))
            await asyncio.sleep(1000)
        uses = [Use(address, handle) for handle, found in self.held.items() for address in found]
        snapshot = await read_snapshot(self.store)
        assert check(snapshot, [POOL, SMALL], uses, frozenset(NODES)) == ()
        assert sum(sum(h.counts.values()) for h in snapshot.handles.values()) == len(uses)

    async def drain(self) -> None:
        """When all is released and no node is left, nothing is left."""
        self.held.clear()
        collector = Collector(self.store, self.clock, grace_seconds=0)
        await collector.collect(frozenset(), frozenset())
        snapshot = await read_snapshot(self.store)
        assert not snapshot.blocks and not snapshot.affinities and not snapshot.handles


async def play(steps, seed: int, strict: bool) -> None:
    cluster = Cluster(seed)
    await cluster.prepare(strict)
    for verb, *arguments in steps:
        await getattr(cluster, verb)(*arguments)
    await cluster.settle()
    await cluster.drain()


A_RELEASE_BEHIND_A_CLAIM = [
    ("add", "node-3", 1),
    ("add", "node-2", 1),
    ("tunnel", "node-1", None),
    ("wait", 0.05, None),
    ("tunnel", "node-3", None),
    ("lose_node", "node-2", 5),
    ("tunnel", "node-2", None),
]


@settings(max_examples=150, deadline=None)
@example(A_RELEASE_BEHIND_A_CLAIM, 401, False)
@given(st.lists(step, max_size=30), st.integers(0, 1000), st.booleans())
def test_no_interleaving_gives_an_address_twice_or_loses_one(steps, seed, strict):
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(play(steps, seed, strict))
