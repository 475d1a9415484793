"""Every program starts with default signals and an empty mask, whatever fabric itself was started with."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.eventually import eventually
from support.pod_shell import PodShell
from support.runtime_process import running

from fabric.runtime.contract import DaemonSpec

GLIBC_LEAVES = ~(1 << 31 | 1 << 32)
"""Signals 32 and 33 are the C library's own."""
AS_UNDER_NOHUP = """
import signal
for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGCHLD, signal.SIGRTMIN):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGUSR2))
"""


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[PodShell]:
    async with running(tmp_path, AS_UNDER_NOHUP) as (process, client):
        shell = PodShell(process, client, tmp_path)
        await shell.start_pod()
        yield shell


def odd_signals(pid: int) -> dict[str, int]:
    """Return the mask and the ignored signals of a process, where there are any."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    words = dict(line.split(":\t", 1) for line in lines)
    found = {key: int(words[key], 16) & GLIBC_LEAVES for key in ("SigBlk", "SigIgn")}
    return {key: bits for key, bits in found.items() if bits}


def _runs(pid: int, program: str) -> bool:
    return Path(f"/proc/{pid}/comm").read_text().strip() == program


@pytest.mark.parametrize("options", [{}, {"uid": 1000}, {"capabilities": ("NET_ADMIN",)}], ids=str)
async def test_a_container(shell: PodShell, options: dict[str, object]):
    assert odd_signals((await shell.start("sleep", "1000", **options)).pid) == {}


async def test_a_program_beside_a_container_and_one_on_a_node(shell: PodShell):
    started = await shell.start("sleep", "1000")
    show = "grep -E 'SigBlk|SigIgn' /proc/self/status"
    for code, text in (await shell.exec(started.id, show), await shell.exec_node(show)):
        assert code == 0
        assert [int(line.split()[1], 16) & GLIBC_LEAVES for line in text.splitlines()] == [0, 0]


async def test_a_daemon(shell: PodShell):
    status = await shell.client.start_daemon(DaemonSpec("node-1", "sleeper", ("sleep", "1000")))
    assert odd_signals(status.pid) == {}


async def test_the_echo_server_ends_by_sigterm(shell: PodShell):
    started = await shell.start("fabric-echo")
    await eventually(lambda: _runs(started.pid, "fabric-echo"))
    ignored = odd_signals(started.pid).get("SigIgn", 0)
    assert not ignored & (1 << 0), "SIGHUP is ignored"
    assert "SigBlk" not in odd_signals(started.pid)


async def test_nodes_and_pods(shell: PodShell):
    (sandbox,) = await shell.client.sandboxes()
    node = (await shell.client.nodes())["node-1"]
    for pid in (sandbox.pid, node):
        inherited = 1 << signal.SIGHUP - 1 | 1 << signal.SIGQUIT - 1 | 1 << signal.SIGUSR1 - 1
        assert not odd_signals(pid).get("SigIgn", 0) & inherited


async def test_a_program_that_ends_at_once_has_its_exit_code(shell: PodShell):
    for _ in range(10):
        code, _ = await shell.exec_node("exit 3")
        assert code == 3
