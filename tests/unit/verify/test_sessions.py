"""All BGP sessions of a cluster, asked of daemons that answer, are silent, or are not there."""

from __future__ import annotations

import asyncio
import os
from ipaddress import ip_address

import pytest
from support.command_line import RACKS
from support.recorded_bird import answering, configured

from fabric.bird.reasons import Md5Drops
from fabric.cluster import runtimes
from fabric.errors import FabricError
from fabric.verify import bgp, birds


@pytest.fixture
def alive(monkeypatch):
    """node-1 has a process in its namespaces: this one."""

    async def pids(paths, workers):
        return {"node-1": os.getpid()}

    monkeypatch.setattr(runtimes, "host_pids", pids)


async def test_each_session_is_told_with_peer_type_state_and_routes(cluster, alive):
    paths, spec = cluster()
    async with answering(paths, "node-1"):
        first, second, third = await bgp.sessions(paths, spec)
    assert (first.node, first.session, first.peer) == ("node-1", "Mesh_192_168_0_2", "control-plane")
    assert (first.state, first.is_established, first.as_number) == ("Established", True, 64513)
    assert (first.type, second.type) == ("external", "internal, client")
    assert (first.received, second.received, first.sent) == (1, 1, 6)
    assert 0 < first.seconds < 1 and first.reason == ""
    assert (third.address, third.state, third.peer) == ("192.168.0.9", "Connect", "")
    assert not third.is_established and third.as_json()["received"] == 0


async def test_a_daemon_that_does_not_answer_is_a_line_in_its_place(cluster, alive):
    paths, spec = cluster("nodes: 3, network: {plugin: flannel}")
    configured(paths, "node-1")
    configured(paths, "node-3")
    async with answering(paths, "node-2"):
        found = await bgp.sessions(paths, spec)
    assert [it.node for it in found] == ["node-1", "node-2", "node-2", "node-2", "node-3"]
    for line in (found[0], found[-1]):
        assert (line.state, line.session) == (bgp.NO_ANSWER, "")
        assert "is not running: No such file or directory" in line.reason


async def test_kernels_are_asked_for_dropped_signatures_only_while_a_session_is_down(cluster, monkeypatch):
    asked = []

    async def drops(paths, spec, hosts):
        asked.append(hosts)
        return {"node-1": Md5Drops()}

    monkeypatch.setattr(bgp, "_drops", drops)
    paths, spec = cluster()
    async with answering(paths, "node-1"):
        await bgp.sessions(paths, spec)
    assert asked == [["node-1"]]
    monkeypatch.setattr(bgp, "_is_down", lambda protocol: False)
    (paths.node("node-1") / "run/calico/bird.ctl").unlink()
    await bgp.sessions(paths, spec)
    assert len(asked) == 1


async def test_a_cluster_without_daemons_has_no_sessions(cluster):
    paths, spec = cluster()
    assert await bgp.sessions(paths, spec) == [] and birds.birds(paths, spec) == ()


def test_a_daemon_is_found_wherever_its_host_keeps_its_files(cluster):
    paths, spec = cluster(RACKS)
    for host, folder in (("node-2", "calico"), ("leaf-1", "bird"), ("node-1", "mine")):
        configured(paths, host, folder=folder)
    (paths.node("node-9") / "run/calico").mkdir(parents=True)
    (paths.node("node-9") / "run/calico/bird.ctl").touch()
    found = birds.birds(paths, spec)
    assert [bird.host for bird in found] == ["leaf-1", "node-1", "node-2"], "a stranger's files are nobody's"
    assert found[1].control_socket == paths.node("node-1") / "run/mine/bird.ctl"


def test_every_address_of_the_underlay_has_its_host(cluster):
    _, spec = cluster(RACKS)
    names = birds.hosts_by_address(spec)
    assert {"node-1", "node-2", "control-plane", "leaf-1", "leaf-2", "spine-1", "spine-2"} == set(
        names.values()
    )
    node = next(node for node in spec.nodes if node.name == "node-1")
    assert birds.host_of(str(node.interface.ip), names) == "node-1"
    assert birds.host_of(f"{node.interface.ip}%eth0", names) == "node-1"
    assert names[ip_address(str(node.interface.ip))] == "node-1"


@pytest.mark.parametrize("address", ["", "192.0.2.1", "fe80::1%eth0", "nonsense"])
def test_an_address_of_nobody_has_no_host(cluster, address):
    _, spec = cluster()
    assert birds.host_of(address, birds.hosts_by_address(spec)) == ""


async def test_daemons_are_asked_a_few_at_a_time_and_answers_keep_their_order():
    running, most = 0, 0

    async def question(number):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01 * (number % 3))
        running -= 1
        return number

    assert await birds.ask_each(range(100), question) == list(range(100))
    assert most == birds.AT_ONCE


async def test_a_question_that_fails_fails_all():
    async def question(number):
        if number == 2:
            raise FabricError("no")

    with pytest.raises(FabricError, match="no"):
        await birds.ask_each(range(3), question)
