"""The check that every pod reaches every pod, made with packets from inside the pods' own namespaces.

Small clusters are checked whole. Beyond `ALL_PAIRS_MAX` pairs, or where all pairs would overflow the one
ARP table that all namespaces of a machine share, each pod is asked by one pod of every node: every path
between nodes and every pod's own wire is still walked, there by the request and back by the answer.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fabric.api.objects import Object, key_of, uid_of
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.runtimes import sandbox_pids
from fabric.cluster.spec import ClusterSpec
from fabric.errors import FabricError
from fabric.verify.echo import Pinger

ALL_PAIRS_MAX = 10_000
TRIES = 20
WAIT_SECONDS = 0.5
SILENCE_SECONDS_MAX = TRIES * WAIT_SECONDS
"""Who has not answered while nobody did for so long is not asked again."""
FAILURES_KEPT = 20

_THRESHOLD = Path("/proc/sys/net/ipv4/neigh/default/gc_thresh3")

Progress = Callable[[int, int], None]
Closed = Callable[[str, str], bool]
"""Whether policies keep the first pod's packets from the second; such a pair is not asked."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """The result: how many ordered pairs were asked, and which were not answered."""

    total: int
    reached: int
    all_pairs: bool
    """False when only the pairs described in the module's header were asked."""
    failures: tuple[tuple[str, str], ...] = ()
    """The first pairs (source, target) without an answer."""
    closed: int = 0
    """Pairs that were not asked, because policies keep them apart."""

    @property
    def complete(self) -> bool:
        return self.reached == self.total

    @property
    def first_failure(self) -> str:
        return f"{self.failures[0][0]} does not reach {self.failures[0][1]}" if self.failures else ""

    def sentence(self) -> str:
        """`12/12 pod pairs reachable`, and what is wrong."""
        how = "" if self.all_pairs else " (every pod from each node)"
        closed = f", {self.closed} closed by policies" if self.closed else ""
        lines = [f"{self.reached}/{self.total} pod pairs reachable{how}{closed}"]
        lines += [f"  {source} does not reach {target}" for source, target in self.failures]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        return {
            "pairs": self.total,
            "reached": self.reached,
            "allPairs": self.all_pairs,
            "closedByPolicies": self.closed,
            "failures": [{"from": source, "to": target} for source, target in self.failures],
        }


class PodEnded(FabricError):
    """The API has not heard yet that a pod ended: wait until it runs again, and check then."""


@dataclass(frozen=True, slots=True)
class _Target:
    name: str
    address: str
    node: str
    pid: int


async def pod_reachability(
    paths: ClusterPaths,
    spec: ClusterSpec,
    pods: Sequence[Object],
    progress: Progress = lambda done, total: None,
    closed: Closed = lambda source, target: False,
) -> Matrix:
    """Ping between the pods that have an address and run; PodEnded when one of them is no more."""
    pids = await sandbox_pids(paths, spec.workers)
    targets = [_target(pod, pids) for pod in pods if _runs(pod)]
    return await asyncio.to_thread(_check, targets, progress, closed)


def _check(
    targets: Sequence[_Target], progress: Progress, closed: Closed = lambda source, target: False
) -> Matrix:
    chosen, whole = choose_pairs([target.node for target in targets], arp_entries_max=_arp_entries_max())
    pairs = [(a, b) for a, b in chosen if not closed(targets[a].name, targets[b].name)]
    apart = len(chosen) - len(pairs)
    if not pairs:
        return Matrix(0, 0, whole, closed=apart)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    addresses = [target.address for target in targets]
    pids = {index: target.pid for index, target in enumerate(targets)}
    try:
        pinger = Pinger(pids, 6 if ":" in addresses[0] else 4)
    except OSError as error:
        raise PodEnded(f"a pod ended while the check began ({error}); see fabric status") from error
    reached = 0

    def answered(count: int) -> None:
        nonlocal reached
        reached += count
        progress(reached, len(pairs))

    left: set[tuple[int, int]] = set(pairs)
    heard = time.monotonic()
    try:
        for _ in range(TRIES):
            before = len(left)
            left = pinger.ping(sorted(left), addresses, wait_seconds=WAIT_SECONDS, answered=answered)
            if len(left) < before:
                heard = time.monotonic()
            if not left or time.monotonic() - heard > SILENCE_SECONDS_MAX:
                break
    finally:
        pinger.close()
    failures = [(targets[source].name, targets[target].name) for source, target in sorted(left)]
    return Matrix(len(pairs), len(pairs) - len(left), whole, tuple(failures[:FAILURES_KEPT]), apart)


def choose_pairs(nodes: Sequence[str], *, arp_entries_max: int) -> tuple[list[tuple[int, int]], bool]:
    """Ordered pairs of indexes to ask for, given each pod's node; True when they are all there are."""
    count = len(nodes)
    if count * (count - 1) <= ALL_PAIRS_MAX and _arp_entries(nodes) <= arp_entries_max:
        return [(a, b) for a in range(count) for b in range(count) if a != b], True
    on_node: dict[str, list[int]] = defaultdict(list)
    for index, node in enumerate(nodes):
        on_node[node].append(index)
    chosen: set[tuple[int, int]] = set()
    for index in range(count):
        for neighbours in on_node.values():
            other = neighbours[index % len(neighbours)]
            if other == index:
                other = neighbours[(index + 1) % len(neighbours)]
            if other != index:
                chosen.add((other, index))
    return sorted(chosen), False


def _arp_entries(nodes: Sequence[str]) -> int:
    """ARP entries that asking for all pairs makes: pods of a node know each other, the node, and it them."""
    sizes = Counter(nodes).values()
    return sum(size * (size - 1) + 2 * size for size in sizes) + len(sizes) ** 2


def _arp_entries_max() -> int:
    """Room in the machine's ARP table; a kernel that does not say has enough."""
    try:
        return int(_THRESHOLD.read_text()) * 3 // 4
    except (OSError, ValueError):
        return 1 << 30


def _runs(pod: Object) -> bool:
    status = pod.get("status") or {}
    own_address = not pod["spec"].get("hostNetwork")
    return status.get("phase") == "Running" and bool(status.get("podIP")) and own_address


def _target(pod: Object, pids: dict[str, int]) -> _Target:
    name = str(key_of(pod))
    if uid_of(pod) not in pids:
        raise PodEnded(f"pod {name} is Running, but no runtime knows its sandbox; see fabric status")
    return _Target(name, pod["status"]["podIP"], pod["spec"]["nodeName"], pids[uid_of(pod)])
