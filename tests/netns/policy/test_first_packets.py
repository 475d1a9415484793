"""A pod's policies are in place before its first packet, however many policies there are."""

from __future__ import annotations

import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.policy_cluster import PolicyCluster, awaited
from support.policy_objects import Object, path_of, serving
from support.policy_words import block, port, to
from support.policy_worlds import kubernetes_policy as policy

from fabric.kernel.namespaces import inside

DENIED, ALLOWED = 9001, 9002
PODS_EACH = 25
SECONDS_MAX = 60.0
"""A worker that was killed begins again, and so do its pods."""
MANY = 40
SO_RCVBUFFORCE, BUFFER_BYTES = 33, 1 << 23
"""So that no packet is lost that is not read at once."""
EAGER = {"matchLabels": {"eager": "yes"}}


@contextmanager
def receivers(net: PolicyCluster, pod: str) -> Iterator[dict[int, socket.socket]]:
    """Sockets of a pod at both ports."""
    with inside(net.pid(pod)):
        opened = {number: socket.socket(type=socket.SOCK_DGRAM) for number in (DENIED, ALLOWED)}
        for number, it in opened.items():
            it.bind(("0.0.0.0", number))
            it.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
            it.setblocking(False)
    try:
        yield opened
    finally:
        for it in opened.values():
            it.close()


def senders(opened: socket.socket) -> Counter[str]:
    """The addresses that packets came from since the last call, and how many from each."""
    found: Counter[str] = Counter()
    while True:
        try:
            found[opened.recvfrom(100)[1][0]] += 1
        except BlockingIOError:
            return found


def eager(name: str, node: str, address: str) -> Object:
    """A pod that sends from its first instruction, to the denied port before the allowed one."""
    to_both = "; ".join(f"echo x > /dev/udp/{address}/{number}" for number in (DENIED, ALLOWED))
    script = f"for n in {{1..50}}; do {to_both}; done; sleep 1000"
    container = {"name": "main", "image": "busybox", "command": ["bash", "-c", script]}
    return serving(name, node, labels={"eager": "yes"}, containers=[container])


@pytest.mark.parametrize(
    ("rounds", "workers"), [(2, ()), (1, ("worker-0", "worker-1"))], ids=["at rest", "workers are killed"]
)
def test_no_packet_of_a_new_pod_arrives_that_its_policies_deny(calico, rounds, workers):
    """Allowed packets that arrive tell that the pod has sent denied ones before."""
    address = calico.address("z/a")
    own = [to(block("{z/a}/32"), ports=[port(ALLOWED, "UDP")])]
    calico.put(policy("eager", "x", podSelector=EAGER, policyTypes=["Egress"], egress=own))
    for n in range(MANY):
        peers = [block(f"10.{n}.0.0/16"), {"podSelector": {"matchLabels": {f"key-{n}": "value"}}}]
        calico.put(policy(f"many-{n}", "x", podSelector=EAGER, policyTypes=["Egress"], egress=[to(*peers)]))
    calico.settle()
    arrived: Counter[int] = Counter()
    with receivers(calico, "z/a") as opened:
        for turn in range(rounds):
            processes = [calico.cluster.pid(it) for it in workers]
            made = [eager(f"x/eager-{turn}-{n}", f"node-{1 + n % 2}", address) for n in range(PODS_EACH)]
            for it in made:
                calico.api.ask("POST", path_of(it, name=False), it)
            for it in processes:
                os.kill(it, signal.SIGKILL)
            seen: Counter[str] = Counter()

            def all_sent(seen: Counter[str] = seen) -> bool:
                seen.update(senders(opened[ALLOWED]))
                return len(seen) == PODS_EACH

            awaited(all_sent, "not every pod sends", SECONDS_MAX)
            arrived[ALLOWED] += len(seen)
            for it in made:
                calico.api.ask("DELETE", path_of(it), {"gracePeriodSeconds": 0})
            awaited(lambda made=made: not left(calico, made), "pods do not go", SECONDS_MAX)
            senders(opened[ALLOWED])
        arrived[DENIED] = senders(opened[DENIED]).total()
    assert arrived == {ALLOWED: rounds * PODS_EACH, DENIED: 0}


def left(net: PolicyCluster, made: list[Object]) -> set[str]:
    """The pods of these that are there still."""
    there = {it["metadata"]["name"] for it in net.api.ask("GET", path_of(made[0], name=False))["items"]}
    return there & {it["metadata"]["name"] for it in made}
