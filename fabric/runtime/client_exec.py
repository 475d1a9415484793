"""An exec session of the client is a connection of its own, whose end is the program's end."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

from fabric.errors import FabricError
from fabric.runtime.contract import RuntimeRefused, StartError
from fabric.runtime.wire import Frames, pack

START_SECONDS_MAX = 30.0
_READ_BYTES_MAX = 4096


class RemoteExec:
    """An exec session in a container that the runtime, another process, started."""

    def __init__(self, end: socket.socket, frames: Frames, terminal: int | None) -> None:
        self.terminal = terminal
        self._end = end
        self._frames = frames
        self._early: list[dict[str, Any]] = []
        self._code: int | None = None
        self._reading = asyncio.Lock()

    @classmethod
    async def start(
        cls, path: str, request: dict[str, Any], fds: tuple[int | None, int | None, int | None]
    ) -> RemoteExec:
        """Ask for the program and hand over the descriptors; StartError or FabricError."""
        try:
            end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError as error:
            raise FabricError(f"no connection to the runtime: {error.strerror}") from error
        end.setblocking(False)
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                await asyncio.get_running_loop().sock_connect(end, path)
                await _send(end, pack(request), () if request["tty"] else fds)
                return await cls._started(end)
        except TimeoutError:
            end.close()
            raise FabricError(
                f"the runtime at {path} did not answer {request['op']} within {START_SECONDS_MAX:.0f} s"
            ) from None
        except OSError as error:
            end.close()
            raise FabricError(f"the runtime at {path} does not answer; it is being restarted") from error
        except BaseException:
            end.close()
            raise

    async def wait(self) -> int:
        async with self._reading:
            while self._code is None:
                for message in self._early or await self._read():
                    self._code = message.get("exit", self._code)
                self._early = []
            self._end.close()
        return self._code

    async def resize(self, rows: int, columns: int) -> None:
        await self._tell(op="resize", rows=rows, columns=columns)

    async def signal(self, signal: int) -> None:
        await self._tell(op="signal", signal=int(signal))

    def close(self) -> None:
        """Let go of the program: it is killed when it still runs."""
        self._end.close()

    async def _tell(self, **request: Any) -> None:
        if self._code is None and self._end.fileno() >= 0:
            try:
                await asyncio.get_running_loop().sock_sendall(self._end, pack({"id": 0, **request}))
            except OSError:
                return

    async def _read(self) -> list[dict[str, Any]]:
        data = await asyncio.get_running_loop().sock_recv(self._end, _READ_BYTES_MAX)
        if not data:
            self._end.close()
            raise FabricError("the runtime was restarted; how the program ended is not known")
        return self._frames.feed(data)

    @classmethod
    async def _started(cls, end: socket.socket) -> RemoteExec:
        frames, received = Frames(), list[int]()
        messages: list[dict[str, Any]] = []
        while not messages:
            data, fds = await _receive(end)
            received += fds
            if not data:
                raise ConnectionResetError
            messages = frames.feed(data)
        first = messages.pop(0)
        if "error" in first:
            code = first["code"]
            raise StartError(first["error"], code) if code else RuntimeRefused(first["error"])
        session = cls(end, frames, received[0] if received else None)
        session._early = messages
        return session


async def _send(end: socket.socket, data: bytes, fds: tuple[int | None, ...]) -> None:
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    try:
        given = [null if fd is None else fd for fd in fds]
        sent = socket.send_fds(end, [data], given)
    finally:
        os.close(null)
    await asyncio.get_running_loop().sock_sendall(end, data[sent:])


async def _receive(end: socket.socket) -> tuple[bytes, list[int]]:
    """Wait for data and the descriptors that come with it."""
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(end, _wake, readable)
    try:
        await readable
    finally:
        loop.remove_reader(end)
    data, fds, _, _ = socket.recv_fds(end, _READ_BYTES_MAX, 1, socket.MSG_CMSG_CLOEXEC)
    return data, fds


def _wake(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)
