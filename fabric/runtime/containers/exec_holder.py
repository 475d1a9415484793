"""The annex of a container in the cell: the root that programs beside it run in.

It is built when the first of them is asked for, as any container's root is, and held by one more pause
process in the pod, which ends with the container. A runtime that comes after adopts it.
"""

from __future__ import annotations

from fabric.runtime.containers import container as single
from fabric.runtime.namespaces.node_init import PAUSE
from fabric.runtime.processes.files import Opened
from fabric.runtime.processes.inventory import Thing
from fabric.runtime.processes.workshop import kill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fabric.runtime.processes.inventory import Container
    from fabric.runtime.processes.process import Process
    from fabric.runtime.processes.workshop import Workshop

_KIND = "containers"


def process(workshop: Workshop, container: Container, pause: Process) -> Process:
    """Return the process that holds the root, new or known; Failure or OSError."""
    if container.annex is not None and container.annex.process is not None:
        return container.annex.process
    record = container.record
    spec = record | record["files"] | {"argv": PAUSE}
    with Opened(("/dev/null",)) as (null,):
        held = single.start(spec, pause, workshop.ground, (workshop.mark, null, null))
    record["annex"] = {}
    workshop.enlist(_KIND, record["id"], held, record, part=record["annex"])
    _keep(workshop, container, held)
    return held


def adopt(workshop: Workshop, container: Container) -> None:
    """Take over what a runtime before this one has built."""
    known = container.record.get("annex")
    held = workshop.adopt(known) if known else None
    if held is not None:
        _keep(workshop, container, held)


def close(container: Container) -> None:
    """End it, with the container."""
    container.record.pop("annex", None)
    if container.annex is not None:
        kill(container.annex)


def _keep(workshop: Workshop, container: Container, held: Process) -> None:
    annex = container.annex = Thing({}, held)
    workshop.watch(annex, lambda _: annex.ended())
