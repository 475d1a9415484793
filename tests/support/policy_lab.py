"""Two nodes with pods in namespaces of their own, on Linux: policies are tried there without a cluster.

Felix' chains and sets of a world are carried from the world before it by fabric's own plans; pods and nodes
answer as servers do, and probes ask from inside the namespaces.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fabric.kernel.conntrack import NETLINK_NETFILTER, forget
from fabric.kernel.linux import LinuxKernel
from fabric.kernel.namespaces import inside
from fabric.kernel.netlink import Socket
from fabric.netstate.flows import Flow as Connections
from fabric.netstate.objects import NetState
from fabric.netstate.plan import diff
from fabric.plugin.policies import Flow, World
from fabric.verify.probes import Job, Outcome, Patience
from fabric.verify.probing import ask_all
from support.any_world import PLACED
from support.kernel_contract import left_to_do
from support.namespaces import namespaces, run_inside
from support.rendered_policies import Rendered, device

TOP = Path(__file__).parents[2]
TCP_PORTS, UDP_PORTS = (22, 80, 81, 85, 2015), (53, 80, 81)
SHORT, SURE = Patience(seconds=0.06, tries=1), Patience(seconds=0.6, tries=3)
"""Of what is asked first, and of what is asked again because it is not as expected."""
_GATEWAY = "169.254.1.1"
_SECONDS_MAX = 60.0


class PolicyLab:
    """The nodes and pods of a world; other worlds may follow with the same pods at the same places."""

    def __init__(self, world: World, pids: Mapping[str, int], runner: asyncio.Runner) -> None:
        self._pids = pids
        self._runner = runner
        self._kernel = LinuxKernel(pids)
        self._rendered = Rendered(world)
        self._connections = [Connections(4, it.address(4)) for it in world.pods]
        self._there: dict[str, NetState] = {name: frozenset() for name in world.nodes}

    def become(self, world: World) -> None:
        """Carry the nodes from the world that is there to this one."""
        self._rendered.become(world)
        wanted = {name: _of_ipv4(objects) for name, objects in self._rendered.objects.items()}
        plans = {name: diff(state, self._there[name]) for name, state in wanted.items()}
        self._runner.run(self._kernel.apply(plans))
        self._there = wanted
        for name in wanted:
            self._forget_connections(name)

    def _forget_connections(self, node: str) -> None:
        """Delete what conntrack knows: a probe from a port of an older one would be of its connection."""
        with inside(self._pids[node]):
            netfilter = Socket(NETLINK_NETFILTER)
        forget(netfilter, self._connections)
        netfilter.close()

    def left_to_do(self) -> str:
        """What the nodes' kernels lack, or have too much, of what they should have."""
        return "".join(
            self._runner.run(left_to_do(self._kernel.host(name), state))
            for name, state in self._there.items()
        )

    def allowed(self, flows: Sequence[Flow], patience: Patience) -> list[bool]:
        """Whether each flow arrives and is answered."""
        random.seed()  # Hypothesis seeds it; ports of probes would be those of connections that are known.
        answers = ask_all(self._pids, [_job(it) for it in flows], patience)
        return [it.outcome is Outcome.delivered for it in answers]

    def close(self) -> None:
        self._kernel.close()


def _of_ipv4(objects: Iterable) -> NetState:
    return frozenset(it for it in objects if it.family == 4)


def _job(flow: Flow) -> Job:
    word = {1: "icmp", 6: "tcp", 17: "udp"}[flow.protocol]
    return Job(str(flow.source), str(flow.destination.address(4)), word, flow.port)  # type: ignore[arg-type]


def is_asked(flow: Flow) -> bool:
    """True for a flow that a probe can be, from where servers are to where they are."""
    if "address" in (flow.source.kind, flow.destination.kind) or flow.family != 4:
        return False
    if flow.source.kind == "node" and flow.destination.kind == "node":
        return False
    match flow.protocol:
        case 1:
            return (flow.icmp_type, flow.icmp_code) == (8, 0)
        case 6:
            return flow.port in TCP_PORTS and flow.source_port == 49152
        case 17:
            return flow.port in UDP_PORTS and flow.source_port == 49152
    return False


@contextmanager
def policy_lab(world: World = PLACED) -> Iterator[PolicyLab]:
    """Yield the lab once all of its servers answer."""
    ends = (*world.nodes.values(), *world.pods)
    with (
        namespaces(*map(str, world.pods), *world.nodes) as found,
        asyncio.Runner() as runner,
        ExitStack() as stack,
    ):
        pids = found | {f"node/{name}": found[name] for name in world.nodes}
        _wire(world, pids)
        for end in ends:
            stack.enter_context(_server(pids[str(end)]))
        lab = PolicyLab(world, pids, runner)
        stack.callback(lab.close)
        _wait(lab, world)
        yield lab


def _wire(world: World, pids: Mapping[str, int]) -> None:
    first, second = world.nodes
    _ip(pids[first], f"link add eth0 type veth peer name eth0 netns {pids[second]}")
    for name, node in world.nodes.items():
        _ip(pids[name], f"address add {node.address(4)}/24 dev eth0", "link set lo up", "link set eth0 up")
        run_inside(pids[name], "sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv4.icmp_ratelimit=0")
    for pod in world.pods:
        node, own, its = pids[pod.node], pids[str(pod)], device(pod)
        _ip(node, f"link add {its} type veth peer name eth0 netns {own}", f"link set {its} up")
        _ip(node, f"route add {pod.address(4)} dev {its}", f"address add {_GATEWAY}/32 dev {its}")
        _ip(own, f"address add {pod.address(4)}/32 dev eth0", "link set lo up", "link set eth0 up")
        _ip(own, f"route add {_GATEWAY} dev eth0", f"route add default via {_GATEWAY} dev eth0")
        other = next(it for name, it in world.nodes.items() if name != pod.node)
        via = world.nodes[pod.node].address(4)
        _ip(pids[other.name], f"route add {pod.address(4)} via {via} dev eth0")


def _ip(pid: int, *lines: str) -> None:
    command = ["nsenter", "-t", str(pid), "-n", "ip", "-batch", "-"]
    subprocess.run(command, input="\n".join(lines), text=True, check=True)


@contextmanager
def _server(pid: int) -> Iterator[None]:
    """An echo server in a namespace."""
    ports = ["--tcp", ",".join(map(str, TCP_PORTS)), "--udp", ",".join(map(str, UDP_PORTS))]
    none = ["--http-port", "0", "--tcp-port", "0", "--udp-port", "0"]
    program = [sys.executable, "-S", "-m", "fabric.runtime.builtin.echo", *none, *ports]
    command = ["nsenter", "-t", str(pid), "-n", *program]
    with subprocess.Popen(command, cwd=TOP, stdout=subprocess.DEVNULL) as server:
        try:
            yield
        finally:
            server.terminate()


def _wait(lab: PolicyLab, world: World) -> None:
    """Wait until every end answers every other one, while there is no rule."""
    ends = (*world.pods, *world.nodes.values())
    flows = [
        Flow(source, target, 6, 80, version=4)
        for source in ends
        for target in ends
        if source != target and is_asked(Flow(source, target, 6, 80, version=4))
    ]
    deadline = time.monotonic() + _SECONDS_MAX
    while not all(lab.allowed(flows, SHORT)):
        assert time.monotonic() < deadline, "a server does not answer"
