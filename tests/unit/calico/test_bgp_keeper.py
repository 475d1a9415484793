"""The keeper of a node's BIRD: what it does when the datastore, the daemon or the keeper itself changes."""

import asyncio
import os
import re
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from support.calico_bgp import classic, mesh
from support.fake_bird import FakeBird
from support.fake_daemons import FakeDaemons
from support.owned_task import running

from calico import node_files
from calico.bgp.config import bird_config
from fabric.bird.config import Config
from fabric.bird.daemon import NUDGES_SECONDS
from fabric.bird.language import Text
from fabric.plugin.bird_keeper import BirdKeeper
from fabric.plugin.contract import Program

START = 1.0
"""Seconds in which a daemon has surely been started."""
SETTLED = 3.0
"""… and its sessions are up."""
RESYNC = 76.0
"""The longest that a jitter makes of a look's 60 s."""


class Node:
    """A node's daemons and files, and the keeper of now."""

    def __init__(self, root: Path) -> None:
        self.daemons = FakeDaemons()
        self.root = root
        self._files = node_files.bird(root)
        self.file = self._files.config
        self.bird = FakeBird(self.daemons, self._files)
        self.keeper = self.new_keeper()

    def new_keeper(self) -> BirdKeeper:
        """As after the worker was killed: the daemon and its files are what they were."""
        self.keeper = BirdKeeper(self._files, self.daemons, "node-1", client=self.bird)
        return self.keeper

    def configures(self) -> int:
        return self.bird.calls.count("configure")


@pytest.fixture
def node(tmp_path) -> Node:
    return Node(tmp_path)


def conf(number: int) -> Config:
    return Config(IPv4Address(f"192.168.0.{number}"))


async def test_bird_is_started_with_its_configuration_and_is_up(node: Node):
    async with running(node.keeper.run()):
        assert not node.keeper.is_up
        node.keeper.want(conf(1))
        await asyncio.sleep(START)
        assert node.keeper.is_up and node.keeper.last_error == ""
    files = (
        "-c",
        "/etc/calico/confd/config/bird.cfg",
        "-s",
        "/run/calico/bird.ctl",
        "-P",
        "/run/calico/bird.pid",
    )
    argv = ("bird", "-f", *files)
    assert node.daemons.programs == {"bird": Program("bird", argv, (*argv, "-R"))}
    assert node.bird.has == str(conf(1)) == node.file.read_text()
    assert node.configures() == 0, "it read the file when it started"
    assert node.file == node.root / "etc/calico/confd/config/bird.cfg"
    assert (node.root / "run/calico/bird.conf").samefile(node.file), "where BIRDs are looked for"


async def test_nothing_happens_before_anything_is_wanted(node: Node):
    async with running(node.keeper.run()):
        await asyncio.sleep(60)
    assert not node.daemons.programs


async def test_a_change_is_checked_and_then_taken(node: Node):
    async with running(node.keeper.run()):
        node.keeper.want(conf(1))
        await asyncio.sleep(START)
        node.keeper.want(conf(2))
        await asyncio.sleep(START)
        assert node.keeper.is_up
    assert node.bird.calls[-2:] == ["check", "configure"]
    assert node.bird.has == str(conf(2))


async def test_the_first_of_a_burst_is_taken_at_once_and_the_others_together(node: Node):
    async with running(node.keeper.run()):
        node.keeper.want(conf(1))
        await asyncio.sleep(START)
        for number in range(2, 100):
            node.keeper.want(conf(number))
            await asyncio.sleep(0.01)
        await asyncio.sleep(START)
    assert node.bird.has == str(conf(99))
    assert 3 <= node.configures() <= 5


async def test_when_nothing_changes_bird_is_looked_at_and_left_alone(node: Node):
    async with running(node.keeper.run()):
        node.keeper.want(conf(1))
        await asyncio.sleep(SETTLED)
        node.bird.calls.clear()
        await asyncio.sleep(RESYNC * 3)
        node.keeper.want(conf(1))
        await asyncio.sleep(START)
    assert node.bird.calls == ["status", "protocols"] * 3


async def test_bird_is_asked_when_its_sessions_come_up_so_that_it_goes_on(node: Node):
    async with running(node.keeper.run()):
        node.keeper.want(conf(1))
        await asyncio.sleep(START)
        assert node.bird.calls == ["status"]
        await asyncio.sleep(SETTLED - START)
        assert node.bird.calls == ["status"] * len(NUDGES_SECONDS) + ["protocols"]


async def test_a_new_keeper_leaves_a_daemon_alone_that_has_what_is_wanted(node: Node):
    async with running(node.keeper.run()):
        node.keeper.want(conf(1))
        await asyncio.sleep(START)
    async with running(node.new_keeper().run()):
        node.bird.calls.clear()
        node.keeper.want(conf(1))
        await asyncio.sleep(START)
        assert node.keeper.is_up
        assert node.bird.calls == ["status"]
        node.keeper.want(conf(2))
        await asyncio.sleep(START)
    assert node.bird.has == str(conf(2))


async def test_a_keeper_that_died_between_writing_the_file_and_telling_bird_is_made_up_for(node: Node):
    async with running(node.keeper.run()):
        node.keeper.want(conf(1))
        await asyncio.sleep(START)
    node.file.write_text(str(conf(2)))
    os.utime(node.file, (node.file.stat().st_mtime + 60,) * 2)
    async with running(node.new_keeper().run()):
        node.keeper.want(conf(2))
        await asyncio.sleep(START)
    assert node.bird.has == str(conf(2))


async def test_a_file_that_somebody_spoilt_is_written_over(node: Node):
    async with running(node.keeper.run()):
        node.keeper.want(conf(1))
        await asyncio.sleep(START)
        node.file.write_bytes(b"\xff\xfe")
        await asyncio.sleep(RESYNC)
        assert node.file.read_text() == str(conf(1)) and node.keeper.is_up


async def test_where_no_file_can_be_written_that_is_told_and_tried_again(node: Node):
    (node.file.parent / "bird.cfg.new").mkdir(parents=True)
    async with running(node.keeper.run()):
        node.keeper.want(conf(1))
        await asyncio.sleep(START)
        assert not node.keeper.is_up and "bird.cfg.new" in node.keeper.last_error
        (node.file.parent / "bird.cfg.new").rmdir()
        await asyncio.sleep(6)
        assert node.keeper.is_up and node.keeper.last_error == ""


async def test_what_bird_refuses_is_said_and_bird_goes_on_as_it_was(node: Node):
    node.bird.refuses = re.compile(r"192\.168\.0\.2;")
    async with running(node.keeper.run()):
        node.keeper.want(conf(1))
        await asyncio.sleep(START)
        node.keeper.want(conf(2))
        await asyncio.sleep(30)
        assert not node.keeper.is_up
        assert "syntax error" in node.keeper.last_error
        assert node.bird.has == str(conf(1)) == node.file.read_text()
        assert node.bird.calls.count("check") < 15, "with a delay that grows"
        node.keeper.want(conf(3))
        await asyncio.sleep(6)
        assert node.keeper.is_up and node.keeper.last_error == ""


async def test_a_bird_that_does_not_answer_is_waited_for(node: Node):
    node.bird.is_stuck = True
    async with running(node.keeper.run()):
        node.keeper.want(conf(1))
        await asyncio.sleep(60)
        assert node.keeper.last_error == "BIRD at node-1 is not running"
        node.bird.is_stuck = False
        await asyncio.sleep(6)
        assert node.keeper.is_up


async def test_a_bird_that_ended_behind_the_keeper_s_back_runs_again(node: Node):
    async with running(node.keeper.run()):
        node.keeper.want(conf(1))
        await asyncio.sleep(START)
        await node.daemons.end("bird")
        await asyncio.sleep(RESYNC)
        assert node.keeper.is_up and "bird" in node.daemons.programs


async def test_a_bird_that_could_not_listen_tells_it_and_listens_as_soon_as_it_can(node: Node):
    """BIRD itself disables such sessions, and never tries again."""
    node.bird.port_is_taken = True
    async with running(node.keeper.run()):
        node.keeper.want(conf(1))
        await asyncio.sleep(SETTLED)
        assert node.keeper.is_up, "pods need no session to be attached"
        assert "another program on this host has the BGP port" in node.keeper.last_error
        node.bird.port_is_taken = False
        await asyncio.sleep(RESYNC)
        assert node.bird.deaf == set() and node.keeper.last_error == ""
        node.bird.calls.clear()
        await asyncio.sleep(RESYNC)
        assert node.bird.calls == ["status", "protocols"], "and then it has no more to do"


async def test_a_session_that_a_user_disabled_stays_so(node: Node):
    async with running(node.keeper.run()):
        node.keeper.want(conf(1))
        await asyncio.sleep(SETTLED)
        await node.bird.disable("Mesh_1")
        await asyncio.sleep(RESYNC)
    assert "enable Mesh_1" not in node.bird.calls


async def test_a_node_without_bgp_has_no_bird(node: Node):
    async with running(node.keeper.run()):
        node.keeper.want(conf(1))
        await asyncio.sleep(START)
        node.keeper.want(None)
        await asyncio.sleep(START)
        assert not node.keeper.is_up
    assert not node.daemons.programs and not node.file.exists()


async def test_a_new_device_has_the_kernel_s_routes_offered_again(node: Node):
    """At once, when BIRD has read of the device, and when it has looked; and then no more."""
    async with running(node.keeper.run()):
        node.keeper.want(bird_config(classic(), "node-1", {}))
        await asyncio.sleep(START)
        node.keeper.device_came("tunl0")
        await asyncio.sleep(60)
        assert node.bird.calls.count("reload out kernel1") == 3
        assert node.configures() == 0


async def test_a_device_that_comes_before_bird_is_offered_the_routes_too(node: Node):
    async with running(node.keeper.run()):
        node.keeper.device_came("tunl0")
        await asyncio.sleep(10)
        assert not node.bird.calls
        node.keeper.want(bird_config(classic(), "node-1", {}))
        await asyncio.sleep(10)
        assert node.bird.calls.count("reload out kernel1") == 1


def test_a_configuration_tells_its_sessions_and_devices_whatever_its_comments_say():
    """A session that is left out is a comment, and its words are no session."""
    wanted = bird_config(classic(), "node-1", {})
    assert wanted is not None and wanted.sends_through("tunl0") and not wanted.sends_through("tun")
    assert wanted.sessions == str(wanted).count("\nprotocol bgp ") > 0
    told = replace(wanted, blocks=(*wanted.blocks, Text('protocol bgp is a word\nifname = "vxlan.calico";')))
    assert told.sessions == wanted.sessions and not told.sends_through("vxlan.calico")
    assert bird_config(mesh(200), "node-1", {}).sessions == 199


async def test_where_no_route_goes_through_a_tunnel_none_is_offered_again(node: Node):
    async with running(node.keeper.run()):
        node.keeper.want(conf(1))
        node.keeper.device_came("tunl0")
        await asyncio.sleep(30)
        assert "reload out kernel1" not in node.bird.calls


async def test_the_larger_the_mesh_the_longer_it_is_left_to_grow_before_bird_takes_it(node: Node):
    """200 nodes register one after another, ten a second: 20 seconds of changes."""
    whole = [bird_config(mesh(count), "node-1", {}) for count in range(1, 201)]
    async with running(node.keeper.run()):
        for config in whole:
            node.keeper.want(config)
            await asyncio.sleep(0.1)
        await asyncio.sleep(2)
        assert node.keeper.is_up and node.bird.has == str(whole[-1])
    assert node.configures() <= 12, "not once in 0.3 s"
