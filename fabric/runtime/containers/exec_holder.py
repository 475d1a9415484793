"""The exec holder of a container in the shared root holds the root that `exec` runs in.

The root is built when the first of them is asked for, as any container's root is, and held by one more pause
process in the pod, which ends with the container. A runtime that comes after adopts it.
"""

from __future__ import annotations

from fabric.runtime.containers import container as single
from fabric.runtime.namespaces.node_init import PAUSE
from fabric.runtime.processes.context import kill
from fabric.runtime.processes.files import Opened
from fabric.runtime.processes.inventory import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fabric.runtime.processes.context import Context
    from fabric.runtime.processes.inventory import Container
    from fabric.runtime.processes.process import Process

_KIND = "containers"


async def process(context: Context, container: Container, pause: Process) -> Process:
    """Return the process that holds the root, new or known; Failure or OSError."""
    if container.exec_holder is not None and container.exec_holder.process is not None:
        return container.exec_holder.process
    record = container.record
    spec = record | record["files"] | {"argv": PAUSE, "uid": 0, "gid": 0, "capabilities": None}
    with Opened(("/dev/null",)) as (null,):
        started = single.start(spec, pause, context.template, (context.mark, null, null))
    held = await started.settled(context.poll)
    record["exec_holder"] = {}
    context.enlist(_KIND, record["id"], held, record, part=record["exec_holder"])
    _keep(context, container, held)
    return held


def adopt(context: Context, container: Container) -> None:
    """Take over what a runtime before this one has built."""
    known = container.record.get("exec_holder")
    held = context.adopt(known) if known else None
    if held is not None:
        _keep(context, container, held)


def close(container: Container) -> None:
    """End it, with the container."""
    container.record.pop("exec_holder", None)
    if container.exec_holder is not None:
        kill(container.exec_holder)


def _keep(context: Context, container: Container, held: Process) -> None:
    exec_holder = container.exec_holder = Entry({}, held)
    context.watch(exec_holder, lambda _: exec_holder.ended())
