"""A client of one daemon's control socket.

One command at a time, in the order they were asked, and each on a connection of its own: an answer can never
be taken for another's, a daemon that was started again is found at once, and an idle client holds nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Literal

from fabric.bird import control
from fabric.bird.control import Answer
from fabric.bird.protocols import Protocol, read_protocols
from fabric.bird.routes import BirdRoute, read_routes
from fabric.bird.status import MemoryUse, Status, read_memory, read_status
from fabric.errors import FabricError

CONNECT_SECONDS_MAX = 2.0
ANSWER_SECONDS_MAX = 10.0
READ_BYTES = 64 * 1024
SOCKET_PATH_BYTES_MAX = 107

Where = IPv4Address | IPv6Address | IPv4Network | IPv6Network


class BirdAway(FabricError):
    """The daemon does not answer: not started yet, dead, or stuck."""


class BirdRefused(FabricError):
    """The daemon answers, and says no (8xxx) or does not understand (9xxx)."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class BirdClient:
    """Ask one daemon. All methods raise BirdAway and BirdRefused, and wait for a bounded time."""

    def __init__(self, socket: Path, *, name: str = "") -> None:
        """`socket`: the daemon's control socket. `name`: what messages call it, else the socket's path."""
        self._socket = socket
        self._name = name or str(socket)
        self._turn = asyncio.Lock()

    async def status(self) -> Status:
        return read_status(await self.command("show status"))

    async def protocols(self, pattern: str = "", *, details: bool = True) -> tuple[Protocol, ...]:
        """The protocols whose names match (`Mesh_*`; `*` and `?` are BIRD's wildcards); all by default.

        Without details BIRD sends a tenth of the text, and `channels` and `bgp` stay empty.
        """
        words = "show protocols" + " all" * details + (f" {_quoted(pattern)}" if pattern else "")
        return read_protocols(await self._found(words, control.NO_PROTOCOLS_MATCH))

    async def routes(
        self,
        *,
        to: Where | None = None,
        table: str = "",
        protocol: str = "",
        exported_to: str = "",
        best_only: bool = False,
        details: bool = False,
    ) -> tuple[BirdRoute, ...]:
        """The routes of all tables, or of one; of one protocol; or as one's export filter leaves them.

        `to` an address: those of the longest matching prefix; `to` a network: those of exactly that.
        """
        words = "show route"
        if to is not None:
            words += f" {to}" if isinstance(to, IPv4Network | IPv6Network) else f" for {to}"
        words += f" table {_plain(table)}" if table else ""
        words += " all" * details + " primary" * best_only
        words += f" protocol {_plain(protocol)}" if protocol else ""
        words += f" export {_plain(exported_to)}" if exported_to else ""
        return read_routes(await self._found(words, control.NETWORK_NOT_FOUND))

    async def memory(self) -> Mapping[str, MemoryUse]:
        return read_memory(await self.command("show memory"))

    async def configure(self, path: Path | None = None, *, check: bool = False, soft: bool = False) -> str:
        """Take the configuration file that the daemon was started with, or another; return BIRD's last word.

        `check` only reads it. `soft` does not send routes through changed filters again. BirdRefused names
        file and line, and what runs goes on as it was. `Reconfiguration in progress` is no refusal: protocols
        that must go are still flushing their routes.
        """
        words = "configure" + " check" * check + " soft" * (soft and not check)
        words += f" {_quoted(str(path))}" if path else ""
        answer = await self.command(words)
        if answer.code == control.RECONFIGURATION_IGNORED:
            raise self._refusal(words, answer)
        return answer.lines[-1].text

    async def reload(self, protocol: str = "all", direction: Literal["", "in", "out"] = "") -> None:
        """Send routes through the filters again: `in` from the peers, `out` to them, or both.

        With `all`, protocols that cannot do it are passed over; by name it is BirdRefused.
        """
        await self._act(f"reload {direction}".strip(), protocol)

    async def disable(self, protocol: str) -> None:
        """Stop a protocol until `enable`, or the next `configure`; `all` is every one."""
        await self._act("disable", protocol)

    async def enable(self, protocol: str) -> None:
        await self._act("enable", protocol)

    async def restart(self, protocol: str) -> None:
        """Stop and start it: its session drops, and its routes go and come again."""
        await self._act("restart", protocol)

    async def shut_down(self, *, for_restart: bool = False) -> None:
        """End the daemon; `for_restart` (graceful restart) leaves its routes in kernel and peers."""
        await self.command("graceful restart" if for_restart else "down")

    async def _act(self, verb: str, protocol: str) -> None:
        command = f"{verb} {protocol if protocol == 'all' else _quoted(protocol)}"
        answer = await self.command(command)
        if answer.refusals and protocol != "all":
            raise self._refusal(command, answer)

    async def command(self, text: str) -> Answer:
        """Send one command as birdc would; its whole answer, unless the daemon refuses."""
        answer = await self._exchange(text)
        if answer.refused:
            raise self._refusal(text, answer)
        return answer

    async def _found(self, command: str, nothing: int) -> Answer:
        """The answer to a question, also where it is BIRD's code for there being `nothing`."""
        answer = await self._exchange(command)
        if answer.refused and answer.code != nothing:
            raise self._refusal(command, answer)
        return answer

    async def _exchange(self, text: str) -> Answer:
        if "\n" in text:
            raise ValueError(f"one command has one line: {text!r}")
        async with self._turn, self._connection() as (reader, writer):
            try:
                async with asyncio.timeout(ANSWER_SECONDS_MAX):
                    writer.write(f"{text}\n".encode())
                    return await self._next_answer(reader)
            except TimeoutError as error:
                limit = f"{ANSWER_SECONDS_MAX:g} s"
                raise BirdAway(f"BIRD at {self._name} gave no answer to `{text}` in {limit}") from error
            except OSError as error:
                raise BirdAway(f"BIRD at {self._name} went away: {error.strerror or error}") from error

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection on which the daemon has said that it is BIRD."""
        writer: asyncio.StreamWriter | None = None
        try:
            try:
                async with asyncio.timeout(CONNECT_SECONDS_MAX):
                    reader, writer = await _open(self._socket)
                    welcome = await self._next_answer(reader)
            except TimeoutError as error:
                raise BirdAway(f"BIRD at {self._name} does not greet: it is stuck or stopped") from error
            except OSError as error:
                raise BirdAway(f"BIRD at {self._name} is not running: {error.strerror or error}") from error
            if welcome.code != control.WELCOME:
                raise control.BadAnswer(
                    f"{self._name} greets with {welcome.lines[-1].text!r}: it is not BIRD"
                )
            yield reader, writer
        finally:
            if writer is not None:
                writer.close()

    async def _next_answer(self, reader: asyncio.StreamReader) -> Answer:
        answers = control.AnswerReader()
        while data := await reader.read(READ_BYTES):
            for answer in answers.feed(data):
                return answer
        raise BirdAway(f"BIRD at {self._name} went away in the middle of an answer")

    def _refusal(self, command: str, answer: Answer) -> BirdRefused:
        line = (answer.refusals or answer.lines)[-1]
        return BirdRefused(f"BIRD at {self._name} refuses `{command}`: {line.text} ({line.code})", line.code)


async def _open(socket: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect; a path beyond what a socket address holds goes through its folder's descriptor."""
    if len(os.fsencode(socket)) <= SOCKET_PATH_BYTES_MAX:
        return await asyncio.open_unix_connection(str(socket))
    folder = os.open(socket.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/{socket.name}")
    finally:
        os.close(folder)


def _plain(text: str) -> str:
    """Text that stays one word of a command, quoted or not."""
    if not text or any(character in text for character in '"\n;'):
        raise ValueError(f"no name or path that BIRD's command line can take: {text!r}")
    return text


def _quoted(text: str) -> str:
    """A path, or a name as a pattern: where none matches BIRD says so, instead of a syntax error."""
    return f'"{_plain(text)}"'
