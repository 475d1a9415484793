"""Flannel on real namespaces: a switch, three nodes, and pods that are attached as the kubelet does it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_interface, ip_network
from pathlib import Path
from subprocess import CalledProcessError

from fabric.kernel.attach import attach
from fabric.kernel.linux import LinuxKernel
from fabric.netstate.objects import Address, Bridge, LinkUp, NetObject, NetState, Route, Veth
from fabric.netstate.plan import diff
from fabric.plugin.contract import NetworkConfig, NodeAgent, NodeFacts
from fabric.plugin.reflector import Reflectors
from fabric.store.memory import MemoryStore
from flannel import subnet_env
from flannel.plugin import FlannelPlugin
from support.eventually import eventually
from support.fake_daemons import FakeDaemons
from support.flannel_cluster import facts, pod
from support.memory_api import MemoryApi
from support.namespaces import namespaces, run_inside
from support.node_context import node_context
from support.owned_task import running

NODES = 3
NOTHING: NetState = frozenset()


class FlannelLab:
    """node-N has 192.168.0.(10+N) and, because it had it before, the subnet 10.244.N.0/24."""

    def __init__(self, root: Path, section: NetworkConfig, pids: dict[str, int]) -> None:
        self.section = section
        self.pids = pids
        self.kernel = LinuxKernel(pids)
        self.store = MemoryStore()
        self.api = MemoryApi()
        self.facts = [facts(number) for number in range(1, NODES + 1)]
        for number in range(1, NODES + 1):
            subnet = ip_network(f"10.244.{number}.0/24")
            subnet_env.write(root / f"node-{number}", subnet_env.of(section.pod_cidrs[:1], (subnet,), 1450))
        self.reflectors = Reflectors(self.store)
        self.plugin = FlannelPlugin()
        self.agents = [self._agent(node, root / node.name) for node in self.facts]

    async def wire(self) -> None:
        """The underlay: br0 in the switch, eth0 in each node with a default route over the gateway."""
        gateway = ip_interface("192.168.0.1/16")
        ports = (Veth(node.name, peer="eth0", peer_ns=node.name, master="br0") for node in self.facts)
        await self._put("switch", Bridge("br0"), Address(gateway, "br0"), *ports)
        for node in self.facts:
            default = Route(ip_network("0.0.0.0/0"), via=gateway.ip, dev="eth0")
            await self._put(
                node.name, LinkUp("lo"), LinkUp("eth0"), Address(node.addresses[0], "eth0"), default
            )

    async def attach(self, number: int, node: int) -> str:
        """Attach pod `number` to a node and return its address."""
        who = pod(number)
        found = await self.agents[node - 1].add(who)
        await attach(self.kernel, f"node-{node}", who.netns, found.node, found.pod)
        return str(found.ips[0].ip)

    def shell(self, namespace: str, command: str) -> str:
        """Run a command there, as a stranger would; AssertionError with its words when it fails."""
        try:
            return run_inside(self.pids[namespace], *command.split())
        except CalledProcessError as error:
            raise AssertionError(f"{command}: {error.stderr}") from error

    def lines(self, namespace: str, command: str) -> list[str]:
        """Its output by lines: blanks as one, statistics and numbers of interfaces left out."""
        text = self.shell(namespace, command)
        return [re.sub(r"\s+", " ", line).strip() for line in text.splitlines()]

    async def ping(self, namespace: str, address: str, *options: str) -> str:
        """Ping once; AssertionError with ping's words when there is no answer."""
        command = ("ping", "-n", "-c", "1", "-W", "2", *options, address)
        argv = ("nsenter", "-t", str(self.pids[namespace]), "-n", *command)
        process = await asyncio.create_subprocess_exec(
            *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        return output.decode()

    def _agent(self, node: NodeFacts, root: Path) -> NodeAgent:
        host, daemons = self.kernel.host(node.name), FakeDaemons()
        return self.plugin.agent(
            node_context(node, self.section, host, root, self.store, self.api, daemons, self.reflectors)
        )

    async def _put(self, name: str, *objects: NetObject) -> None:
        await self.kernel.host(name).apply(diff(frozenset(objects), NOTHING))


@asynccontextmanager
async def flannel_lab(root: Path, section: NetworkConfig, pods: int = 4) -> AsyncIterator[FlannelLab]:
    """Agents run in the block and are ready when it begins; everything is gone after it."""
    names = [
        "switch",
        *(f"node-{n}" for n in range(1, NODES + 1)),
        *(pod(n).netns for n in range(1, pods + 1)),
    ]
    with namespaces(*names) as pids:
        lab = FlannelLab(root, section, pids)
        try:
            await lab.wire()
            await lab.plugin.prepare(section, lab.store, lab.api)
            async with running(lab.reflectors.run(), *(agent.run() for agent in lab.agents)):
                await eventually(lambda: _all_up(lab))
                yield lab
        finally:
            lab.kernel.close()


def _all_up(lab: FlannelLab) -> bool:
    states = [agent.status() for agent in lab.agents]
    assert all(s.ready and s.details["peers"] == str(NODES - 1) for s in states), states
    return True
