"""Rules written at once: one tool lists, writes and lists again; where it was mistaken all is put right."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from support.kernel_contract import left_to_do
from support.namespaces import namespaces, run_inside

from fabric.errors import KernelRefused
from fabric.kernel import programs
from fabric.kernel.linux import LinuxKernel
from fabric.netstate.objects import Chain
from fabric.netstate.plan import diff
from fabric.netstate.port import Host

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")]
RULES = tuple(f"-s 10.0.0.{number}/32 -j ACCEPT" for number in range(1, 9))


class Node:
    """A namespace, its host, and the tools that were started there."""

    def __init__(self, pid: int, host: Host, started: list[str], tool: str) -> None:
        self.host, self.started = host, started
        self._pid, self._tool = pid, tool

    def iptables(self, *args: str) -> str:
        return run_inside(self._pid, self._tool, *args)

    async def change(self, before: set[Chain], after: set[Chain]) -> None:
        self.started.clear()
        await self.host.apply(diff(frozenset(after), frozenset(before)))

    async def is_as(self, wanted: set[Chain]) -> bool:
        return await left_to_do(self.host, frozenset(wanted)) == ""


@pytest.fixture(params=programs.FLAVOURS)
def node(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setenv("FABRIC_IPTABLES", request.param)
    started: list[str] = []
    run = programs.run

    def noted(pid: int, argv: tuple[str, ...], text: str = "") -> str:
        started.append(argv[0])
        return run(pid, argv, text)

    monkeypatch.setattr(programs, "run", noted)
    with namespaces("node-1") as pids:
        kernel = LinuxKernel(pids)
        yield Node(pids["node-1"], kernel.host("node-1"), started, f"iptables-{request.param}")
        kernel.close()


def chain(name: str, *rules: str) -> Chain:
    return Chain.parse("filter", name, rules)


async def test_chains_come_change_and_go_by_one_tool_each(node: Node):
    a, b = chain("A", *RULES), chain("B", "-j A")
    changed = chain("A", *RULES[:3], "-p tcp -j DROP", *RULES[3:])
    for before, after in (
        (set(), {a, b}),
        ({a, b}, {changed, b}),
        ({changed, b}, {changed}),
        ({changed}, set()),
    ):
        await node.change(before, after)
        assert len(node.started) == 1, node.started
        assert await node.is_as(after)
    assert "-N" not in node.iptables("-S")


async def test_counters_of_the_rules_that_stay_live_on(node: Node):
    a = chain("A", *RULES)
    await node.change(set(), {a})
    node.iptables("-R", "A", "1", *RULES[0].split(), "-c", "5", "500")
    await node.change({a}, {chain("A", *RULES, "-j DROP")})
    assert len(node.started) == 1
    assert "-c 5 500" in node.iptables("-v", "-S", "A")


@pytest.mark.parametrize(
    "meddle",
    [("-D", "A", "2"), ("-I", "A", "1", "-j", "RETURN"), ("-F", "A"), ("-A", "A", "-p", "udp", "-j", "DROP")],
    ids=" ".join,
)
async def test_what_a_stranger_did_to_a_chain_meanwhile_is_undone_by_the_next_write(node: Node, meddle):
    a = chain("A", *RULES)
    await node.change(set(), {a})
    node.iptables(*meddle)
    wanted = {chain("A", "-p tcp -j DROP", *RULES), chain("B", "-j A")}
    await node.change({a}, wanted)
    assert await node.is_as(wanted)


async def test_a_strangers_chain_is_not_taken_over(node: Node):
    node.iptables("-N", "A")
    node.iptables("-A", "A", "-j", "RETURN")
    with pytest.raises(KernelRefused, match="EEXIST"):
        await node.change(set(), {chain("A", *RULES), chain("B")})
    assert node.iptables("-S", "A") == "-N A\n-A A -j RETURN\n"
    assert "-N B" not in node.iptables("-S")


async def test_a_chain_that_a_stranger_removed_comes_back(node: Node):
    a, changed = chain("A", *RULES), chain("A", *RULES[1:])
    await node.change(set(), {a})
    node.iptables("-F", "A")
    node.iptables("-X", "A")
    await node.change({a}, {changed})
    assert await node.is_as({changed})
    await node.change({changed}, set())
    assert "-N" not in node.iptables("-S")


async def test_a_rule_that_linux_refuses_is_told_and_leaves_all_as_it_was(node: Node):
    a = chain("A", *RULES)
    await node.change(set(), {a})
    with pytest.raises(KernelRefused, match="chain filter A"):
        await node.change({a}, {chain("A", *RULES, "-j NO-SUCH-CHAIN")})
    assert await node.is_as({a})
