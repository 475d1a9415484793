"""Cables under Calico: a spine that is cut off, a link that flaps, and a trunk that is too small."""

from __future__ import annotations

import json

import pytest
from support.clusters import fabric
from support.eventually import eventually
from support.pinging import pinging
from support.shipped import Shipped

FLAPS = 20
LOST_MAX = 400
"""Packets, at 200 a second: what two seconds of a broken path cost."""


@pytest.fixture(scope="module")
def racks(tmp_path_factory):
    """Two racks under two spines; nodes peer with their leaf, and pods are reached bare."""
    yield from up(Shipped(tmp_path_factory.mktemp("racks"), "as-per-rack"))


@pytest.fixture(scope="module")
def trap(tmp_path_factory):
    """Two switches with a trunk of 1450 bytes between nodes that believe in 1500."""
    yield from up(Shipped(tmp_path_factory.mktemp("trap"), "mtu-trap"))


def up(cluster):
    try:
        cluster.report = cluster.up()
        yield cluster
    finally:
        cluster.close()


def link(cluster, verb, *words):
    done = fabric("link", verb, *words, "--cluster", cluster.name)
    assert done.returncode == 0, done.stderr


def ways(cluster, leaf, pod):
    """The devices over which a leaf sends to a pod's block."""
    said = cluster.exec(f"node:{leaf}", "ip", "-j", "route", "show", "match", cluster.address(pod)).stdout
    (route,) = [it for it in json.loads(said or "[]") if it["dst"] != "default"]
    return {hop["dev"] for hop in route.get("nexthops", [route])}


async def test_the_leaves_spread_a_pods_packets_over_both_spines(racks):
    await eventually(lambda: ways(racks, "leaf-1", "pod-3") == {"spine-1", "spine-2"})


async def test_a_spine_that_is_cut_off_costs_a_moment_and_is_used_again_when_it_is_back(racks):
    with pinging(racks, "pod-1", "pod-3") as lost:
        for leaf in ("leaf-1", "leaf-2"):
            link(racks, "down", leaf, "spine-1")
        await eventually(lambda: ways(racks, "leaf-1", "pod-3") == {"spine-2"})
        await eventually(lambda: ways(racks, "leaf-2", "pod-1") == {"spine-2"})
        for leaf in ("leaf-1", "leaf-2"):
            link(racks, "up", leaf, "spine-1")
        both = {"spine-1", "spine-2"}
        await eventually(lambda: ways(racks, "leaf-1", "pod-3") == both)
        await eventually(lambda: ways(racks, "leaf-2", "pod-1") == both)
    assert lost[0] <= LOST_MAX


async def test_a_link_that_flapped_twenty_times_is_as_good_as_before(racks):
    for _ in range(FLAPS):
        link(racks, "down", "leaf-1", "spine-2")
        link(racks, "up", "leaf-1", "spine-2")
    await eventually(lambda: ways(racks, "leaf-1", "pod-3") == {"spine-1", "spine-2"})
    assert racks.up()["reachability"]["reached"] == 12


def passes(cluster, size):
    target = cluster.address("pod-3")
    ping = ("ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", str(size))
    return cluster.exec("pod-1", *ping, target).returncode == 0


async def test_a_trunk_that_is_too_small_drops_large_packets_without_a_word_until_it_is_mended(trap):
    assert trap.report["reachability"]["reached"] == 12, "small packets pass"
    assert passes(trap, 1422) and not passes(trap, 1472)
    link(trap, "set", "switch-1", "switch-2", "mtu=1500")
    await eventually(lambda: passes(trap, 1472))
