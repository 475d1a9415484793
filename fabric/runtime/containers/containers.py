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

    def start(self, spec: Spec) -> dict[str, Any]:
        """Return its status, new or known; it is exited when its program could not be started."""
        id = spec["id"]
        if id in self._containers:
            return _status(self._containers[id])
        pause = self._sandboxes.process(spec["sandbox"])
        container = Container(_record(spec), None)
        container.record["started_at"] = time.time()
        try:
            if self._context.shared_root.fits(spec):
                self._start_in_shared_root(container, spec, pause)
            else:
                self._start_in_own_root(container, spec, pause)
        except (Failure, OSError) as error:
            self._close_outputs(container)
            self._context.records.remove_fifos(id)
            if not isinstance(error, Failure) or not error.code:
                raise
            self._note_refusal(container, error)
        else:
            self._watch(container)
        self._containers[id] = container
        return _status(container)

    def _start_in_shared_root(self, container: Container, spec: Spec, pause: Process) -> None:
        """It writes nothing, so it needs no FIFOs."""
        container.record["files"] = {key: spec[key] for key in ("mounts", "read_only_root") if key in spec}
        context = self._context
        with Opened(("/dev/null",)) as (null,):
            files = (context.mark, null, null)
            container.process = single.start(spec, pause, context.template, files, context.shared_root)
        context.enlist(KIND, spec["id"], container.process, container.record)

    def _start_in_own_root(self, container: Container, spec: Spec, pause: Process) -> None:
        context = self._context
        fifos = context.records.make_fifos(spec["id"])
        self._open_outputs(container)
        with Opened(("/dev/null", *fifos)) as files:
            container.process = single.start(spec, pause, context.template, files)
        context.enlist(KIND, spec["id"], container.process, container.record)

    def signal(self, id: str, number: int) -> None:
        container = self._containers.get(id)
        if container is not None and container.process is not None:
            container.process.signal(number)

    def remove(self, id: str, done: Callable[[], None]) -> None:
        """Kill it where it runs, and forget it; `done` is called then."""
        container = self._containers.get(id)
        if container is None:
            done()
            return
        kill(container)

        def forget() -> None:
            self._containers.pop(id, None)
            self._context.records.remove(KIND, id)
            done()

        container.when_ended(forget)

    def remove_all_of(self, sandbox: str, done: Callable[[], None]) -> None:
        """Forget all containers of a sandbox; `done` is called after the last."""
        ids = [id for id, container in self._containers.items() if container.record["sandbox"] == sandbox]
        left = len(ids)

        def one_less() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                done()

        for id in ids:
            self.remove(id, one_less)
        if not ids:
            done()

    def statuses(self, sandbox: str) -> list[dict[str, Any]]:
        return [_status(c) for c in self._containers.values() if sandbox in ("", c.record["sandbox"])]

    def room(self, id: str) -> Process:
        """Return a process in a container's namespaces and root, for a program beside it."""
        process = living(self._containers.get(id), f"container {id}")
        container = self._containers[id]
        if not in_shared_root(container):
            return process
        return exec_holder.process(
            self._context, container, self._sandboxes.process(container.record["sandbox"])
        )

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
        self._context.records.write(KIND, record["id"], record)

    def _note_refusal(self, container: Container, failure: Failure) -> None:
        now = time.time()
        container.record.update(state="exited", started_at=now, finished_at=now, exit_code=failure.code)
        container.record.update(reason="StartError", message=failure.message)
        self._context.records.write(KIND, container.record["id"], container.record)
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
    }


def _status(container: Container) -> dict[str, Any]:
    return {key: container.record[key] for key in _STATUS}
