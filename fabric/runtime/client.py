"""The client of a runtime process: Runtime over its unix socket, from any number of tasks at once.

Requests are sent as they come and answered as they are done. What the runtime will not do raises
RuntimeRefused. While it is away every call raises FabricError; `run` connects again, with a back-off,
and then tells every listener "".
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from fabric.api.objects import sandbox_id
from fabric.errors import FabricError
from fabric.runtime.client_exec import RemoteExec
from fabric.runtime.contract import (
    ContainerSpec,
    ContainerStatus,
    DaemonSpec,
    DaemonStatus,
    ExecSession,
    HostSpec,
    Mount,
    RuntimeRefused,
    SandboxSpec,
    SandboxStatus,
)
from fabric.runtime.endings import EVERYTHING, Endings
from fabric.runtime.wire import Frames, pack

ANSWER_SECONDS_MAX = 30.0
"""More than any request takes whose processes do what they are told; beyond, the caller tries again."""
_RETRY_SECONDS, _RETRY_SECONDS_MAX = 0.02, 0.1
_READ_BYTES_MAX = 64 * 1024


class RuntimeClient:
    """The Runtime behind a unix socket; its calls are answered while `run` is running."""

    def __init__(self, socket_path: Path | str) -> None:
        self._path = str(socket_path)
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._connected = asyncio.Event()
        self._endings = Endings()

    async def run(self) -> None:
        """Keep connected, for ever."""
        retry_seconds = _RETRY_SECONDS
        while True:
            try:
                reader, self._writer = await asyncio.open_unix_connection(self._path)
            except OSError:
                await asyncio.sleep(retry_seconds)
                retry_seconds = min(2 * retry_seconds, _RETRY_SECONDS_MAX)
                continue
            retry_seconds = _RETRY_SECONDS
            try:
                await self._serve(reader)
            finally:
                self._disconnect()

    @property
    def is_connected(self) -> bool:
        """Whether the runtime can be asked now."""
        return self._connected.is_set()

    async def connected(self) -> None:
        """Wait until the runtime can be asked."""
        await self._connected.wait()

    async def start_node(self, spec: HostSpec) -> int:
        return int(await self._call("start_node", spec=_plain(spec)))

    async def stop_node(self, name: str) -> None:
        await self._call("stop_node", key=name)

    async def nodes(self) -> Mapping[str, int]:
        return dict(await self._call("nodes"))

    async def start_daemon(self, spec: DaemonSpec) -> DaemonStatus:
        return _daemon_status(await self._call("start_daemon", spec=_plain(spec)))

    async def stop_daemon(self, node: str, name: str) -> None:
        await self._call("stop_daemon", node=node, name=name)

    async def daemons(self, node: str = "") -> Sequence[DaemonStatus]:
        return tuple(_daemon_status(status) for status in await self._call("daemons", key=node))

    async def prepare_host_path(self, node: str, path: str, kind: str) -> None:
        await self._call("prepare_host_path", node=node, path=path, kind=kind)

    async def start_sandbox(self, spec: SandboxSpec) -> SandboxStatus:
        plain = _plain(spec) | {"sandbox_id": sandbox_id(spec.id)}
        return SandboxStatus(**await self._call("start_sandbox", spec=plain))

    async def stop_sandbox(self, id: str) -> None:
        await self._call("stop_sandbox", key=id)

    async def sandboxes(self) -> Sequence[SandboxStatus]:
        return tuple(SandboxStatus(**status) for status in await self._call("sandboxes"))

    async def start_container(self, spec: ContainerSpec) -> ContainerStatus:
        return ContainerStatus(**await self._call("start_container", spec=_plain(spec)))

    async def signal_container(self, id: str, signal: int) -> None:
        await self._call("signal_container", key=id, signal=int(signal))

    async def remove_container(self, id: str) -> None:
        await self._call("remove_container", key=id)

    async def containers(self, sandbox: str = "") -> Sequence[ContainerStatus]:
        return tuple(ContainerStatus(**status) for status in await self._call("containers", key=sandbox))

    def events(self) -> AsyncIterator[str]:
        return self._endings.listen()

    async def exec(
        self,
        container: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        tty: bool = False,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> ExecSession:
        request = _exec_request("exec", container, argv, env, tty)
        return await RemoteExec.start(self._path, request, (stdin, stdout, stderr))

    async def exec_node(
        self,
        node: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        tty: bool = False,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> ExecSession:
        request = _exec_request("exec_node", node, argv, env, tty)
        return await RemoteExec.start(self._path, request, (stdin, stdout, stderr))

    async def _call(self, op: str, **arguments: Any) -> Any:
        if self._writer is None or self._writer.is_closing():
            raise self._away()
        id = next(self._ids)
        answer = self._answers[id] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(_packed({"id": id, "op": op, **arguments}))
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                return await answer
        except TimeoutError:
            raise FabricError(
                f"the runtime at {self._path} did not answer {op} within {ANSWER_SECONDS_MAX:.0f} s"
            ) from None
        finally:
            self._answers.pop(id, None)

    async def _serve(self, reader: asyncio.StreamReader) -> None:
        frames = Frames()
        assert self._writer is not None
        self._writer.write(pack({"id": 0, "op": "events"}))
        self._connected.set()
        self._endings.tell(EVERYTHING)
        try:
            while data := await reader.read(_READ_BYTES_MAX):
                for message in frames.feed(data):
                    self._take(message)
        except OSError:
            return

    def _take(self, message: dict[str, Any]) -> None:
        if "event" in message:
            self._endings.tell(message["event"])
            return
        answer = self._answers.get(message["id"])
        if answer is None or answer.done():
            return
        if "error" in message:
            answer.set_exception(RuntimeRefused(message["error"]))
        else:
            answer.set_result(message["ok"])

    def _disconnect(self) -> None:
        self._connected.clear()
        if self._writer is not None:
            self._writer.close()
        self._writer = None
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(self._away())

    def _away(self) -> FabricError:
        return FabricError(f"the runtime at {self._path} does not answer; it is being restarted")


def _packed(request: dict[str, Any]) -> bytes:
    try:
        return pack(request)
    except ValueError as error:
        raise RuntimeRefused(str(error)) from error


def _daemon_status(status: dict[str, Any]) -> DaemonStatus:
    return DaemonStatus(**status | {"argv": tuple(status["argv"])})


def _plain(spec: HostSpec | DaemonSpec | SandboxSpec | ContainerSpec | Mount) -> dict[str, Any]:
    """Return a spec as JSON has it, without what is left at its default."""
    values = ((name, getattr(spec, name), default) for name, default in _DEFAULTS[type(spec)])
    return {name: _json(value) for name, value, default in values if value != default}


def _defaults(kind: type) -> list[tuple[str, Any]]:
    return [
        (field.name, field.default if field.default_factory is MISSING else field.default_factory())
        for field in fields(kind)
    ]


_DEFAULTS = {kind: _defaults(kind) for kind in (HostSpec, DaemonSpec, SandboxSpec, ContainerSpec, Mount)}


def _json(value: Any) -> Any:
    match value:
        case Path():
            return str(value)
        case Mount():
            return _plain(value)
        case tuple() | list():
            return [_json(item) for item in value]
        case Mapping():
            return dict(value)
    return value


def _exec_request(
    op: str, key: str, argv: Sequence[str], env: Mapping[str, str] | None, tty: bool
) -> dict[str, Any]:
    return {"id": 1, "op": op, "key": key, "argv": list(argv), "env": dict(env or {}), "tty": tty}
