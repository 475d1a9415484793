"""The plugin in docs/plugins.md is a plugin: its text is run here, on the fake kernel."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.fake_daemons import FakeDaemons
from support.flannel_cluster import config, facts, pod
from support.memory_api import MemoryApi
from support.node_context import node_context
from support.owned_task import running
from support.virtual_time import VirtualTimeLoop

from fabric.errors import FabricError
from fabric.kernel.attach import attach
from fabric.kernel.fake import FakeKernel
from fabric.netstate.objects import Address, Bridge, LinkUp, Route
from fabric.netstate.plan import diff
from fabric.store.memory import MemoryStore

PAGE = Path(__file__).parents[2] / "docs/plugins.md"


@pytest.fixture
def example():
    """The names that the page's Python block defines."""
    (text,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(text, str(PAGE), "exec"), names)
    return SimpleNamespace(**names)


class Cluster:
    """Two nodes on one wire with the example's agents."""

    def __init__(self, plugin, root: Path) -> None:
        self.kernel = FakeKernel("node-1", "node-2", *(pod(number).netns for number in range(1, 4)))
        self.store = MemoryStore()
        self.agents = []
        for node in (facts(1), facts(2)):
            host = self.kernel.host(node.name)
            for obj in (Bridge("eth0"), Address(node.addresses[0], "eth0")):
                host.tamper_add(obj)
            files = root / node.name
            context = node_context(node, config(), host, files, self.store, MemoryApi(), FakeDaemons())
            self.agents.append(plugin.agent(context))


def play(main) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main)


def test_each_node_gets_a_route_to_the_other_and_keeps_it(example, tmp_path):
    async def main() -> None:
        cluster = Cluster(example.StaticRoutes(), tmp_path)
        host = cluster.kernel.host("node-1")
        async with running(*(agent.run() for agent in cluster.agents)):
            await asyncio.sleep(1)
            assert all(agent.status().ready for agent in cluster.agents)
            (route,) = (obj for obj in host.state if isinstance(obj, Route))
            assert str(route) == "route 10.244.12.0/24 via 192.168.0.12 dev eth0"
            host.tamper_delete(route)
            await asyncio.sleep(6)
            assert route in host.state
            plans = len(host.plans)
            await asyncio.sleep(60)
            assert len(host.plans) == plans

    play(main())


def test_a_pod_is_attached_checked_and_released(example, tmp_path):
    async def main() -> None:
        cluster = Cluster(example.StaticRoutes(), tmp_path)
        agent = cluster.agents[0]
        async with running(agent.run()):
            await asyncio.sleep(1)
            first = await agent.add(pod(1))
            assert await agent.add(pod(1)) == await agent.check(pod(1)) == first
            await attach(cluster.kernel, "node-1", pod(1).netns, first.node, first.pod)
            assert LinkUp("lo") in first.pod
            second = await agent.add(pod(2))
            assert [str(each.ips[0]) for each in (first, second)] == ["10.244.11.2/24", "10.244.11.3/24"]
            await agent.collect(frozenset({"uid-2"}))
            await agent.delete(pod(1))
            assert await agent.check(pod(1)) is None and await agent.check(pod(2)) == second

    play(main())


def test_a_full_subnet_is_the_world_saying_no(example, tmp_path):
    async def main() -> None:
        agent = Cluster(example.StaticRoutes(), tmp_path).agents[0]
        for number in range(253):
            await agent.add(pod(number))
        with pytest.raises(FabricError, match="is full"):
            await agent.add(pod(999))

    play(main())


def test_its_preview_and_problems_read_like_flannels(example):
    plugin = example.StaticRoutes()
    assert str(diff(plugin.preview(config(), [facts(1), facts(2)])["node-1"], frozenset())) == (
        "add link pods0 type bridge mtu 1500 up\n"
        "add address 10.244.11.1/24 dev pods0\n"
        "add route 10.244.12.0/24 via 192.168.0.12 dev eth0\n"
    )
    assert plugin.problems(config(cidrs="10.244.0.0/20", VNI=1), []) == [
        ("plugin", "10.244.0.0/20 is too small: static-routes needs a /16")
    ]
