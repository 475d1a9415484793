"""Reachability on real wires: the pair that is broken is found, whole or sampled, and no other."""

from __future__ import annotations

import resource

import pytest
from support.namespaces import held_by_threads, run_inside

from fabric.verify import reachability
from fabric.verify.echo import OUTSTANDING_MAX, Pinger
from fabric.verify.reachability import Matrix, _Target

PODS = 4
SILENT = 99
"""The address of nobody: 10.244.1.99."""


def mac(number: int) -> str:
    return f"02:00:00:00:00:{number:02x}"


@pytest.fixture
def pods(monkeypatch):
    """Four pods on one bridge, two of them on each node; the check does not wait long."""
    monkeypatch.setattr(reachability, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(reachability, "TRIES", 5)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    names = [f"pod-{number}" for number in range(1, PODS + 1)]
    with held_by_threads("switch", *names) as pids:
        switch = pids["switch"]
        run_inside(switch, "ip", "link", "add", "cni0", "type", "bridge")
        run_inside(switch, "ip", "link", "set", "cni0", "up")
        for number, name in enumerate(names, 1):
            far = ("type", "veth", "peer", "eth0", "address", mac(number))
            far += ("netns", f"/proc/{pids[name]}/ns/net")
            run_inside(switch, "ip", "link", "add", name, "master", "cni0", "up", *far)
            run_inside(pids[name], "ip", "address", "add", f"10.244.1.{number}/24", "dev", "eth0")
            run_inside(pids[name], "ip", "link", "set", "eth0", "up")
            for other in {*range(1, PODS + 1), SILENT} - {number}:
                # A permanent entry has room also where another suite has filled the machine's ARP table.
                known = (f"10.244.1.{other}", "lladdr", mac(other), "dev", "eth0")
                run_inside(pids[name], "ip", "neighbor", "add", *known, "nud", "permanent")
        yield [
            _Target(f"default/{name}", f"10.244.1.{number}", f"node-{number % 2 + 1}", pids[name])
            for number, name in enumerate(names, 1)
        ]
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def checked(pods: list[_Target]) -> Matrix:
    return reachability._check(pods, lambda done, total: None)


def test_all_pairs_of_a_whole_network_answer(pods):
    seen = []
    found = reachability._check(pods, lambda *progress: seen.append(progress))
    assert found == Matrix(12, 12, True)
    assert seen[-1] == (12, 12) and seen == sorted(seen)


def test_a_filter_that_drops_one_way_is_one_pair(pods):
    """pod-3 hears nothing from pod-1; pod-1 hears all."""
    dropped = ("-s", "10.244.1.1", "-p", "icmp", "--icmp-type", "echo-request", "-j", "DROP")
    run_inside(pods[2].pid, "iptables", "-w", "-A", "INPUT", *dropped)
    found = checked(pods)
    assert found.failures == (("default/pod-1", "default/pod-3"),)
    assert (found.total, found.reached) == (12, 11)


def test_a_missing_route_is_every_pair_of_that_pod_towards_it(pods):
    run_inside(pods[1].pid, "ip", "route", "add", "unreachable", "10.244.1.4")
    assert set(checked(pods).failures) == {
        ("default/pod-2", "default/pod-4"),
        ("default/pod-4", "default/pod-2"),
    }


def test_a_pulled_wire_is_found_by_the_sampled_check_too(pods, monkeypatch):
    monkeypatch.setattr(reachability, "ALL_PAIRS_MAX", 2)
    assert checked(pods).complete and not checked(pods).all_pairs
    run_inside(pods[3].pid, "ip", "link", "set", "eth0", "down")
    found = checked(pods)
    assert found.failures and all("default/pod-4" in pair for pair in found.failures)
    asked_of_it = {pair[0] for pair in found.failures if pair[1] == "default/pod-4"}
    assert len(asked_of_it) == 2, "from each node"


@pytest.mark.parametrize("dead", [1, OUTSTANDING_MAX, 3 * OUTSTANDING_MAX])
def test_however_many_do_not_answer_all_others_are_asked_in_the_same_try(pods, dead):
    """A node whose pods are all deaf must not make the rest of the cluster look so."""
    addresses = [it.address for it in pods] + [f"10.244.1.{SILENT}"] * dead
    silent = {(0, PODS + number) for number in range(dead)}
    alive = {(3, 0), (3, 1), (3, 2)}
    pinger = Pinger({index: it.pid for index, it in enumerate(pods)}, 4)
    try:
        assert pinger.ping(sorted(silent | alive), addresses, wait_seconds=1.0) == silent
    finally:
        pinger.close()
