"""What every Runtime does with daemons: the suite that the real one and the fake one are both held to."""

from __future__ import annotations

import pytest

from fabric.errors import FabricError
from fabric.runtime.contract import DaemonSpec, DaemonStatus, HostSpec, Runtime, RuntimeRefused
from support.eventually import eventually

FOR_EVER = ("sleep", "1000")


async def start_daemon(
    runtime: Runtime, *argv: str, name: str = "bird", node: str = "node-1"
) -> DaemonStatus:
    await runtime.start_node(HostSpec(node))
    return await runtime.start_daemon(DaemonSpec(node, name, argv))


async def daemon(runtime: Runtime, name: str = "bird", node: str = "node-1") -> DaemonStatus:
    return next(status for status in await runtime.daemons(node) if status.name == name)


class DaemonContract:
    """Subclasses give a fixture `runtime`."""

    async def test_a_daemon_needs_its_node(self, runtime: Runtime):
        with pytest.raises(FabricError, match="node node-1 does not run"):
            await runtime.start_daemon(DaemonSpec("node-1", "bird", FOR_EVER))
        assert await runtime.daemons() == ()

    async def test_a_daemon_with_the_same_words_is_left_alone(self, runtime: Runtime):
        first = await start_daemon(runtime, *FOR_EVER)
        assert await start_daemon(runtime, *FOR_EVER) == first
        assert await runtime.daemons() == (first,)
        assert (first.node, first.name, first.argv) == ("node-1", "bird", FOR_EVER)
        assert (first.pid > 0, first.restarts, first.message) == (True, 0, "")

    async def test_a_daemon_with_other_words_takes_the_place_of_the_one_before(self, runtime: Runtime):
        first = await start_daemon(runtime, *FOR_EVER)
        second = await start_daemon(runtime, "sleep", "2000")
        assert await runtime.daemons() == (second,)
        assert second.pid not in (0, first.pid)
        assert (second.argv, second.restarts, second.message) == (("sleep", "2000"), 0, "")

    async def test_daemons_are_told_by_node_and_name_in_order(self, runtime: Runtime):
        for node, name in (("node-2", "bird"), ("node-1", "carrier"), ("node-1", "bird")):
            await start_daemon(runtime, *FOR_EVER, name=name, node=node)
        found = [(status.node, status.name) for status in await runtime.daemons()]
        assert found == [("node-1", "bird"), ("node-1", "carrier"), ("node-2", "bird")]
        assert [status.name for status in await runtime.daemons("node-1")] == ["bird", "carrier"]

    async def test_a_stopped_daemon_is_forgotten(self, runtime: Runtime):
        await start_daemon(runtime, *FOR_EVER)
        await runtime.stop_daemon("node-1", "bird")
        assert await runtime.daemons() == ()
        await runtime.stop_daemon("node-1", "bird")
        assert (await start_daemon(runtime, *FOR_EVER)).restarts == 0

    async def test_a_daemon_that_ends_is_started_again_and_again(self, runtime: Runtime):
        await start_daemon(runtime, "sh", "-c", "exit 3")

        async def has_been_started_thrice() -> bool:
            return (await daemon(runtime)).restarts >= 2

        await eventually(has_been_started_thrice)
        assert (await daemon(runtime)).message == "it ended with exit code 3"

    async def test_a_daemon_that_waits_for_its_next_start_can_be_stopped_or_replaced(self, runtime: Runtime):
        await start_daemon(runtime, "true")
        await start_daemon(runtime, "true", name="carrier")

        async def wait() -> bool:
            return all(status.pid == 0 for status in await runtime.daemons())

        await eventually(wait)
        await runtime.stop_daemon("node-1", "carrier")
        assert [status.name for status in await runtime.daemons()] == ["bird"]
        assert (await start_daemon(runtime, *FOR_EVER)).pid > 0

    async def test_a_daemon_comes_back_with_the_words_for_that(self, runtime: Runtime):
        await runtime.start_node(HostSpec("node-1"))
        first = await runtime.start_daemon(DaemonSpec("node-1", "bird", ("sleep", "0.05"), FOR_EVER))

        async def is_back() -> bool:
            return (await daemon(runtime)).pid not in (0, first.pid)

        await eventually(is_back)
        status = await daemon(runtime)
        assert (status.restarts, status.argv) == (1, ("sleep", "0.05"))

    async def test_a_program_that_is_not_there_is_tried_again_and_the_status_says_why(self, runtime: Runtime):
        status = await start_daemon(runtime, "")
        assert (status.pid, status.message) == (0, 'exec: "": executable file not found in $PATH')

        async def was_tried_again() -> bool:
            return (await daemon(runtime)).restarts >= 2

        await eventually(was_tried_again)

    async def test_a_power_off_forgets_the_nodes_daemons_and_no_others(self, runtime: Runtime):
        await start_daemon(runtime, *FOR_EVER)
        kept = await start_daemon(runtime, *FOR_EVER, node="node-2")
        await runtime.stop_node("node-1")
        assert await runtime.daemons() == (kept,)
        await runtime.start_node(HostSpec("node-1"))
        assert await runtime.daemons("node-1") == ()

    async def test_a_nul_byte_in_a_daemons_words_is_refused(self, runtime: Runtime):
        await runtime.start_node(HostSpec("node-1"))
        with pytest.raises(RuntimeRefused, match="NUL byte"):
            await runtime.start_daemon(DaemonSpec("node-1", "bird", ("bird", "a\0b")))
        assert await runtime.daemons() == ()
