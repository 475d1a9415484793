"""The client against a socket that behaves badly; well-behaved birds are in test_sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.bird_transcripts import transcript

from fabric.bird import client as client_module
from fabric.bird.client import BirdAway, BirdClient, BirdRefused
from fabric.bird.control import BadAnswer
from fabric.bird.daemon import until_up

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
GREETING = b"0001 BIRD 2.0.12 ready.\n"


@asynccontextmanager
async def serving(path: Path, script: Script) -> AsyncIterator[BirdClient]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        finally:
            writer.close()

    client = BirdClient(path, name="node-1")
    async with await asyncio.start_unix_server(serve, path):
        yield client


async def recorded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer from the transcript."""
    said = transcript("established")
    writer.write(said[""])
    while command := (await reader.readline()).decode().strip():
        writer.write(said.get(command, b"9001 syntax error\n"))


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GREETING)
    await reader.read()


async def test_a_daemon_that_is_not_there_is_away(tmp_path: Path):
    with pytest.raises(BirdAway, match="BIRD at node-1 is not running: No such file or directory"):
        await BirdClient(tmp_path / "bird.ctl", name="node-1").status()


async def test_waiting_for_a_daemon_ends_with_why_it_is_not_up(tmp_path: Path):
    with pytest.raises(BirdAway, match="is not running"):
        await until_up(BirdClient(tmp_path / "bird.ctl"), seconds_max=0.05)


async def test_a_daemon_that_comes_later_is_waited_for(tmp_path: Path):
    client = BirdClient(tmp_path / "bird.ctl")
    waiting = asyncio.create_task(until_up(client))
    await asyncio.sleep(0)
    async with serving(tmp_path / "bird.ctl", recorded):
        assert (await waiting).hostname == "node-1"


async def test_commands_asked_at_once_get_each_their_own_answer(tmp_path: Path):
    async with serving(tmp_path / "bird.ctl", recorded) as client:
        status, protocols, routes, memory = await asyncio.gather(
            client.status(), client.protocols(), client.routes(details=True), client.memory()
        )
    assert (status.hostname, len(protocols), len(routes), len(memory)) == ("node-1", 8, 9, 6)


async def test_a_refusal_names_daemon_command_and_code_and_the_connection_goes_on(tmp_path: Path):
    async with serving(tmp_path / "bird.ctl", recorded) as client:
        with pytest.raises(
            BirdRefused, match=r"BIRD at node-1 refuses `nonsense`: syntax error \(9001\)"
        ) as no:
            await client.command("nonsense")
        assert no.value.code == 9001
        assert (await client.status()).is_running


async def test_a_daemon_that_does_not_answer_is_away_in_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(client_module, "ANSWER_SECONDS_MAX", 0.05)
    async with serving(tmp_path / "bird.ctl", silent) as client:
        with pytest.raises(BirdAway, match="gave no answer to `show status`"):
            await client.status()


async def test_a_daemon_that_does_not_greet_is_stuck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    monkeypatch.setattr(client_module, "CONNECT_SECONDS_MAX", 0.05)
    async with serving(tmp_path / "bird.ctl", mute) as client:
        with pytest.raises(BirdAway, match="does not greet"):
            await client.status()


async def test_the_answer_to_an_abandoned_question_is_never_given_to_another(tmp_path: Path):
    asked = asyncio.Event()

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        while command := (await reader.readline()).strip():
            if command == b"first":
                asked.set()
                await reader.read()
            writer.write(b"0000 " + command + b"\n")

    async with serving(tmp_path / "bird.ctl", late) as client:
        first = asyncio.create_task(client.command("first"))
        await asked.wait()
        first.cancel()
        assert (await client.command("second")).lines[-1].text == "second"


async def test_a_daemon_that_dies_in_an_answer_is_away_and_the_next_question_finds_its_successor(
    tmp_path: Path,
):
    async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        await reader.readline()
        writer.write(b"1000-BIRD 2.0.12\n")

    path = tmp_path / "bird.ctl"
    async with serving(path, dies) as client:
        with pytest.raises(BirdAway, match="went away in the middle"):
            await client.status()
    path.unlink(missing_ok=True)
    async with serving(path, recorded):
        assert (await client.status()).hostname == "node-1"


async def test_a_daemon_that_shuts_down_takes_no_configuration(tmp_path: Path):
    async def ending(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        await reader.readline()
        writer.write(
            b"0002-Reading configuration from bird.conf\n0006 Reconfiguration ignored, shutting down\n"
        )

    async with serving(tmp_path / "bird.ctl", ending) as client:
        with pytest.raises(BirdRefused, match="refuses `configure`: Reconfiguration ignored, shutting down"):
            await client.configure()


async def test_what_is_not_bird_is_not_believed(tmp_path: Path):
    async def another(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"+OK POP3 ready\nHTTP/1.1 400 Bad Request\n")
        await reader.read()

    async with serving(tmp_path / "bird.ctl", another) as client:
        with pytest.raises(BadAnswer):
            await client.status()


async def test_a_socket_deeper_than_an_address_can_say_is_reached(tmp_path: Path):
    folder = tmp_path / ("a" * 60) / ("b" * 60)
    folder.mkdir(parents=True)
    short = tmp_path / "short"
    short.symlink_to(folder)
    async with serving(short / "bird.ctl", recorded):
        client = BirdClient(folder / "bird.ctl")
        assert (await client.status()).hostname == "node-1"


@pytest.mark.parametrize("command", ["show status\ndown", 'show route table x" all'])
async def test_one_question_cannot_smuggle_another(tmp_path: Path, command: str):
    client = BirdClient(tmp_path / "bird.ctl")
    with pytest.raises(ValueError, match=r"line|name"):
        await (client.command(command) if "\n" in command else client.routes(table=command))
