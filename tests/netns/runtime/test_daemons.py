"""Daemons are real processes of a node: they come back, outlive the runtime, and end with their node."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from support.daemon_contract import daemon
from support.eventually import eventually
from support.pod_shell import is_on_host
from support.runtime_process import RuntimeProcess, connected, running

from fabric.bird.config import Config
from fabric.bird.daemon import Daemon
from fabric.runtime.client import RuntimeClient
from fabric.runtime.contract import DaemonSpec, DaemonStatus, HostSpec, Mount, Runtime

NAMESPACES = ("net", "uts", "ipc", "mnt", "pid")
GLIBC_LEAVES = 0x7FFFFFFF
"""Its posix_spawn ignores signals 32 and 33, which are its own."""


class Lab:
    """node-1 with a /run/calico that the host sees, and one log for its daemons."""

    def __init__(self, process: RuntimeProcess, client: RuntimeClient, directory: Path) -> None:
        self.process = process
        self.client = client
        self.files = directory / "calico"
        self.log = directory / "logs" / "bird.log"

    async def start_node(self) -> int:
        self.files.mkdir(exist_ok=True)
        return await self.client.start_node(HostSpec("node-1", (Mount("/run/calico", self.files),)))

    async def start(self, *argv: str, restart_argv: tuple[str, ...] = (), name: str = "bird") -> DaemonStatus:
        return await self.client.start_daemon(DaemonSpec("node-1", name, argv, restart_argv, self.log))

    async def shell(self, script: str, **options: str) -> DaemonStatus:
        return await self.start("sh", "-c", script, **options)

    async def is_back(self, before: DaemonStatus, runtime: Runtime | None = None) -> DaemonStatus:
        async def look() -> DaemonStatus | None:
            status = await daemon(runtime or self.client)
            return status if status.pid not in (0, before.pid) else None

        found = await eventually(look)
        assert found is not None
        return found


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running(tmp_path) as (process, client):
        lab = Lab(process, client, tmp_path)
        await lab.start_node()
        yield lab


def words(pid: int) -> list[str]:
    """The command line; after a vfork the new one can be read a moment after the parent goes on."""
    for _ in range(100):
        if found := Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]:
            return found
        time.sleep(0.002)
    return []


def environment(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/environ").read_text().split("\0")[:-1]


def state(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


async def test_bird_runs_and_comes_back_knowing_that_it_was_killed(lab: Lab):
    bird = Daemon(lab.files, Path("/run/calico"))
    bird.write(Config(ip_address("192.168.0.11")))  # type: ignore[arg-type]
    started = await lab.start(*bird.argv, restart_argv=bird.restart_argv)
    await eventually(bird.control_socket.exists)
    assert words(started.pid) == list(bird.argv)
    os.kill(started.pid, signal.SIGKILL)
    back = await lab.is_back(started)
    assert words(back.pid) == list(bird.restart_argv)
    assert (back.restarts, back.message) == (1, "it was killed by SIGKILL")


async def test_it_is_in_all_of_its_nodes_namespaces_and_root_there(lab: Lab):
    node = (await lab.client.nodes())["node-1"]
    started = await lab.start("sleep", "1000")
    for kind in NAMESPACES:
        assert os.readlink(f"/proc/{started.pid}/ns/{kind}") == os.readlink(f"/proc/{node}/ns/{kind}")
    its, mine = state(started.pid), state(os.getpid())
    assert (its["Uid"].split(), its["CapEff"]) == (["0"] * 4, mine["CapPrm"])


async def test_it_inherits_nothing(lab: Lab):
    started = await lab.start("sleep", "1000")
    root = f"/proc/{started.pid}"
    assert sorted(os.listdir(f"{root}/fd"), key=int) == ["0", "1", "2"]
    assert [os.readlink(f"{root}/fd/{n}") for n in (1, 2)] == [str(lab.log)] * 2
    assert os.stat(f"{root}/fd/0").st_size == 0
    assert os.readlink(f"{root}/cwd") == "/"
    its = state(started.pid)
    assert (int(its["SigBlk"], 16), int(its["SigIgn"], 16) & GLIBC_LEAVES) == (0, 0)
    assert os.getsid(started.pid) == os.getpgid(started.pid) == started.pid
    await eventually(lambda: environment(started.pid))  # exec tells before it has put it there.
    assert environment(started.pid) == [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME=/root",
    ]


async def test_both_outputs_of_all_its_runs_are_in_one_log(lab: Lab):
    script = 'echo out; echo err >&2; read line || echo "nothing to read"; exec sleep 1000'
    started = await lab.shell(script)
    once = "out\nerr\nnothing to read\n"
    await eventually(lambda: lab.log.read_text() == once)
    os.kill(started.pid, signal.SIGKILL)
    await eventually(lambda: lab.log.read_text() == 2 * once)


async def test_the_delay_before_a_new_start_doubles(lab: Lab):
    await lab.shell("date +%s.%N")
    await eventually(lambda: len(lab.log.read_text().splitlines()) >= 5)
    starts = [float(line) for line in lab.log.read_text().splitlines()[:5]]
    gaps = [after - before for before, after in itertools.pairwise(starts)]
    assert all(gap >= delay for gap, delay in zip(gaps, (0.1, 0.2, 0.4, 0.8), strict=True)), gaps


async def test_it_is_dead_when_a_stop_is_answered(lab: Lab):
    started = await lab.shell("trap '' TERM INT HUP; while :; do sleep 1; done")
    await lab.client.stop_daemon("node-1", "bird")
    assert started.pid not in lab.process.pids
    assert list((lab.process.state / "daemons").iterdir()) == []


async def test_of_two_that_want_other_words_at_once_the_last_is_kept(lab: Lab):
    await lab.start("sleep", "1000")
    calls = [lab.start("sleep", str(2000 + n)) for n in range(3)]
    await asyncio.gather(*calls)
    (status,) = await lab.client.daemons()
    assert words(status.pid) == ["sleep", "2002"]
    assert sum("sleep" in words(pid)[0] for pid in lab.process.pids) == 1


async def test_a_stop_and_a_start_at_once_start_it_anew(lab: Lab):
    started = await lab.start("sleep", "1000", restart_argv=("sleep", "2000"))
    stop = asyncio.create_task(lab.client.stop_daemon("node-1", "bird"))
    await asyncio.sleep(0)
    again = await lab.start("sleep", "1000", restart_argv=("sleep", "2000"))
    await stop
    assert again.pid not in (0, started.pid)
    assert (again.restarts, words(again.pid)) == (0, ["sleep", "1000"])


async def test_other_words_for_a_new_start_leave_it_alone_and_hold_from_then(lab: Lab):
    started = await lab.start("sleep", "1000")
    assert await lab.start("sleep", "1000", restart_argv=("sleep", "2000")) == started
    os.kill(started.pid, signal.SIGKILL)
    assert words((await lab.is_back(started)).pid) == ["sleep", "2000"]


async def test_a_program_that_comes_later_is_started_then(lab: Lab):
    status = await lab.start("/run/calico/late", restart_argv=("sleep", "1000"))
    assert status.pid == 0
    assert status.message == 'exec: "/run/calico/late": stat /run/calico/late: no such file or directory'
    program = lab.files / "late"
    program.write_text("#!/bin/sh\nexec sleep 3000\n")
    program.chmod(0o755)
    pid = (await lab.is_back(status)).pid
    await eventually(lambda: words(pid) == ["sleep", "3000"])


async def test_a_log_that_cannot_be_opened_is_told_and_tried_again(lab: Lab):
    lab.log.mkdir(parents=True)
    status = await lab.start("sleep", "1000")
    assert (status.pid, status.message) == (0, f"{lab.log}: Is a directory")
    lab.log.rmdir()
    await lab.is_back(status)


async def test_it_outlives_the_runtime_and_is_adopted(lab: Lab):
    started = await lab.start("sleep", "1000", restart_argv=("sleep", "2000"))
    lab.process.kill()
    os.kill(started.pid, 0)
    lab.process.start()
    async with connected(lab.process) as client:
        assert await client.daemons() == (started,)
        os.kill(started.pid, signal.SIGKILL)
        back = await lab.is_back(started, client)
        assert (words(back.pid), back.restarts) == (["sleep", "2000"], 1)
        await client.stop_daemon("node-1", "bird")
        assert await client.daemons() == ()


async def test_one_that_died_while_the_runtime_was_away_is_started_again(lab: Lab):
    started = await lab.start("sleep", "1000", restart_argv=("sleep", "2000"))
    lab.process.kill()
    os.kill(started.pid, signal.SIGKILL)
    await eventually(lambda: started.pid not in lab.process.pids)
    lab.process.start()
    async with connected(lab.process) as client:
        back = await daemon(client)
        assert (words(back.pid), back.restarts) == (["sleep", "2000"], 1)
        assert back.message == "it ended while the runtime was away"


async def test_an_adopted_one_ends_with_its_node(lab: Lab):
    started = await lab.start("sleep", "1000")
    lab.process.kill()
    lab.process.start()
    async with connected(lab.process) as client:
        await client.stop_node("node-1")
        assert await client.daemons() == ()
        assert started.pid not in lab.process.pids
        await client.start_node(HostSpec("node-1"))
        assert await client.daemons() == ()


async def test_a_node_that_died_while_the_runtime_was_away_has_no_daemons(lab: Lab):
    await lab.start("sleep", "1000")
    node = (await lab.client.nodes())["node-1"]
    lab.process.kill()
    os.kill(node, signal.SIGKILL)
    await eventually(lambda: lab.process.pids == [])
    lab.process.start()
    async with connected(lab.process) as client:

        async def are_forgotten() -> bool:
            return await client.daemons() == () and await client.nodes() == {}

        await eventually(are_forgotten)
        await client.start_node(HostSpec("node-1"))
        assert await client.daemons() == ()
    assert list((lab.process.state / "daemons").iterdir()) == []


async def test_a_power_off_leaves_no_process_and_no_record(lab: Lab):
    await lab.start("sleep", "1000")
    await lab.start("true", name="carrier")
    os.kill((await lab.client.nodes())["node-1"], signal.SIGKILL)

    async def are_forgotten() -> bool:
        return await lab.client.daemons() == ()

    await eventually(are_forgotten)
    assert lab.process.pids == [lab.process.pid]
    assert list((lab.process.state / "daemons").iterdir()) == []
    await lab.start_node()
    assert await lab.client.daemons() == ()


async def test_one_that_no_record_names_is_ended(lab: Lab):
    """As if the runtime had been killed between its start and its record."""
    started = await lab.start("sleep", "1000")
    lab.process.kill()
    (lab.process.state / "daemons" / "node-1:bird.json").unlink()
    lab.process.start()
    async with connected(lab.process) as client:
        assert await client.daemons() == ()
        await eventually(lambda: not is_on_host(f"/proc/{started.pid}/exe"))
