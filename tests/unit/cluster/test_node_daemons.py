"""A node's daemons as its agent asks for them: kept by the runtime, their output below the node's files."""

from __future__ import annotations

import pytest

from fabric.cluster.runtimes import NodeDaemons
from fabric.errors import FabricError
from fabric.plugin.contract import Program
from fabric.runtime.contract import HostSpec
from fabric.runtime.fake import FakeRuntime

BIRD = Program("bird", ("bird", "-f"), ("bird", "-f", "-R"))


@pytest.fixture
async def runtime():
    found = FakeRuntime()
    await found.start_node(HostSpec("node-1"))
    return found


async def test_a_program_is_kept_until_it_is_ended(runtime, tmp_path):
    daemons = NodeDaemons(runtime, "node-1", tmp_path)
    pid = await daemons.keep(BIRD)
    assert await daemons.keep(BIRD) == pid and await daemons.running() == {"bird": pid}
    assert (tmp_path / "var/log/daemons").is_dir()
    await daemons.end("bird")
    await daemons.end("bird")
    assert await daemons.running() == {}


async def test_files_that_cannot_be_made_are_a_refusal(runtime, tmp_path):
    (tmp_path / "var").write_text("")
    with pytest.raises(FabricError, match="node-1: /var/log/daemons cannot be made: Not a directory"):
        await NodeDaemons(runtime, "node-1", tmp_path).keep(BIRD)
