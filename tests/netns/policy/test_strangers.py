"""What a stranger takes away of the rules and sets comes back, and a lock that he holds delays, and no more.

Of rules in nf_tables the kernel tells; of sets it does not, and of rules of the older flavour neither: these
are found when they are read again.
"""

from __future__ import annotations

import fcntl
import subprocess
import time

import pytest
from support.namespaces import run_inside
from support.policy_cluster import PolicyCluster, awaited
from support.policy_guard import Guard, guarding
from support.policy_words import from_, pods, spaces
from support.policy_worlds import kubernetes_policy as policy

from calico.resources.endpoints import interface_name
from fabric.verify.probes import Outcome

OPENED = tuple((f"y/{a}", "x/a") for a in "abc")
CLOSED = tuple((f"z/{a}", "x/a") for a in "abc")
REFRESH = {"iptablesRefreshInterval": "1s", "ipsetsRefreshInterval": "1s"}
REPAIR_SECONDS_MAX = 30.0
"""From the stranger's command to the last packet that should not arrive; without `REFRESH`, and where the
kernel tells of nothing, it would be 90."""
HELD_PROBES = 500
GUARDED = policy("guard", "x", ingress=[from_(spaces("y"))])
DEVICE = interface_name("x", "a")

LEGACY = {"plugin": "calico", "backend": "vxlan"}
FELIX = {
    "apiVersion": "projectcalico.org/v3",
    "kind": "FelixConfiguration",
    "metadata": {"name": "node.node-1"},
    "spec": REFRESH,
}
"""For the node that x/a is on."""

STRANGERS = {
    "the chain of a pod is flushed": f"iptables -w -F cali-tw-{DEVICE}",
    "the jump of FORWARD is deleted": "iptables -w -F FORWARD",
    "the whole table is flushed": "iptables -w -F",
    "the whole table is made anew": r"printf '*filter\nCOMMIT\n' | iptables-restore -w",
}
"""Each one transaction: what is flushed is back before another command could follow."""


@pytest.fixture
def guarded(calico: PolicyCluster):
    calico.put(GUARDED)
    calico.settle()
    return calico


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    """A cluster with the older flavour of iptables, of whose rules the kernel tells nothing."""
    with PolicyCluster.running(tmp_path_factory.mktemp("cluster"), LEGACY, "legacy") as up:
        yield up


@pytest.fixture
def legacy(older: PolicyCluster):
    older.put(GUARDED)
    older.settle()
    yield older
    older.reset()


@pytest.mark.parametrize("command", STRANGERS.values(), ids=STRANGERS)
def test_rules_that_a_stranger_takes_away_are_back_when_the_kernel_tells_of_it(guarded, command):
    assert open_for(guarded, command) < REPAIR_SECONDS_MAX


@pytest.mark.parametrize("command", STRANGERS.values(), ids=STRANGERS)
def test_rules_of_which_the_kernel_does_not_tell_are_back_after_the_refresh_interval(legacy, command):
    legacy.put(FELIX)
    legacy.settle()
    assert open_for(legacy, command) < REPAIR_SECONDS_MAX


def test_a_set_that_a_stranger_empties_is_full_again_after_the_refresh_interval(guarded):
    guarded.put(FELIX)
    guarded.settle()
    node = guarded.pid("node/node-1")
    own = [it for it in run_inside(node, "ipset", "list", "-name").split() if it.startswith("cali40s:")]
    assert own
    with pytest.raises(subprocess.CalledProcessError, match="destroy"):
        run_inside(node, "ipset", "destroy", own[0])
    with guarding(guarded, OPENED, CLOSED) as guard:
        for name in own:
            run_inside(node, "ipset", "flush", name)
        done = time.monotonic()
        rested(guard)
        awaited(
            lambda: all(guard.probe.tallies[it].last is Outcome.delivered for it in guard.opened), "closed"
        )
        tallies = guard.probe.tallies.items()
        back = max(it.changes[-1].sent_at for job, it in tallies if job in guard.opened)
    assert 0 < back - done < REPAIR_SECONDS_MAX, "one packet at least has found the set empty"
    assert guard.delivered() == 0
    guarded.settle()


def test_a_lock_that_somebody_holds_delays_rules_and_opens_nothing(legacy):
    """iptables of the older flavour waits for it; nf_tables has transactions instead."""
    node = legacy.pid("node/node-1")
    with (
        guarding(legacy, OPENED[1:2], CLOSED) as guard,
        open(f"/proc/{node}/root/run/xtables.lock", "w") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        legacy.put(policy("guard", "x", ingress=[from_(spaces("y") | pods("b"))]))
        awaited(lambda: guard.asked > HELD_PROBES, "the guard does not ask")
        assert legacy.arrives("y/a", "x/a"), "the rule waits for the lock"
        fcntl.flock(lock, fcntl.LOCK_UN)
        legacy.settle()
    assert guard.faults == []
    assert legacy.sources("x/a") == "y/b"


def open_for(net: PolicyCluster, command: str) -> float:
    """The seconds from a command of a stranger on node-1 to the last denied packet that arrived there."""
    node = net.pid("node/node-1")
    with guarding(net, OPENED, CLOSED) as guard:
        run_inside(node, "sh", "-c", command.replace("iptables", f"iptables-{net.flavour}"))
        done = time.monotonic()
        rested(guard)
        last = last_leak(guard)
    print(f"flushed at {done:.3f}, open for {last - done:.3f} s")
    assert not [it for it in guard.faults if it.startswith("was closed")]
    net.settle()
    return last - done


def rested(guard: Guard) -> None:
    """Return when two thousand probes in a row have found nothing that should not arrive."""
    leaks, before = guard.delivered(), guard.asked

    def nothing_more() -> bool:
        nonlocal leaks, before
        if guard.delivered() != leaks:
            leaks, before = guard.delivered(), guard.asked
        return guard.asked > before + 2000

    awaited(nothing_more, "packets that should not arrive go on arriving", 2 * REPAIR_SECONDS_MAX)


def last_leak(guard: Guard) -> float:
    """When the last probe was sent that arrived though it is denied; 0 without one."""
    return max((guard.probe.tallies[it].delivered_last or 0.0 for it in guard.closed), default=0.0)
