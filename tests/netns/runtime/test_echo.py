"""The echo image says who it is and whom it sees, over TCP, UDP and HTTP."""

from __future__ import annotations

import json
import os
import signal

import pytest
from support.eventually import eventually
from support.pod_shell import PodShell
from support.runtime_contract import ended

from fabric.kubelet.catalogue import Catalogue


@pytest.fixture
async def echo(shell: PodShell) -> str:
    """The id of an echo container whose ports are open."""
    await shell.exec_node("nsenter -t $(pgrep -n catatonit) -n ip link set lo up")
    started = await shell.start(*Catalogue.default().resolve("echo").argv)

    async def is_listening() -> bool:
        return "8080" in (await shell.exec(started.id, "ss -ltn"))[1]

    await eventually(is_listening)
    return started.id


async def test_it_answers_http_with_what_it_sees(shell: PodShell, echo: str):
    code, printed = await shell.exec(echo, "curl -s --local-port 40000 http://127.0.0.1:8080/path")
    assert code == 0
    assert json.loads(printed) == {
        "hostname": "pod-1",
        "local": {"address": "127.0.0.1", "port": 8080},
        "peer": {"address": "127.0.0.1", "port": 40000},
        "method": "GET",
        "path": "/path",
    }
    assert await shell.exec(echo, "curl -s http://127.0.0.1:8080/hostname") == (0, "pod-1")


async def test_it_greets_and_echoes_over_tcp(shell: PodShell, echo: str):
    _, printed = await shell.exec(echo, "echo hello | nc -w 1 127.0.0.1 9000")
    greeting, line = printed.splitlines()
    assert (json.loads(greeting)["hostname"], line) == ("pod-1", "hello")


async def test_it_answers_udp_from_the_address_it_was_asked_at(shell: PodShell, echo: str):
    _, printed = await shell.exec(echo, "echo hello | nc -u -w 1 127.0.0.5 9000")
    assert json.loads(printed)["local"] == {"address": "127.0.0.5", "port": 9000}


async def test_it_stops_at_once_and_cleanly(shell: PodShell, echo: str):
    await shell.client.signal_container(echo, signal.SIGTERM)
    assert (await ended(shell.client, echo)).exit_code == 0


async def test_it_is_called_by_its_name_and_has_nothing_of_the_runtimes(shell: PodShell, echo: str):
    assert "fabric-echo" in (await shell.exec_node("ps -eo args"))[1]
    status = next(c for c in await shell.client.containers() if c.id == echo)
    held = [os.readlink(fd.path) for fd in os.scandir(f"/proc/{status.pid}/fd")]
    assert len(held) == 7 and sum("socket" in name for name in held) == 3
    assert all(name not in " ".join(held) for name in ("/lock", ".json", "pidfd"))
    assert os.stat(f"/proc/{status.pid}").st_uid == 65534


async def test_a_wrong_port_is_refused_with_a_message(shell: PodShell):
    started = await shell.start("fabric-echo", "--http-port=http")
    assert (await ended(shell.client, started.id)).exit_code == 2
    assert "a port is a number" in shell.printed(started.id)


async def test_its_log_says_where_it_listens_and_who_asked_what(shell: PodShell, echo: str):
    await shell.exec(echo, "curl -s --local-port 40001 'http://127.0.0.1:8080/a?b=c'")
    await shell.exec(echo, "echo hello | nc -u -w 1 -p 40002 127.0.0.1 9000")
    await shell.exec(echo, "echo hello | nc -w 1 -p 40003 127.0.0.1 9000")
    said = [
        "fabric-echo: listens on http 8080, tcp 9000, udp 9000",
        "fabric-echo: http request from 127.0.0.1:40001: GET /a?b=c HTTP/1.1",
        "fabric-echo: udp datagram of 6 bytes from 127.0.0.1:40002",
        "fabric-echo: tcp connection from 127.0.0.1:40003",
    ]
    await eventually(lambda: shell.printed(echo).splitlines() == said)


async def test_it_serves_further_ports_to_whoever_speaks_http_or_anything_else(shell: PodShell):
    await shell.exec_node("nsenter -t $(pgrep -n catatonit) -n ip link set lo up")
    ports = ("--tcp", "80,81", "--udp", "80", "--http-port=0", "--tcp-port=0", "--udp-port=0")
    started = await shell.start("fabric-echo", *ports)
    await eventually(lambda: shell.printed(started.id) == "fabric-echo: listens on tcp 80, tcp 81, udp 80\n")
    assert await shell.exec(started.id, "curl -s http://127.0.0.1:80/hostname") == (0, "pod-1")
    assert await shell.exec(started.id, "echo hello | nc -w 1 127.0.0.1 81") == (0, "hello\n")
    _, printed = await shell.exec(started.id, "echo hello | nc -u -w 1 127.0.0.1 80")
    assert json.loads(printed)["local"]["port"] == 80


async def test_it_gives_way_where_nobody_asked_for_a_port_and_ends_where_somebody_did(
    shell: PodShell, echo: str
):
    second = await shell.start("fabric-echo", "--tcp", "80")
    left_out = [
        f"fabric-echo: leaves out {it}: Address already in use"
        for it in ("http 8080", "tcp 9000", "udp 9000")
    ]
    await eventually(
        lambda: shell.printed(second.id).splitlines() == [*left_out, "fabric-echo: listens on tcp 80"]
    )
    third = await shell.start("fabric-echo", "--tcp-port=9000")
    assert (await ended(shell.client, third.id)).exit_code == 1
    assert "fabric-echo: tcp 9000: Address already in use" in shell.printed(third.id)


async def test_it_is_agnhost_too(shell: PodShell):
    await shell.exec_node("nsenter -t $(pgrep -n catatonit) -n ip link set lo up")
    started = await shell.start("/agnhost", "serve-hostname", "--tcp", "--http=false", "--port", "80")
    await eventually(lambda: "listens on tcp 80" in shell.printed(started.id))
    assert await shell.exec(started.id, "nc -w 1 127.0.0.1 80 </dev/null") == (0, "pod-1")
    porter = await shell.start("/agnhost", "porter", env={"SERVE_PORT_81": "foo"})
    await eventually(lambda: "listens on http 81" in shell.printed(porter.id))
    assert await shell.exec(porter.id, "curl -s http://127.0.0.1:81/") == (0, "foo")
