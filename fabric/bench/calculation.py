"""`fabric bench calculation`: what the calculation of policies and the rendering of rules cost a process.

One process has all nodes, and no kernel: a change goes in as Kubernetes' object, and what comes out is what
each node's kernel is to have. Pods and policies are divided among apps, as in `bench policy`.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from ipaddress import IPv4Network, ip_interface
from typing import Any

from fabric.api.objects import Object
from fabric.bench import policy_objects
from fabric.bench.clusters import Say
from fabric.errors import plural
from fabric.netstate.objects import NetState
from fabric.plugin.contract import NetworkConfig, NodeFacts
from fabric.plugin.policy_calculation import Calculates, Calculation

PODS, SERVICES, UNDERLAY = (IPv4Network(it) for it in ("10.244.0.0/16", "10.96.0.0/16", "172.16.0.0/16"))
NAMESPACE, ELSEWHERE = "default", "node-0"
"""The namespace of all objects, and a node of another process."""
CHANGES = ("member", "label", "policy", "pod")
"""A pod comes on a node of another process, and is a member of sets; a pod gets another label; a policy comes
for the pods of one app; a pod comes on one of the nodes."""
Parts = Mapping[str, Mapping[str, NetState]]
Undo = Callable[[Calculation], None]


@dataclass(frozen=True, slots=True)
class CalculationTimes:
    """The processor time of the calculation for all nodes of a process, in milliseconds."""

    plugin: str
    nodes: int
    pods: int
    policies: int
    changes: int
    all_milliseconds: float
    """Of all objects at once, as an agent begins."""
    change_milliseconds: Mapping[str, float]
    """Of one change, by its kind: the median of so many."""
    changed_parts: Mapping[str, int]
    """How many parts of all nodes the last of them made anew: chains of an endpoint or a policy, a set."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    name: str, plugin: Calculates, size: tuple[int, int, int], changes: int, say: Say
) -> CalculationTimes:
    """Have a calculation of (nodes, pods, policies), and make each kind of change to it so many times."""
    nodes, pods, policies = size
    say(f"{name}: {plural(nodes, 'node')}, {plural(pods, 'pod')}, {policies} policies")
    facts = [_facts(number) for number in range(1, nodes + 1)]
    run = _Run(plugin.policy_calculation(NetworkConfig((PODS,), (SERVICES,)), facts))
    beginning = run.put(*_objects(nodes, pods, policies))
    gc.collect()
    times: dict[str, list[float]] = defaultdict(list)
    parts: dict[str, int] = {}
    for number in range(1, changes + 1):
        for change, (made, undo) in _changes(number, nodes, pods, policies).items():
            before = run.parts
            times[change].append(run.put(made))
            parts[change] = _differing(before, run.parts)
            undo(run.calculation)
            run.put()
    medians = {change: _milliseconds(statistics.median(taken)) for change, taken in times.items()}
    return CalculationTimes(name, nodes, pods, policies, changes, _milliseconds(beginning), medians, parts)


class _Run:
    """A calculation and what came of it."""

    def __init__(self, calculation: Calculation) -> None:
        self.calculation = calculation
        self.parts: Parts = {}

    def put(self, *objects: Object) -> float:
        """Enter objects, compute, and return the seconds of processor time that both took."""
        began = time.process_time()
        for obj in objects:
            self.calculation.put(obj)
        found = self.calculation.compute()
        spent = time.process_time() - began
        self.parts = {node: dict(its) for node, its in found.items()}
        return spent


def _objects(nodes: int, pods: int, policies: int) -> Iterator[Object]:
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    for number in range(1, pods + 1):
        yield _pod(number, f"node-{number % nodes + 1}", number)
    for number in range(1, policies + 1):
        yield policy_objects.policy(number)


def _changes(number: int, nodes: int, pods: int, policies: int) -> Mapping[str, tuple[Object, Undo]]:
    """The changes of a round, each with what undoes it."""
    old = number % pods + 1
    node = f"node-{old % nodes + 1}"
    come = {
        "member": _pod(pods + number, ELSEWHERE, number),
        "policy": policy_objects.policy(policies + number),
        "pod": _pod(pods + number, node, number),
    }
    label = (_pod(old, node, old + 1), lambda it: it.put(_pod(old, node, old)))
    return {"label": label, **{name: (obj, partial(_drop, obj)) for name, obj in come.items()}}


def _drop(obj: Object, calculation: Calculation) -> None:
    calculation.drop(obj)


def _pod(number: int, node: str, app: int) -> Object:
    made = policy_objects.pod(f"pod-{number}", NAMESPACE, policy_objects.app(app))
    made["spec"]["nodeName"] = node
    made["status"] = {"podIPs": [{"ip": str(PODS[number])}]}
    return made


def _facts(number: int) -> NodeFacts:
    address = ip_interface(f"{UNDERLAY[number]}/{UNDERLAY.prefixlen}")
    return NodeFacts(f"node-{number}", (address,), "eth0", 1500)


def _differing(before: Parts, after: Parts) -> int:
    """Return how many parts came, went or are others."""
    return sum(
        before[node].get(part) is not after[node].get(part)
        for node in after
        for part in before[node].keys() | after[node].keys()
    )


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 3)
