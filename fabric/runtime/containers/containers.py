"""Containers are processes in their pod's namespaces, with their output and how they ended."""

from __future__ import annotations

import time

from fabric.runtime.containers import container as single
from fabric.runtime.containers import exec_holder
from fabric.runtime.containers.logs import STREAMS, LogFile, Output
from fabric.runtime.processes.context import kill, living
from fabric.runtime.processes.failure import Failure
from fabric.runtime.processes.files import Opened
from fabric.runtime.processes.inventory import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fabric.runtime.namespaces.sandboxes import Sandboxes
    from fabric.runtime.processes.context import Context
    from fabric.runtime.processes.process import Process
    from fabric.runtime.processes.records import Record

    Spec = dict[str, Any]

KIND = "containers"
_UNSEEN_EXIT_CODE = 255
_STATUS = (
    "id",
    "sandbox",
    "name",
    "pid",
    "state",
    "started_at",
    "finished_at",
    "exit_code",
    "signal",
    "reason",
    "message",
    "labels",
)


class Containers:
    """The containers of one runtime, by id."""

    def __init__(self, context: Context, sandboxes: Sandboxes) -> None:
        self._context = context
        self._sandboxes = sandboxes
        self._containers: dict[str, Container] = {}

    def adopt(self) -> None:
        for record in self._context.records.read(KIND):
            process = self._context.adopt(record) if record["state"] == "running" else None
            container = Container(record, process)
            self._containers[record["id"]] = container
            if process is not None:
                if not in_shared_root(container):
                    self._open_outputs(container)
                exec_holder.adopt(self._context, container)
                self._watch(container)
            elif record["state"] == "running":
                exec_holder.adopt(self._context, container)
                exec_holder.close(container)
                self._note_end(container, None)

    async def start(self, spec: Spec) -> dict[str, Any]:
        """Return its status, new or known; it is exited when its program could not be started."""
        id = spec["id"]
        async with self._context.turns.of(spec["sandbox"]):
            known = self._containers.get(id)
            if known is None:
                known = await self._launch(id, spec)
                self._containers[id] = known
            return _status(known)

    async def _launch(self, id: str, spec: Spec) -> Container:
        self._context.records.check(id)
        pause = self._sandboxes.process(spec["sandbox"])
        container = Container(_record(spec), None)
        container.record["started_at"] = time.time()
        try:
            if self._context.shared_root.fits(spec):
                await self._start_in_shared_root(container, spec, pause)
            else:
                await self._start_in_own_root(container, spec, pause)
        except (Failure, OSError) as error:
            self._close_outputs(container)
            self._context.records.remove_fifos(id)
            if not isinstance(error, Failure) or not error.code:
                raise
            self._note_refusal(container, error)
        else:
            self._watch(container)
        return container

    async def _start_in_shared_root(self, container: Container, spec: Spec, pause: Process) -> None:
        """Start what writes nothing, and so needs no FIFOs."""
        container.record["files"] = {key: spec[key] for key in ("mounts", "read_only_root") if key in spec}
        context = self._context
        with Opened(("/dev/null",)) as (null,):
            files = (context.mark, null, null)
            started = single.start(spec, pause, context.template, files, context.shared_root)
        container.process = await started.settled(context.poll)
        context.enlist(KIND, spec["id"], container.process, container.record)

    async def _start_in_own_root(self, container: Container, spec: Spec, pause: Process) -> None:
        context = self._context
        fifos = context.records.make_fifos(spec["id"])
        self._open_outputs(container)
        with Opened(("/dev/null", *fifos)) as files:
            started = single.start(spec, pause, context.template, files)
        container.process = await started.settled(context.poll)
        context.enlist(KIND, spec["id"], container.process, container.record)

    def signal(self, id: str, number: int) -> None:
        container = self._containers.get(id)
        if container is not None and container.process is not None:
            container.process.signal(number)

    async def remove(self, id: str) -> None:
        """Kill it where it runs, and forget it."""
        container = self._containers.get(id)
        if container is not None:
            async with self._context.turns.of(container.record["sandbox"]):
                await self._forget(container)

    async def stop_sandbox(self, sandbox: str) -> None:
        """Stop a sandbox, and forget all its containers."""
        self._sandboxes.kill(sandbox)
        async with self._context.turns.of(sandbox):
            await self._sandboxes.stop(sandbox)
            for container in [c for c in self._containers.values() if c.record["sandbox"] == sandbox]:
                await self._forget(container)

    async def _forget(self, container: Container) -> None:
        id = container.record["id"]
        kill(container)
        await container.when_ended()
        if self._containers.get(id) is container:
            del self._containers[id]
            self._context.forget(KIND, id)

    def statuses(self, sandbox: str) -> list[dict[str, Any]]:
        return [_status(c) for c in self._containers.values() if sandbox in ("", c.record["sandbox"])]

    async def exec_place(self, id: str) -> Process:
        """Return a process in a container's namespaces and root, for a program beside it."""
        process = living(self._containers.get(id), f"container {id}")
        container = self._containers[id]
        if not in_shared_root(container):
            return process
        sandbox = container.record["sandbox"]
        async with self._context.turns.of(sandbox):
            return await exec_holder.process(self._context, container, self._sandboxes.process(sandbox))

    def record(self, id: str) -> Record:
        return self._containers[id].record

    def _watch(self, container: Container) -> None:
        def ended(code: int | None) -> None:
            if not in_shared_root(container):
                self._close_outputs(container)
                self._context.records.remove_fifos(container.record["id"])
            exec_holder.close(container)
            self._note_end(container, code)
            container.ended()
            self._context.tell(container.record["sandbox"])

        self._context.watch(container, ended, exactly=True)

    def _note_end(self, container: Container, code: int | None) -> None:
        record = container.record
        record.update(state="exited", finished_at=time.time())
        if code is None:
            message = "the runtime did not see how it ended"
            record.update(exit_code=_UNSEEN_EXIT_CODE, reason="ContainerStatusUnknown", message=message)
        else:
            signal = max(0, -code)
            exit_code = 128 + signal if signal else code
            record.update(exit_code=exit_code, signal=signal, reason="Error" if exit_code else "Completed")
        self._context.save(KIND, record["id"], record)

    def _note_refusal(self, container: Container, failure: Failure) -> None:
        now = time.time()
        container.record.update(state="exited", started_at=now, finished_at=now, exit_code=failure.code)
        container.record.update(reason="StartError", message=failure.message)
        self._context.save(KIND, container.record["id"], container.record)
        self._context.tell(container.record["sandbox"])

    def _open_outputs(self, container: Container) -> None:
        container.log = LogFile(container.record["log_path"])
        fifos = self._context.records.make_fifos(container.record["id"])
        for fifo, stream in zip(fifos, STREAMS, strict=True):
            output = Output(fifo, stream, container.log)
            container.outputs.append(output)
            self._context.poll.watch(output.fd, _reader(output))

    def _close_outputs(self, container: Container) -> None:
        for output in container.outputs:
            self._context.poll.forget(output.fd)
            output.close()
        container.outputs.clear()
        if container.log is not None:
            container.log.close()


def in_shared_root(container: Container) -> bool:
    """True when it runs without a root of its own."""
    return "files" in container.record


def _reader(output: Output) -> Callable[[int], None]:
    def ready(_: int) -> None:
        output.read()

    return ready


def _record(spec: Spec) -> Record:
    return {
        "id": spec["id"],
        "sandbox": spec["sandbox"],
        "name": spec["name"],
        "pid": 0,
        "start": "",
        "state": "running",
        "started_at": 0.0,
        "finished_at": 0.0,
        "exit_code": None,
        "signal": 0,
        "reason": "",
        "message": "",
        "labels": spec.get("labels", {}),
        "log_path": spec.get("log_path") or "",
        "env": spec.get("env", {}),
        "uid": spec.get("uid", 0),
        "gid": spec.get("gid", 0),
        "cwd": spec.get("cwd", "/"),
        "capabilities": spec.get("capabilities"),
    }


def _status(container: Container) -> dict[str, Any]:
    return {key: container.record[key] for key in _STATUS}
