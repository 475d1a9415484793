"""The list of what is wrong with a cluster: cables, sessions, deaf daemons, rules of strangers."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest
from support.command_line import RACKS
from support.recorded_bird import configured

from fabric.cluster import runtimes
from fabric.cluster.underlay.spec import LinkChange
from fabric.errors import FabricError, KernelRefused
from fabric.netstate.objects import LinkMtu
from fabric.netstate.plan import Plan, Step
from fabric.verify import health
from fabric.verify.bgp import Session

STRANGE = "-A FORWARD -j DROP"


@pytest.fixture
def world(monkeypatch):
    """Nodes that live, with rules; daemons whose sessions and sockets are as they are told to be."""

    world = SimpleNamespace(
        pids={"node-1": 1, "node-2": 2}, rules={1: "", 2: ""}, sessions=[], deaf=[], drift={}
    )

    async def pids(paths, workers):
        if isinstance(world.pids, Exception):
            raise world.pids
        return world.pids

    async def sessions(paths, spec):
        return world.sessions

    async def processes(paths, spec, hosts):
        return dict.fromkeys(sorted(hosts), 1)

    def rules_in(pid):
        if isinstance(world.rules[pid], Exception):
            raise world.rules[pid]
        return world.rules[pid], ""

    monkeypatch.setattr(runtimes, "host_pids", pids)

    async def drift(underlay, pids, names):
        if isinstance(world.drift, Exception):
            raise world.drift
        return world.drift

    monkeypatch.setattr(health, "drift", drift)
    monkeypatch.setattr(health, "sessions", sessions)
    monkeypatch.setattr(health, "_processes", processes)
    monkeypatch.setattr(health, "deaf", lambda daemons: [it for it in world.deaf if it in daemons])
    monkeypatch.setattr(health, "_rules_in", rules_in)
    return world


def pull(spec, name):
    link = next(it for it in spec.underlay.links if it.name == name)
    change = {name: LinkChange(False, link.shape)}
    return msgspec.structs.replace(spec, underlay=msgspec.structs.replace(spec.underlay, changes=change))


async def test_a_cluster_that_is_well_has_no_troubles(cluster, world):
    paths, spec = cluster()
    assert await health.troubles(paths, spec) == []


async def test_troubles_are_told_in_order_cables_first(cluster, world):
    paths, spec = cluster(RACKS)
    configured(paths, "node-1")
    world.drift = {"node-1": Plan((Step("replace", LinkMtu("eth0", 1500)), Step("add", LinkMtu("lo", 1500))))}
    world.sessions = [
        Session("node-1", "Mesh_1", "node-2", state="Active"),
        Session("leaf-1", "spine1", "spine-1", state="Established"),
    ]
    world.deaf = ["leaf-1", "spine-1"]
    world.rules[2] = f"*filter\n{STRANGE}\nCOMMIT\n"
    assert await health.troubles(paths, pull(spec, "leaf-1--spine-1")) == [
        "link leaf-1--spine-1 is down; put it back: fabric link up leaf-1 spine-1",
        "node-1: the underlay is not as the topology says, which needs: replace link eth0 mtu 1500",
        "BGP session of node-1 to node-2 is Active",
        "leaf-1",
        f"node-2: a rule that the network did not make: {STRANGE}",
    ]


async def test_where_no_runtime_answers_the_cables_are_told_all_the_same(cluster, world):
    paths, spec = cluster(RACKS)
    world.pids = FabricError("worker 1 does not answer")
    assert await health.troubles(paths, pull(spec, "leaf-1--spine-1")) == [
        "link leaf-1--spine-1 is down; put it back: fabric link up leaf-1 spine-1",
        "worker 1 does not answer",
    ]


@pytest.mark.parametrize("error", [FabricError("no iptables"), OSError("gone")])
async def test_a_node_whose_rules_cannot_be_read_hides_no_others(cluster, world, error):
    paths, spec = cluster()
    world.rules = {1: error, 2: STRANGE}
    assert await health.troubles(paths, spec) == [f"node-2: a rule that the network did not make: {STRANGE}"]


async def test_a_namespace_that_cannot_be_read_is_told_beside_the_others(cluster, world):
    paths, spec = cluster()
    world.drift = KernelRefused("node-1: read: there is no such namespace (ESRCH)")
    world.rules = {1: "", 2: STRANGE}
    assert await health.troubles(paths, spec) == [
        "the underlay: node-1: read: there is no such namespace (ESRCH)",
        f"node-2: a rule that the network did not make: {STRANGE}",
    ]


async def test_a_node_that_is_off_is_not_asked_for_rules(cluster, world):
    paths, spec = cluster()
    world.pids = {"node-2": 2}
    world.rules = {2: ""}
    assert await health.troubles(paths, spec) == []
