"""node status, datastore migrate lock, version."""

from __future__ import annotations

from datetime import datetime

import pytest
from support.calico_ipam import owner, pool, put_resources
from support.calicoctl import Ctl

from calico.calicoctl.node_status import Seen, told
from calico.ipam.allocator import Ipam
from calico.resources import datastore
from calico.resources.endpoints import ClusterInformation
from calico.resources.nodes import Node
from calico.version import VERSION, git_commit
from fabric.api.kinds import NODE
from fabric.bird.protocols import BgpSession, Protocol

NOW = datetime(2026, 1, 1, 12)


@pytest.fixture
async def ctl(tmp_path):
    ctl = await Ctl(folder=tmp_path).began()
    await put_resources(ctl.store, pool(), Node.named("node-1"), Node.named("node-2"))
    await Ipam(ctl.store, ctl.clock, "node-1").auto_assign(owner())
    return ctl


def session(name: str, info: str = "Established", since: str = "11:00:00.5", address: str = "") -> Protocol:
    state = "up" if info == "Established" else "start"
    return Protocol(name, "BGP", "---", state, since, info, bgp=BgpSession(info, address))


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_sessions_are_of_a_type_and_a_family_each():
    birds = (
        session("Mesh_192_168_0_12"),
        session("Global_192_0_2_1", "Active        Socket: Connection refused", "2025-12-24"),
        session("Node_192_0_2_2_port_1790", address="192.0.2.2"),
        session("Mesh_fd00__12"),
        Protocol("kernel1", "Kernel", "master4", "up", "11:00:00"),
        session("uplink"),
    )
    text = told(Seen("node-1", True, birds, NOW), headed=False)
    assert rows(text) == [
        ["PEER ADDRESS", "PEER TYPE", "STATE", "SINCE", "INFO"],
        ["192.168.0.12", "node-to-node mesh", "up", "11:00:00", "Established"],
        ["192.0.2.1", "global", "start", "2025-12-24", "Active Socket: Connection refused"],
        ["192.0.2.2", "node specific", "up", "11:00:00", "Established"],
        ["PEER ADDRESS", "PEER TYPE", "STATE", "SINCE", "INFO"],
        ["fd00::12", "node-to-node mesh", "up", "11:00:00", "Established"],
    ]
    assert text.index("IPv4 BGP status") < text.index("192.0.2.2") < text.index("IPv6 BGP status")


def test_without_sessions_and_without_a_bird_it_says_so():
    assert told(Seen("node-1", True, (), NOW), headed=True) == (
        "node-1\nCalico process is running.\n\nIPv4 BGP status\nNo IPv4 peers found.\n\n"
        "IPv6 BGP status\nNo IPv6 peers found.\n\n"
    )
    assert "The BGP backend process (BIRD) is not running." in told(Seen("node-1", True, None), headed=False)


async def test_a_node_whose_agent_is_not_there_fails_the_command(ctl):
    conditions = [{"type": "NetworkUnavailable", "status": "False"}, {"type": "Ready", "status": "True"}]
    ctl.api.put(NODE, {"metadata": {"name": "node-1"}, "status": {"conditions": conditions}})
    answer = await ctl("node", "status")
    assert answer.out.startswith(
        "node-1\nCalico process is running.\n\nThe BGP backend process (BIRD) is not"
    )
    assert answer.out.endswith("node-2\nCalico process is not running.\n\n")
    assert (answer.code, answer.err) == (1, "Calico process is not running on node-2.\n")
    assert (await ctl.does("node", "status", "--node", "node-1")).startswith("Calico process is running.\n")
    assert await ctl.refuses("node", "status", "--node=node-2") == "Calico process is not running."
    assert "resource does not exist: Node(node-9)" in await ctl.refuses("node", "status", "--node=node-9")


async def test_a_locked_datastore_can_be_unlocked(ctl):
    async def ready():
        return (await datastore.get(ctl.store, ClusterInformation, "default")).spec.datastore_ready

    assert await ctl.does("datastore", "migrate", "lock") == "Datastore locked.\n"
    assert await ready() is False
    assert await ctl.does("datastore", "migrate", "unlock") == "Datastore unlocked.\n"
    assert await ready() is True


@pytest.mark.parametrize("words", [("convert", "-f", "x.yaml"), ("datastore", "migrate", "export")])
async def test_commands_for_datastores_that_fabric_does_not_have_are_unknown(ctl, words):
    assert f'Unknown command: "{" ".join(words[:1])}' in await ctl.refuses(*words)


async def test_versions(ctl):
    assert await ctl.does("version", "--client") == (
        f"Client Version:    {VERSION}\nGit commit:        {git_commit()}\n"
    )
    assert not ctl.asked_for_a_cluster
    assert (await ctl.does("version")).splitlines()[2:] == [
        "Cluster Version:   v3",
        "Cluster Type:      k8s,bgp",
    ]


def test_the_commit_is_the_checkouts_also_in_a_worktree_and_unknown_elsewhere(tmp_path):
    git, file = tmp_path / "main/.git", tmp_path / "main/plugins/calico/version.py"
    (git / "worktrees/tree").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text("# pack-refs\n0123456789abcdef refs/heads/main\n")
    assert git_commit(file) == "012345678"
    (git / "refs/heads").mkdir(parents=True)
    (git / "refs/heads/main").write_text("aaaaaaaaaaaaaaaa\n")
    assert git_commit(file) == "aaaaaaaaa", "newer than the packed one"
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/.git").write_text(f"gitdir: {git}/worktrees/tree\n")
    (git / "worktrees/tree/HEAD").write_text("bbbbbbbbbbbbbbbb\n")
    (git / "worktrees/tree/commondir").write_text("../..\n")
    assert git_commit(tmp_path / "tree/version.py") == "bbbbbbbbb"
    (git / "HEAD").unlink()
    assert git_commit(file) == "unknown"
    assert git_commit(tmp_path / "elsewhere/version.py") == "unknown"
