"""Calico's BGP without the rest of Calico: real nodes, real birds, and the keepers that configure them.

The datastore is a snapshot that the test shows to all nodes. node-1 has 192.168.0.11/16 on eth0 as in all
examples, in a rack 192.168.1.11/24; routers and their links are the test's.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from calico.bgp.config import bird_config
from calico.bgp.peers import SecretRef
from calico.node_files import bird
from calico.syncer import Snapshot
from fabric.bird.client import BirdAway, BirdClient
from fabric.bird.config import Config
from fabric.bird.protocols import Protocol
from fabric.cluster.runtimes import NodeDaemons
from fabric.netstate.objects import Family
from fabric.plugin.bird_keeper import BirdKeeper
from fabric.runtime.client import RuntimeClient
from fabric.runtime.contract import HostSpec, Mount
from support.calico_nodes import facts
from support.eventually import eventually
from support.namespaces import run_inside
from support.runtime_process import running

SWITCH = "switch"


class BgpLab:
    """Nodes on one switch; more hosts and wires as the test wants them."""

    def __init__(self, runtime: RuntimeClient, folder: Path, tasks: asyncio.TaskGroup) -> None:
        self._runtime = runtime
        self._folder = folder
        self._tasks = tasks
        self._running: dict[str, asyncio.Task[None]] = {}
        self._daemons: dict[str, NodeDaemons] = {}
        self.pids: dict[str, int] = {}
        self.keepers: dict[str, BirdKeeper] = {}

    async def add_host(self, name: str) -> None:
        """A namespace with private files and a keeper, and no device but lo."""
        root = self._folder / name
        mounts = tuple(_private(root, folder) for folder in ("run/calico", "etc/calico"))
        self.pids[name] = await self._runtime.start_node(HostSpec(name, mounts, True))
        self._daemons[name] = NodeDaemons(self._runtime, name, root)
        self.shell(name, "ip link set lo up; sysctl -qw net.ipv4.ip_forward=1")
        self.new_keeper(name)

    async def add_switch(self, name: str = SWITCH, address: str = "") -> None:
        """A host with a bridge `lan`, which may have an address: a router then."""
        await self.add_host(name)
        self.shell(name, "ip link add lan type bridge; ip link set lan up")
        if address:
            self.shell(name, f"ip addr add {address} dev lan")

    async def add_node(self, number: int, switch: str = SWITCH, *, rack: int = 0, gateway: str = "") -> None:
        await self.add_host(f"node-{number}")
        address = facts(number, rack=rack).addresses[0]
        self.wire(f"node-{number}", "eth0", switch, f"port{number}", str(address))
        self.shell(switch, f"ip link set port{number} master lan")
        if gateway:
            self.shell(f"node-{number}", f"ip route add default via {gateway}")

    def wire(self, host: str, device: str, other: str, other_device: str, address: str = "") -> None:
        """A veth between two hosts, up on both sides."""
        self.shell(other, f"ip link add {other_device} type veth peer name {device} netns {self.pids[host]}")
        self.shell(other, f"ip link set {other_device} up")
        self.shell(host, f"ip link set {device} up")
        if address:
            self.shell(host, f"ip addr add {address} dev {device}")

    def new_keeper(self, name: str) -> BirdKeeper:
        """A keeper, in the place of the one that was: as after a restart of the worker."""
        if name in self._running:
            self._running[name].cancel()
        keeper = self.keepers[name] = BirdKeeper(bird(self._folder / name), self._daemons[name], name)
        self._running[name] = self._tasks.create_task(keeper.run())
        return keeper

    def show(self, snapshot: Snapshot, secrets: Mapping[SecretRef, str] | None = None) -> None:
        """Have every node see this moment of the datastore."""
        for name in snapshot.nodes:
            self.keepers[name].want(bird_config(snapshot, name, secrets or {}))

    async def speak(self, name: str, router: Config) -> None:
        """Have a router speak BGP."""
        self.keepers[name].want(router)
        await eventually(lambda: self.keepers[name].is_up)

    def shell(self, name: str, script: str) -> str:
        return run_inside(self.pids[name], "sh", "-ec", script)

    def routes(self, name: str, family: Family = 4) -> dict[str, str]:
        """BIRD's routes in the node's kernel: `via … dev …` or `blackhole`, by destination."""
        found = {}
        for route in json.loads(self.shell(name, f"ip -{family} -j route show proto bird") or "[]"):
            hops = route.get("nexthops") or [route]
            ways = [f"via {hop['gateway']} dev {hop['dev']}" for hop in hops if "gateway" in hop]
            found[route["dst"]] = " ".join(sorted(ways)) or route["type"]
        return found

    def config(self, name: str) -> str:
        """The bird.conf of a host as it lies there."""
        return (self._folder / name / "run/calico/bird.conf").read_text()

    def client(self, name: str) -> BirdClient:
        return BirdClient(self._folder / name / "run/calico/bird.ctl", name=name)

    async def sessions(self, name: str) -> dict[str, Protocol]:
        """By name; none before BIRD is there."""
        try:
            return {it.name: it for it in await self.client(name).protocols() if it.bgp}
        except BirdAway:
            return {}

    async def established(self, *names: str, count: int) -> None:
        """Wait until each of these hosts has this many sessions that are up."""

        async def look() -> bool:
            found = [await self.sessions(name) for name in names]
            return all(sum(is_established(it) for it in each.values()) == count for each in found)

        await eventually(look)

    def end(self) -> None:
        for task in self._running.values():
            task.cancel()

    async def kill_bird(self, name: str, *, for_good: bool = False) -> None:
        """SIGKILL; the runtime starts it again, unless it is `for_good`."""
        if for_good:
            self._running[name].cancel()
            await self._daemons[name].end("bird")
        else:
            os.kill((await self._daemons[name].running())["bird"], signal.SIGKILL)


def is_established(protocol: Protocol) -> bool:
    return protocol.bgp is not None and protocol.bgp.is_established


def bare(number: int, *others: int) -> dict[str, str]:
    """The routes of node-<number> when it has a block and knows these others': its own ends there."""
    ways = {f"10.244.{other}.0/26": f"via 192.168.0.{10 + other} dev eth0" for other in others}
    return {f"10.244.{number}.0/26": "blackhole"} | ways


async def have(lab: BgpLab, *numbers: int) -> None:
    """Wait until each of these nodes has the blocks of all of them, and no other."""
    for number in numbers:
        expected = bare(number, *(set(numbers) - {number}))
        await eventually(
            lambda at=f"node-{number}", it=expected: lab.routes(at) == it,  # type: ignore[misc]
            seconds_max=15,
        )


@asynccontextmanager
async def bgp_lab(folder: Path, nodes: int = 0) -> AsyncIterator[BgpLab]:
    """A lab with a switch and this many nodes on it."""
    async with running(folder) as (_, runtime), asyncio.TaskGroup() as tasks:
        lab = BgpLab(runtime, folder / "hosts", tasks)
        if nodes:
            await lab.add_switch()
        for number in range(1, nodes + 1):
            await lab.add_node(number)
        yield lab
        lab.end()


def _private(root: Path, folder: str) -> Mount:
    source = root / folder
    source.mkdir(parents=True)
    return Mount(f"/{folder}", source)
