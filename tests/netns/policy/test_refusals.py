"""What Linux refuses of one policy's chains costs that policy: its pods are closed, and all others go on.

A node and two pods' ways on one loopback: packets to an address meet the chain of its pod.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from support.eventually import eventually
from support.namespaces import namespaces
from support.owned_task import running

from calico.felix import ownership
from calico.felix.rules import FelixRule, chain, jump
from fabric.control.netloop import NetLoop
from fabric.kernel import programs
from fabric.kernel.linux import LinuxKernel
from fabric.netstate.objects import Chain, LinkUp
from fabric.netstate.plan import Plan, Step

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")]
PODS = {"cali1": "127.0.0.11", "cali2": "127.0.0.12"}
OTHERS = 40


class Node:
    """The namespace with its loop."""

    def __init__(self, pid: int, kernel: LinuxKernel) -> None:
        self._pid = pid
        self.host = kernel.host("node-1")
        self.loop = NetLoop(self.host, ownership.owner())

    def answers(self, device: str) -> bool:
        """True when a packet to the pod of that device passes its chain."""
        command = f"nsenter -t {self._pid} -n ping -c 1 -W 0.3 {PODS[device]}"
        return subprocess.run(command.split(), capture_output=True).returncode == 0

    def want(self, asked: dict[str, list[str]]) -> None:
        """Have the pods lead to these policies, and all else that a node has."""
        ways = [FelixRule(f"cali-tw-{it}", (f"--destination {PODS[it]}/32",)) for it in PODS]
        self.loop.want("policy", {of("cali-OUTPUT", *ways), jump("filter", "OUTPUT", "cali-OUTPUT", 4)})
        for device in PODS:
            rules = [FelixRule(f"cali-pi-{it}") for it in asked.get(device, ())]
            self.loop.want(f"endpoint:{device}", {of(f"cali-tw-{device}", *rules)})

    def want_policy(self, name: str, *rules: FelixRule) -> None:
        self.loop.want(f"rules:{name}", {of(f"cali-pi-{name}", *rules)})


def of(name: str, *rules: FelixRule) -> Chain:
    return chain("filter", name, rules, 4)


OPEN = FelixRule("RETURN", origin="NetworkPolicy default/good ingress rule 0")
REFUSED = FelixRule(
    "ACCEPT", ("-p 17", "-m no_such_match"), origin="NetworkPolicy default/bad ingress rule 0"
)


@pytest.fixture(params=programs.FLAVOURS)
async def node(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setenv("FABRIC_IPTABLES", request.param)
    with namespaces("node-1") as pids:
        kernel = LinuxKernel(pids)
        found = Node(pids["node-1"], kernel)
        await found.host.apply(Plan((Step("add", LinkUp("lo")),)))
        async with running(found.loop.run()):
            yield found
        kernel.close()


async def test_a_pod_is_closed_by_a_policy_that_linux_refuses_and_all_others_go_on(node: Node):
    node.want({})
    for number in range(OTHERS):
        node.want_policy(f"other-{number}", OPEN)
    await node.loop.until_converged()
    assert all(map(node.answers, PODS))
    node.want_policy("bad", REFUSED)
    node.want_policy("closing", FelixRule("DROP"))
    node.want({"cali1": ["other-7", "bad"], "cali2": ["closing"]})
    await eventually(lambda: not node.answers("cali2"))
    await eventually(lambda: not node.answers("cali1"))
    await eventually(
        lambda: node.loop.last_error.startswith("NetworkPolicy default/bad ingress rule 0: node-1: add chain")
    )
    node.want({"cali1": ["bad"], "cali2": []})
    await eventually(lambda: node.answers("cali2"))
    assert not node.answers("cali1")
    node.want_policy("bad", OPEN)
    await eventually(lambda: node.answers("cali1"))
    await node.loop.until_converged()
    assert node.loop.last_error == ""


async def test_a_policy_whose_new_rules_linux_refuses_holds_as_it_was_until_it_is_deleted(node: Node):
    node.want_policy("policy", FelixRule("DROP"))
    node.want({"cali1": ["policy"]})
    await node.loop.until_converged()
    node.want_policy("policy", REFUSED)
    await eventually(lambda: "default/bad" in node.loop.last_error)
    assert not node.answers("cali1") and node.answers("cali2")
    node.loop.want("rules:policy", ())
    node.want({})
    await node.loop.until_converged()
    assert node.answers("cali1")
