"""Programs beside a container's, and on a node."""

from __future__ import annotations

import asyncio
import os

import pytest
from support.eventually import eventually
from support.pod_shell import PodShell

from fabric.runtime.contract import StartError


async def test_a_program_runs_beside_the_containers_and_in_its_root(shell: PodShell):
    started = await shell.start("sh", "-c", "echo x > /etc/mine; exec sleep 1000", env={"MODE": "demo"})
    await eventually(lambda: _is_there(shell, started.id))
    assert await shell.exec(started.id, "cat /etc/mine; hostname; echo $MODE") == (0, "x\npod-1\ndemo\n")
    assert await shell.exec(started.id, "echo $MODE", env={"MODE": "mine"}) == (0, "mine\n")


async def _is_there(shell: PodShell, id: str) -> bool:
    return (await shell.exec(id, "test -e /etc/mine"))[0] == 0


async def test_standard_input_arrives(shell: PodShell):
    started = await shell.start("sleep", "1000")
    read, write = os.pipe()
    out_read, out_write = os.pipe()
    session = await shell.client.exec(started.id, ["cat"], stdin=read, stdout=out_write)
    os.close(read)
    os.close(out_write)
    os.write(write, b"hello")
    os.close(write)
    assert await session.wait() == 0
    assert os.read(out_read, 100) == b"hello"
    os.close(out_read)


async def test_a_terminal_is_one_and_has_a_size(shell: PodShell):
    started = await shell.start("sleep", "1000")
    # A size may come at any time: a program asks again when it is told that there is another.
    script = "tty; read go; while [ \"$(stty size)\" != '33 99' ]; do sleep 0.05; done; stty size"
    session = await shell.client.exec(started.id, ["timeout", "10", "sh", "-c", script], tty=True)
    assert session.terminal is not None
    await session.resize(33, 99)
    os.write(session.terminal, b"go\n")
    printed = await asyncio.to_thread(_read_all, session.terminal)
    assert await session.wait() == 0
    assert "/dev/pts/0" in printed and "33 99" in printed


def _read_all(fd: int) -> str:
    printed = b""
    try:
        while data := os.read(fd, 4096):
            printed += data
    except OSError:
        pass
    os.close(fd)
    return printed.decode()


async def test_control_c_on_the_terminal_interrupts(shell: PodShell):
    started = await shell.start("sleep", "1000")
    session = await shell.client.exec(started.id, ["sleep", "1000"], tty=True)
    assert session.terminal is not None
    os.write(session.terminal, b"\x03")
    assert await session.wait() == 130
    os.close(session.terminal)


async def test_a_terminal_on_a_node(shell: PodShell):
    session = await shell.client.exec_node("node-1", ["sh", "-c", "test -t 0 && hostname"], tty=True)
    assert session.terminal is not None
    assert "node-1" in await asyncio.to_thread(_read_all, session.terminal)
    assert await session.wait() == 0


async def test_a_missing_program_is_a_start_error(shell: PodShell):
    started = await shell.start("sleep", "1000")
    with pytest.raises(StartError, match=r'exec: "nope": executable file not found in \$PATH') as caught:
        await shell.client.exec(started.id, ["nope"])
    assert caught.value.exit_code == 127


async def test_a_program_whose_client_went_away_is_killed(shell: PodShell):
    started = await shell.start("sleep", "1000")
    session = await shell.client.exec(started.id, ["sleep", "54321"])
    assert "sleep 54321" in (await shell.exec_node("ps -eo args"))[1]
    session.close()

    async def is_gone() -> bool:
        return "sleep 54321" not in (await shell.exec_node("ps -eo args"))[1]

    await eventually(is_gone)


async def test_a_node_has_all_rights_in_its_namespaces(shell: PodShell):
    assert (await shell.exec_node("ip link set lo up && mount -t tmpfs x /mnt"))[0] == 0
