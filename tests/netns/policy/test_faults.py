"""Policies hold while parts of the cluster die, while rules are taken away, and while they are changed.

What was closed before and is closed afterwards is never open, and what was open is never closed: a guard asks
both all the time, and its probes are counted.
"""

from __future__ import annotations

import http.client
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, islice

import pytest
from support.policy_cluster import PolicyCluster, awaited
from support.policy_guard import Guard, guarding
from support.policy_objects import Object
from support.policy_words import block, from_, pods, port, spaces
from support.policy_worlds import kubernetes_policy as policy

OPENED = tuple((f"y/{a}", f"x/{b}") for a in "abc" for b in "abc")
CLOSED = tuple((source, f"x/{b}") for source in ("z/a", "z/c", "x/b") for b in "abc" if source != f"x/{b}")
KILLS = int(os.environ.get("FABRIC_TEST_KILLS", "2"))
CALICO = {"apiVersion": "projectcalico.org/v3"}
POLICIES = int(os.environ.get("FABRIC_TEST_POLICIES", "100"))
PODS = int(os.environ.get("FABRIC_TEST_PODS", "20"))
AT_ONCE = 10
UDP = port(80, "UDP")
SEED = 8
AGAIN_SECONDS_MAX = 60.0


def forms() -> Iterator[tuple[Object, ...]]:
    """The same policy of namespace x in one form after another: from y, and from z/b if it is a friend."""
    friends = from_({"podSelector": {"matchLabels": {"role": "friend"}}, "namespaceSelector": {}})
    y = spaces("y")
    addresses = from_(*(block(f"{{y/{it}}}/32") for it in "abc"), ports=[UDP])
    several = (from_(pods(it) | y, ports=[port("serve-80-udp", "UDP")]) for it in "abc")
    for ingress in ([from_(y, ports=[UDP])], [friends, from_(y)], [addresses], [*several, friends]):
        yield (policy("guard", "x", ingress=ingress),)


def changes(net: PolicyCluster) -> Iterator[Callable[[], None]]:
    """Changes without end that leave the verdicts on the guard's ways as they are."""
    wanted = list(forms())
    for turn in count():
        yield lambda turn=turn: net.put(*wanted[turn % len(wanted)])
        yield lambda turn=turn: net.label("z/b", {"role": "friend" if turn % 2 else "stranger"})
        yield lambda turn=turn: net.label("x", {"turn": str(turn)})


def persistently(change: Callable[[], None], net: PolicyCluster) -> None:
    """Make a change, again while the API server is away."""
    deadline = time.monotonic() + AGAIN_SECONDS_MAX
    while True:
        try:
            return change()
        except (OSError, http.client.HTTPException, AssertionError):
            net.api.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


@pytest.fixture
def guarded(calico: PolicyCluster):
    """The cluster with the guard's policy in force."""
    calico.put(*next(forms()))
    calico.settle()
    return calico


@contextmanager
def guard_of(net: PolicyCluster) -> Iterator[Guard]:
    """A guard that found nothing, by at least a thousand probes, when the body is through."""
    with guarding(net, OPENED, CLOSED) as guard:
        yield guard
        before = guard.asked
        awaited(lambda: guard.asked > before + 1000, "the guard does not ask")
    assert guard.faults == []


def is_back(net: PolicyCluster, component: str, before: int) -> bool:
    return net.cluster.pid(component) not in (0, before)


@pytest.mark.parametrize("component", ["worker-0", "worker-1", "api", "control"])
def test_policies_hold_while_a_component_is_killed_in_the_middle_of_their_changes(guarded, component):
    moments = random.Random(SEED)
    with guard_of(guarded):
        change = changes(guarded)
        for _ in range(KILLS):
            pid = guarded.cluster.pid(component)
            killer = threading.Timer(moments.uniform(0, 0.3), os.kill, (pid, signal.SIGKILL))
            killer.start()
            for it in islice(change, 30):
                persistently(it, guarded)
            killer.join()
            awaited(
                lambda pid=pid: is_back(guarded, component, pid),
                f"{component} is not back",
                AGAIN_SECONDS_MAX,
            )
        persistently(guarded.settle, guarded)


def test_changes_of_policies_labels_and_namespaces_are_never_seen_half_done(guarded):
    with guard_of(guarded):
        for it in islice(changes(guarded), 150):
            it()
        guarded.settle()


def test_tiers_that_change_places_never_leave_a_gap(guarded):
    def tier(name: str, order: int) -> Object:
        return {"kind": "Tier", "metadata": {"name": name}, "spec": {"order": order}} | CALICO

    def judged(name: str, *rules: Object) -> Object:
        spec = {"tier": name, "namespaceSelector": "ns == 'x'", "ingress": [*rules], "types": ["Ingress"]}
        return {"kind": "GlobalNetworkPolicy", "metadata": {"name": f"{name}.all"}, "spec": spec} | CALICO

    source = {"namespaceSelector": "ns == 'y'"}
    made = [judged("one", {"action": "Allow", "source": source}, {"action": "Pass"})]
    made += [
        judged("two", {"action": "Deny", "source": {"namespaceSelector": "ns != 'y'"}}, {"action": "Pass"})
    ]
    guarded.put(tier("one", 10), tier("two", 20), *made)
    guarded.settle()
    with guard_of(guarded):
        for turn in range(40):
            guarded.put(tier("one", 10 + 20 * (turn % 2)))
        guarded.settle()
    guarded.delete(*made)
    guarded.delete(tier("one", 0), tier("two", 0))


def test_policies_that_come_and_go_in_a_row_change_nothing_that_they_do_not_say(guarded):
    """In a longer form with FABRIC_TEST_POLICIES=1000 and FABRIC_TEST_PODS=50."""
    more = [f"{space}/more-{n}" for n in range((PODS - 9) // 2) for space in "yz"]
    for n, name in enumerate(more):
        guarded.add_pod(name, node=f"node-{1 + n % 2}")
    opened = [(it, f"x/{to}") for it in more if it.startswith("y") for to in "abc"]
    closed = [(it, f"x/{to}") for it in more if it.startswith("z") for to in "abc"]
    made = [
        policy(
            f"one-{n}", "x", podSelector={"matchLabels": {"pod": "abc"[n % 3]}}, ingress=[from_(spaces("y"))]
        )
        for n in range(POLICIES)
    ]
    with guarding(guarded, (*OPENED, *opened), (*CLOSED, *closed)) as guard:
        for n, one in enumerate(made):
            guarded.put(one)
            if n >= AT_ONCE:
                guarded.delete(made[n - AT_ONCE])
        guarded.delete(*made[-AT_ONCE:])
        guarded.settle()
        before = guard.asked
        awaited(lambda: guard.asked > before + 2000, "the guard does not ask")
    assert guard.faults == []
    print(f"{guard.asked} probes, {len(made)} policies, {9 + len(more)} pods")
